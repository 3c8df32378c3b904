"""The embedded outbox: completion messages in the state file, each delivered as one JSON file.

A delivery is ``<outbox>/<slate>.<revision>.<message_id>.json``, replaced as a whole: a consumer never reads half of it,
and a second delivery of a message leaves one file.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.slate.completion_message import OutboxEntry, message_digest
from prediction_assets.stores.local.files import replace_file
from prediction_assets.stores.local.state_file import refuse_damage, transaction


class SqliteOutbox:
    """An :class:`~prediction_assets.stores.protocols.Outbox` in the state file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def enqueue(self, entry: OutboxEntry) -> OutboxEntry:
        with transaction(self._path) as connection:
            refuse_damage(connection, ["outbox"], entry.slate)
            entry.refuse_if_older(_entries(connection, entry.slate))
            connection.execute(
                "INSERT INTO outbox (message_id, slate, receipt_id, revision, message) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (message_id) DO NOTHING",
                (entry.message_id, entry.slate, entry.receipt_id, entry.revision, json.dumps(entry.message)),
            )
            connection.execute(
                "UPDATE outbox SET replaced_by = :message_id WHERE slate = :slate AND revision < :revision "
                "AND delivery_id IS NULL AND replaced_by IS NULL",
                {"message_id": entry.message_id, "slate": entry.slate, "revision": entry.revision},
            )
            return _entry(connection, entry.message_id)

    def mark_delivered(self, message_id: str, delivery_id: str, delivered_at: datetime) -> OutboxEntry:
        with transaction(self._path) as connection:
            connection.execute(
                "UPDATE outbox SET delivery_id = ?, delivered_at = ? WHERE message_id = ? AND delivery_id IS NULL",
                (delivery_id, delivered_at.astimezone(UTC).isoformat(), message_id),
            )
            return _entry(connection, message_id)

    def entries(self, slate: str | None = None) -> Sequence[OutboxEntry]:
        with transaction(self._path) as connection:
            refuse_damage(connection, ["outbox"], slate)
            return _entries(connection, slate)

    def drop_delivered(self, message_ids: Sequence[str]) -> int:
        with transaction(self._path) as connection:
            return connection.execute(
                "DELETE FROM outbox WHERE (delivery_id IS NOT NULL OR replaced_by IS NOT NULL) "
                "AND message_id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(message_ids)),),
            ).rowcount


_MESSAGE = re.compile(r"[0-9-]{10}\.(?P<revision>[0-9]+)\.(?P<message_id>[^.]+)\.json")
"""The name of a delivered message's file. Other files in the folder are somebody's own, and are left alone."""


class FilePublisher:
    """A :class:`~prediction_assets.stores.protocols.Publisher` into a folder of JSON files; ids are file names."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def publish(self, message: Mapping[str, Any]) -> str:
        name = f"{message['slate']}.{message['revision']:04d}.{message['message_id']}.json"
        try:
            replace_file(self._directory / name, f"{json.dumps(message, indent=2)}\n".encode())
        except OSError as error:
            raise PredictionAssetsError(
                f"{self._directory / name}: {error.strerror}; the message stays in the outbox. "
                f"Materialize phase5_completion for {message['slate']} again"
            ) from error
        return name

    def delivered(self, slate: str) -> Mapping[str, int]:
        files = ((path, _MESSAGE.fullmatch(path.name)) for path in self._directory.glob(f"{slate}.*.json"))
        return {
            name["message_id"]: int(name["revision"])
            for path, name in files
            if name and _is_whole(path, name["message_id"])
        }


def _is_whole(path: Path, message_id: str) -> bool:
    """Return whether a file holds its message; a damaged one counts as missing, and is delivered again."""
    try:
        message = json.loads(path.read_bytes())
        return bool(message["message_id"] == message_id and message["digest"] == message_digest(message))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _entries(connection: sqlite3.Connection, slate: str | None) -> list[OutboxEntry]:
    rows = connection.execute(
        "SELECT * FROM outbox WHERE :slate IS NULL OR slate = :slate ORDER BY position", {"slate": slate}
    )
    return [_from_row(row) for row in rows]


def _entry(connection: sqlite3.Connection, message_id: str) -> OutboxEntry:
    row = connection.execute("SELECT * FROM outbox WHERE message_id = ?", (message_id,)).fetchone()
    if row is None:
        raise PredictionAssetsError(
            f"completion message {message_id} is not in the outbox; materialize phase5_completion for its slate again"
        )
    return _from_row(row)


def _from_row(row: sqlite3.Row) -> OutboxEntry:
    return OutboxEntry(
        message_id=row["message_id"],
        slate=row["slate"],
        receipt_id=row["receipt_id"],
        revision=row["revision"],
        message=json.loads(row["message"]),
        delivery_id=row["delivery_id"],
        delivered_at=None if row["delivered_at"] is None else datetime.fromisoformat(row["delivered_at"]),
        replaced_by=row["replaced_by"],
    )

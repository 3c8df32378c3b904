"""The embedded outbox: completion messages in the state file, each delivered as one JSON file.

A delivery is ``<outbox>/<slate>.<revision>.<message_id>.json``, replaced as a whole: a consumer never reads half of it,
and a second delivery of a message leaves one file. A consumer acknowledges by a file in ``<outbox>/acknowledged``.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.slate.completion_message import OutboxEntry, message_digest
from prediction_assets.stores.local.files import replace_file
from prediction_assets.stores.local.state_file import refuse_damage, transaction
from prediction_assets.stores.protocols import TakeAcknowledgement

_logger = logging.getLogger(__name__)


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

    def mark_acknowledged(self, message_id: str, acknowledged_at: datetime) -> OutboxEntry:
        with transaction(self._path) as connection:
            connection.execute(
                "UPDATE outbox SET acknowledged_at = ? WHERE message_id = ? AND acknowledged_at IS NULL",
                (acknowledged_at.astimezone(UTC).isoformat(), message_id),
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

_LONGEST_ACKNOWLEDGEMENT = 10_000_000
"""Bytes; an acknowledgement may be a copy of its message."""

_WRITTEN_WITHIN_SECONDS = 60
"""A file that isn't written aside and renamed may be half there until then."""


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

    def take_acknowledgements(self, take: TakeAcknowledgement) -> None:
        """Hand over each file ``acknowledged/*.json``; one that stays refused for a minute becomes ``.refused``.

        A file whose name begins with a dot is still being written.
        """
        unreadable = []
        for path in sorted((self._directory / "acknowledged").glob("[!.]*.json")):
            try:
                sent = path.stat().st_mtime
                with path.open("rb") as file:
                    text = file.read(_LONGEST_ACKNOWLEDGEMENT)
            except FileNotFoundError:  # another process was first
                continue
            except OSError as error:
                unreadable.append(f"{path}: {error.strerror}")
                continue
            now = time.time()
            if take(text, datetime.fromtimestamp(min(sent, now), UTC)):
                path.unlink(missing_ok=True)
            elif abs(now - sent) > _WRITTEN_WITHIN_SECONDS:
                refused = path.with_suffix(".refused")
                _logger.warning("%s is kept as %s", path, refused.name)
                with suppress(FileNotFoundError):
                    path.replace(refused)
        if unreadable:
            raise PredictionAssetsError(
                f"{'; '.join(unreadable)}: {len(unreadable)} acknowledgements of phase 6 can't be read; let this user "
                "read them, or remove them"
            )


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
        delivered_at=_moment(row["delivered_at"]),
        replaced_by=row["replaced_by"],
        acknowledged_at=_moment(row["acknowledged_at"]),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

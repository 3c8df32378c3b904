"""Dead letters in the embedded profile's state file: one row per player and run that failed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from prediction_assets.slate.dead_letter import Closing, DeadLetter, Failure, letters_of
from prediction_assets.stores.local.state_file import refuse_damage, transaction


class SqliteDeadLetters:
    """:class:`~prediction_assets.stores.protocols.DeadLetters` in a state file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, failures: Sequence[Failure]) -> None:
        with transaction(self._path) as connection:
            connection.executemany(
                "INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING",
                [
                    (
                        f.slate, f.player_slug, f.run_id, f.error_class, f.message, f.traceback_digest,
                        f.attempts, f.fence, f.failed_at.astimezone(UTC).isoformat(), json.dumps(dict(f.payload)),
                    )
                    for f in failures
                ],
            )  # fmt: skip

    def letters(self, slate: str | None = None, *, include_closed: bool = False) -> Sequence[DeadLetter]:
        with transaction(self._path) as connection:
            refuse_damage(connection, ["dead_letters"], slate)
            rows = connection.execute(
                "SELECT * FROM dead_letters AS d WHERE (:slate IS NULL OR slate = :slate) AND (:closed OR EXISTS "
                "(SELECT 1 FROM dead_letters AS o WHERE o.slate = d.slate AND o.player_slug = d.player_slug "
                "AND o.closed IS NULL))",
                {"slate": slate, "closed": include_closed},
            ).fetchall()
            return letters_of(_failure(row) for row in rows)

    def close(self, slate: str, up_to: Mapping[str, int], how: Closing) -> int:
        with transaction(self._path) as connection:
            closed = connection.execute(
                "UPDATE dead_letters SET closed = ? WHERE slate = ? AND closed IS NULL "
                "AND EXISTS (SELECT 1 FROM json_each(?) WHERE key = player_slug AND fence <= value) "
                "RETURNING player_slug",
                (how.value, slate, json.dumps(dict(up_to))),
            ).fetchall()
        return len({row["player_slug"] for row in closed})

    def drop_closed(self, slate: str, player_slugs: Iterable[str]) -> int:
        with transaction(self._path) as connection:
            return connection.execute(
                "DELETE FROM dead_letters WHERE slate = ? AND closed IS NOT NULL "
                "AND player_slug IN (SELECT value FROM json_each(?))",
                (slate, json.dumps(sorted(set(player_slugs)))),
            ).rowcount


def _failure(row: sqlite3.Row) -> Failure:
    return Failure(
        slate=row["slate"],
        player_slug=row["player_slug"],
        run_id=row["run_id"],
        error_class=row["error_class"],
        message=row["message"],
        traceback_digest=row["traceback_digest"],
        attempts=row["attempts"],
        fence=row["fence"],
        failed_at=datetime.fromisoformat(row["failed_at"]),
        payload=json.loads(row["payload"]),
        closed=None if row["closed"] is None else Closing(row["closed"]),
    )

"""Alerts in the embedded profile's state file: one row per key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from prediction_assets.errors import StateUnreadable
from prediction_assets.stores.alert import Alert, Change, from_text, to_text
from prediction_assets.stores.local.state_file import moment_text, transaction


class SqliteAlertStore:
    """An :class:`~prediction_assets.stores.protocols.AlertStore` in a state file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def change(self, key: str, change: Change) -> Alert | None:
        with transaction(self._path) as connection:
            row = connection.execute("SELECT key, alert FROM alerts WHERE key = ?", (key,)).fetchone()
            before = None if row is None else self._alert(row)
            after = change(before)
            if after is None or after is before:
                return before
            connection.execute(
                "INSERT INTO alerts VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "opened_at = excluded.opened_at, settled = excluded.settled, alert = excluded.alert",
                (key, moment_text(after.opened_at), after.settled_at is not None, to_text(after)),
            )
        return after

    def unsettled(self) -> Sequence[Alert]:
        return self._select("WHERE NOT settled ORDER BY opened_at, key")

    def since(self, moment: datetime) -> Sequence[Alert]:
        return self._select("WHERE opened_at >= ? ORDER BY opened_at, key", moment_text(moment))

    def settled_before(self, moment: datetime) -> Sequence[Alert]:
        opened = self._select("WHERE settled AND opened_at < ? ORDER BY opened_at, key", moment_text(moment))
        return [alert for alert in opened if alert.settled_at is not None and alert.settled_at < moment]

    def drop_settled(self, keys: Sequence[str]) -> int:
        with transaction(self._path) as connection:
            return connection.execute(
                "DELETE FROM alerts WHERE settled AND key IN (SELECT value FROM json_each(?))",
                (json.dumps(list(keys)),),
            ).rowcount

    def _select(self, condition: str, *values: str) -> list[Alert]:
        with transaction(self._path) as connection:
            rows = connection.execute(f"SELECT key, alert FROM alerts {condition}", values).fetchall()  # noqa: S608  our own text
        return [self._alert(row) for row in rows]

    def _alert(self, row: sqlite3.Row) -> Alert:
        try:
            return from_text(row["alert"])
        except (KeyError, TypeError, ValueError) as error:
            raise StateUnreadable(
                f"{self._path}: alert {row['key']}: {type(error).__name__}: {error}; nothing was changed. The row "
                "was edited by hand: delete it, and the alert is raised again if it is still true"
            ) from error

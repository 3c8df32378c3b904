"""Follow Dagster's event log by storage id, also where the ids start again.

SQLite gives out the ids of deleted rows again when they were the highest. After the newest run was deleted, a
follower that only reads above its cursor would miss what comes next. So a cursor also names the run that stored the
record; when that record is gone, the follower starts over. What doesn't belong here: what a record means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dagster import EventLogRecord


@dataclass(frozen=True)
class Cursor:
    """The last record that a follower is done with; the default is the cursor before the first one.

    Attributes:
        storage_id: the record's id.
        run_id: the run that stored it.
    """

    storage_id: int = 0
    run_id: str = ""

    @classmethod
    def read(cls, text: str | None) -> Cursor:
        """Return the cursor that was stored as text, ``45:<run id>``."""
        storage_id, _, run_id = (text or "0:").partition(":")
        return cls(int(storage_id), run_id)

    @classmethod
    def at(cls, record: EventLogRecord) -> Cursor:
        """Return the cursor of a record."""
        return cls(record.storage_id, record.run_id)

    def __str__(self) -> str:
        return f"{self.storage_id}:{self.run_id}"


class Fetch(Protocol):
    """Reads one kind of record."""

    def __call__(
        self, *, after: int, since: datetime | None, limit: int, ascending: bool
    ) -> Sequence[EventLogRecord]:
        """Return records with a higher id than ``after`` that were stored after ``since``."""


def follow(
    fetch: Fetch, cursor: Cursor, *, limit: int, since: datetime
) -> tuple[Cursor, Sequence[EventLogRecord]]:
    """Return at most ``limit`` records that follow a cursor, oldest first, and the cursor that they follow.

    Args:
        since: how far back to look where there is no cursor yet, or its record is gone. Records that were done with
            can then come again, so handling one must be safe to repeat.
    """
    if cursor.run_id:
        found = fetch(after=cursor.storage_id - 1, since=None, limit=limit + 1, ascending=True)
        if found and Cursor.at(found[0]) == cursor:
            return cursor, found[1:]
    found = fetch(after=0, since=since, limit=limit, ascending=True)
    if found:
        return Cursor(), found
    newest = fetch(
        after=0, since=None, limit=1, ascending=False
    )  # all are older: the next look starts behind them
    return (Cursor.at(newest[0]) if newest else Cursor()), []

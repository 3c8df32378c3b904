"""Follow Dagster's event log by storage id, also where the ids start again.

SQLite gives the ids of deleted rows out again when they were the highest ones: after the newest run was deleted or
everything was pruned, a follower that looks only at what is above its cursor misses what comes then. So a position
also names the run that stored the record, and when that record isn't there any more, the follower starts over.
What doesn't belong here: what a record is good for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dagster import EventLogRecord


@dataclass(frozen=True)
class Cursor:
    """How far a log was followed.

    Attributes:
        storage_id: the last record that is done with; 0 before the first.
        run_id: the run that stored it; ``""`` where only the number is known.
    """

    storage_id: int = 0
    run_id: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> Cursor:
        """Return the position that a cursor was made from: ``45:<run id>``, or the number alone."""
        number, _, run_id = (cursor or "0").partition(":")
        return cls(int(number), run_id)

    @classmethod
    def at(cls, record: EventLogRecord) -> Cursor:
        """Return the position at which a record is done with."""
        return cls(record.storage_id, record.run_id)

    def __str__(self) -> str:
        return f"{self.storage_id}:{self.run_id}" if self.run_id else str(self.storage_id)


class Fetch(Protocol):
    """Reads some kind of record."""

    def __call__(
        self, *, after: int, since: datetime | None, limit: int, ascending: bool
    ) -> Sequence[EventLogRecord]:
        """Return records with a higher id than ``after`` that were stored since a moment."""


def follow(
    fetch: Fetch, position: Cursor, *, limit: int, first_since: datetime | None, again_since: datetime
) -> tuple[Cursor, Sequence[EventLogRecord]]:
    """Return the records that follow a position, oldest first, and the position that they follow.

    Args:
        limit: how many at most.
        first_since: how far back the first look goes; None: to the beginning.
        again_since: how far back to start over. What was done with may come once more, so doing it has to be harmless.
    """
    if position.run_id:
        from_there = fetch(after=position.storage_id - 1, since=None, limit=limit + 1, ascending=True)
        if from_there and Cursor.at(from_there[0]) == position:
            return position, from_there[1:]
    else:
        since = None if position.storage_id else first_since
        found = fetch(after=position.storage_id, since=since, limit=limit, ascending=True)
        if found or not position.storage_id:
            return position, found
    newest = fetch(after=0, since=None, limit=1, ascending=False)
    if newest and not position.run_id and newest[0].storage_id == position.storage_id:
        return Cursor.at(newest[0]), []
    again = fetch(after=0, since=again_since, limit=limit, ascending=True)
    if again:
        return Cursor(again[0].storage_id - 1), again
    return (Cursor.at(newest[0]) if newest else Cursor()), []

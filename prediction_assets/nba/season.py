"""The season's calendar, from the stored schedule: whether anybody plays around a date.

Schedules, the sources' timing and the health report all follow this one rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from prediction_assets.slate.keys import NBA_LEAGUE
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

LOGS_AFTER = timedelta(days=3)
"""Box scores are corrected within days of a game."""

_READY_BEFORE = timedelta(days=14)
"""So long before a season's first game its sources are asked again, each day."""

_SUMMER = range(7, 10)
"""July to September: no season was to be played then, and none that the schedule doesn't list."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the stored schedule says about the days around a date."""

    previous: date | None  # the newest date up to today with a game, None without one
    following: date | None  # the first date from today on with a game, None without one

    @property
    def is_known(self) -> bool:
        return self.previous is not None or self.following is not None

    def is_off_season(self, today: date) -> bool:
        """Return whether nobody plays around a date, by the schedule, or by the calendar where the schedule ends.

        A schedule that ends within a season isn't a reason: the newer one wasn't ingested.
        """
        if not self.is_known:
            return False
        if self.following is not None:
            last = self.previous or date.min
            return self.following - today > _READY_BEFORE and today - last > LOGS_AFTER
        return today.month in _SUMMER or (
            self.previous is not None and self.previous.month == 6 and today.month == 6
        )


def is_first_days(warehouse: Warehouse, league: str, days: int) -> Callable[[date], bool]:
    """Return whether a date is within so many days of a season's first game, as a function; one query answers all."""
    seasons = warehouse.query(queries.SEASONS).to_pylist()
    began = [season["began"] for season in seasons if season["league"] == league]
    return lambda day: any(timedelta(0) <= day - first < timedelta(days) for first in began)


def calendar_of(warehouse: Warehouse, today: date) -> Calendar:
    """Return what the stored schedule of real games says about the days around a date."""
    found = warehouse.query(queries.GAMES_AROUND, {"league": NBA_LEAGUE, "today": today}).to_pylist()[0]
    return Calendar(found["previous"], found["following"])

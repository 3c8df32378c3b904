"""Coverage: what each date of a season has, from its game logs to its grades, and what is missing, however old.

Monitors that look at recent dates only once missed 109 days for nine months. What doesn't belong here: tonight's
slate in detail, which is the health report's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from prediction_assets.monitoring.thresholds import LONGEST_BREAK
from prediction_assets.slate.keys import NBA_LEAGUE, slate_key
from prediction_assets.stores.protocols import Outbox, Warehouse
from prediction_assets.stores.sql import queries


class Cell(StrEnum):
    """What a date has of one kind: all of it, a part, nothing, or nothing where that may be so."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    MISSING = "missing"
    MAY_BE_EMPTY = "may be empty"


_BESIDE = 400
"""Days beside a span that show whether it is in a hole: from one season into the next."""

_SINCE = 1981
"""The first season that ended in April; until then seasons ended in March."""

_TURN = (9, 1)
"""Month and day from which on games are of the next season."""

_BEGINS, _ENDS = (11, 5), (4, 9)
"""Month and day by which every season since has begun, and until which every one has lasted."""

_BEGAN_LATE = {1998: (2, 6), 2011: (12, 26), 2020: (12, 23)}
"""But for two lockouts and a pandemic; by the first year, the day after the season's first games."""

COLUMNS = ("schedule", "game_logs", "lines", "roster", "predictions", "message", "grades")
"""The kinds in the order in which a slate gets them."""


@dataclass(frozen=True, slots=True)
class Day:
    """One date with games, or one date on which games should be and none are known."""

    slate: str
    games: int  # scheduled games; of a date without a schedule, the games that have logs
    cells: dict[str, Cell]  # by `COLUMNS`

    @property
    def missing(self) -> tuple[str, ...]:
        """The kinds that should be there, and are not or not wholly."""
        return tuple(name for name, cell in self.cells.items() if cell in {Cell.MISSING, Cell.PARTIAL})


def coverage(warehouse: Warehouse, outbox: Outbox, first: date, last: date, today: date) -> list[Day]:
    """Return each date from first to last that has games, or that is in a gap longer than any break of a season.

    Lines may be empty: no book has to offer one. What follows from the roster may be empty before the installation's
    first receipt, and everything on dates to come but the schedule.
    """
    # Dates beside the span show whether all of it is in a hole.
    league = {"league": NBA_LEAGUE, "first": _moved(first, -_BESIDE), "last": _moved(last, _BESIDE)}
    rows = {row["game_date"]: row for row in warehouse.query(queries.COVERAGE, league).to_pylist()}
    (began,) = warehouse.query(queries.FIRST_RECEIPT, {"league": NBA_LEAGUE})["game_date"].to_pylist()
    announced = {entry.receipt_id for entry in outbox.entries() if entry.delivery_id is not None}
    days = []
    for day in sorted({*rows, *gaps(sorted(rows))}):
        if not first <= day <= last:
            continue
        row = rows.get(day)
        if row is None:
            days.append(
                Day(
                    slate_key(day), 0, {**dict.fromkeys(COLUMNS, Cell.MAY_BE_EMPTY), "schedule": Cell.MISSING}
                )
            )
            continue
        games, logged = row["games"] or 0, row["logged"] or 0
        is_past, is_ours = day < today, began is not None and day >= began
        owed = Cell.MISSING if is_past and is_ours else Cell.MAY_BE_EMPTY
        cells = dict.fromkeys(COLUMNS, owed)
        cells["schedule"] = _share(games, max(games, logged), Cell.MISSING)
        cells["game_logs"] = _share(
            logged, max(games, logged), Cell.MISSING if is_past else Cell.MAY_BE_EMPTY
        )
        cells["lines"] = _share(row["with_lines"] or 0, max(games, logged), Cell.MAY_BE_EMPTY)
        if row["receipt_id"] is not None:
            cells["roster"] = Cell.COMPLETE
            cells["predictions"] = Cell.COMPLETE if row["status"] == "success" else Cell.PARTIAL
            cells["message"] = Cell.COMPLETE if row["receipt_id"] in announced else Cell.MISSING
            graded = row["graded"] is not None
            cells["grades"] = Cell.COMPLETE if graded else Cell.MISSING if is_past else Cell.MAY_BE_EMPTY
        days.append(Day(slate_key(day), games or logged, cells))
    return days


def _share(there: int, wanted: int, none: Cell) -> Cell:
    if there >= wanted:
        return Cell.COMPLETE
    return Cell.PARTIAL if there else none


def gaps(played: Sequence[date]) -> Iterator[date]:
    """Yield the dates between two dates of one season that are too far apart for a break.

    Between seasons that have dates, a season is as long as seasons are. The first one may begin at any date, and the
    last one end at any.
    """
    seasons = {
        year: set(days) for year, days in itertools.groupby(played, lambda day: season_begin(day).year)
    }
    oldest, newest = min(seasons, default=0), max(seasons, default=-1)
    for year in range(oldest, newest + 1):
        dates = seasons.get(year, set())
        begin, end = _date_of(year, _BEGAN_LATE.get(year, _BEGINS)), _date_of(year, _ENDS)
        if oldest < year >= _SINCE and begin < min(dates, default=end):
            dates.add(begin)
        if newest > year >= _SINCE and end > max(dates, default=begin):
            dates.add(end)
        for before, after in itertools.pairwise(sorted(dates)):
            if after - before > LONGEST_BREAK:
                for days in range(1, (after - before).days):
                    yield before + timedelta(days=days)


def _date_of(first_year: int, month_and_day: tuple[int, int]) -> date:
    return date(first_year + (month_and_day < _TURN), *month_and_day)


def _moved(day: date, days: int) -> date:
    """Return the date so many days later, or the last one that there is."""
    return date.fromordinal(min(max(day.toordinal() + days, 1), date.max.toordinal()))


def season_begin(day: date) -> date:
    """Return the earliest date of the season that a date is in; seasons begin in autumn and end by summer."""
    return date(day.year if (day.month, day.day) >= _TURN else day.year - 1, *_TURN)

"""Values: how one cell of a source becomes one typed value.

Every function here takes a cell as the file has it (text from CSV; text, number, date or timestamp from Parquet and
JSON) and returns the value, or raises :class:`ValueError` with the problem in words. The caller adds the row and the
column and raises :class:`~prediction_assets.errors.BadInput`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from prediction_assets.ingest.limits import LONGEST_NAME, LONGEST_TEXT

_WHOLE = re.compile(r"[+-]?\d{1,18}(?:\.0*)?\Z", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)\Z", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](.+))?\Z", re.ASCII)
_US_DATE = re.compile(r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}|\d{2})\Z", re.ASCII)
_MIDNIGHT = re.compile(r"00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?\Z", re.ASCII)
_GAME_ID = re.compile(r"\d{8,10}(?:\.0*)?\Z", re.ASCII)
_CLOCK = re.compile(r"(\d{1,4}):([0-5]\d)(?::\d\d)?\Z", re.ASCII)
_TEAM = re.compile(r"[A-Z0-9]{2,4}\Z", re.ASCII)

_FIRST_SEASON = (
    1946  # the BAA's; an earlier date is a placeholder (stats.nba.com writes 1900-01-01) or a typo
)
_LAST_YEAR = 2100

HALF = Decimal("0.5")

_LARGEST = 10**15
"""More than any id or count, and exact as a binary float."""


def text(value: Any) -> str:
    """Return a cell as one line of text: in an alert, a name with a line's end would begin a line of its own."""
    return _one_line(value, "text", LONGEST_TEXT)


def name(value: Any) -> str:
    """Return a cell as a player's name."""
    return _one_line(value, "name", LONGEST_NAME)


def _one_line(value: Any, what: str, most: int) -> str:
    spelled = " ".join(str(value).split())
    if len(spelled) > most:
        raise ValueError(
            f"{spelled[:20]!r}... has {len(spelled):,} characters, and a {what} at most {most:,}"
        )
    return spelled


def whole_number(minimum: int | None = None, maximum: int | None = None) -> Callable[[Any], int]:
    """Return a reader of whole numbers; ``26.0`` is one, because pandas saves 26 so beside a gap."""

    def read(value: Any) -> int:
        if isinstance(value, bool):
            raise ValueError(f"{value!r} is not a whole number")
        if isinstance(value, int):
            number = value
        elif isinstance(value, float | Decimal) and value == value // 1:
            number = int(value)
        elif _WHOLE.match(str(value).strip()):
            number = int(str(value).strip().partition(".")[0])
        else:
            raise ValueError(f"{value!r} is not a whole number")
        if abs(number) > _LARGEST:
            raise ValueError(f"{value!s:.40} is not a count, it has more than 15 digits")
        if minimum is not None and number < minimum:
            raise ValueError(f"{number} is below {minimum}")
        if maximum is not None and number > maximum:
            raise ValueError(f"{number} is above {maximum}")
        return number

    return read


def minutes(value: Any) -> int:
    """Return whole minutes of ``34:12``, ``34`` or ``34.2``."""
    if match := _CLOCK.match(str(value).strip()):
        return int(match[1]) + (int(match[2]) >= 30)
    number = exact_decimal(value)
    if not 0 <= number <= _LARGEST:
        raise ValueError(f"{value!s:.40} is not a number of minutes")
    return int(number + HALF)


def exact_decimal(value: Any) -> Decimal:
    """Return a number exactly as it is written; a binary float counts as its shortest spelling."""
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return Decimal(value)
    spelled = repr(value) if isinstance(value, float) else str(value).strip()
    if not _DECIMAL.match(spelled):
        raise ValueError(f"{spelled!r} is not a finite decimal number")
    return Decimal(spelled)


def calendar_date(value: Any) -> date:
    """Return a calendar date from ISO text, a date, or a timestamp at midnight.

    A time of day is refused: the calendar date of an instant depends on the time zone, and in UTC most evening games
    are on the wrong date.
    """
    if isinstance(value, datetime):
        if value.time() != time(0):
            raise ValueError(f"{value.isoformat()} has a time of day, a calendar date is needed")
        return _plausible(value.date())
    if isinstance(value, date):
        return _plausible(value)
    spelled = str(value).strip()
    match = _DATE.match(spelled)
    if not match:
        raise ValueError(f"{spelled!r} is not a date (YYYY-MM-DD)")
    if match[2] and not _MIDNIGHT.match(match[2]):
        raise ValueError(f"{spelled!r} has a time of day, a calendar date is needed")
    try:
        return _plausible(date.fromisoformat(match[1]))
    except ValueError as error:
        raise ValueError(f"{spelled!r} is not a date: {error}") from None


def us_date(value: Any) -> date:
    """Return a calendar date that may be written ``1/10/2025`` or ``01/10/25``, month first."""
    match = _US_DATE.match(str(value).strip())
    if not match:
        return calendar_date(value)
    year = int(match["year"]) + (2000 if len(match["year"]) == 2 else 0)
    return calendar_date(f"{year}-{int(match['month']):02}-{int(match['day']):02}")


def instant(value: Any) -> datetime:
    """Return an instant in UTC from ISO text with a zone, or from a timestamp with one."""
    moment = value
    if not isinstance(value, datetime):
        spelled = str(value).strip()
        if not _DATE.match(spelled):
            raise ValueError(f"{spelled!r} is not a timestamp (YYYY-MM-DDTHH:MM:SSZ)")
        try:
            moment = datetime.fromisoformat(spelled)
        except ValueError as error:
            raise ValueError(f"{spelled!r} is not a timestamp: {error}") from None
    _plausible(moment.date())
    if moment.tzinfo is None:
        raise ValueError(f"{str(value)!r} has no time zone, end it with Z if it is UTC")
    in_utc: datetime = moment.astimezone(UTC)
    return in_utc


def game_id(value: Any) -> str:
    """Return a GAME_ID: 10 digits, with the leading zeros put back that a number column loses."""
    spelled = str(value).strip()
    if isinstance(value, bool) or not _GAME_ID.match(spelled):
        raise ValueError(f"{spelled!r} is not a game id of 10 digits")
    return spelled.partition(".")[0].zfill(10)


def team_code(value: Any) -> str:
    """Return a team's abbreviation: two to four capital letters or digits."""
    spelled = str(value).strip()
    if not _TEAM.match(spelled):
        raise ValueError(f"{spelled!r} is not a team abbreviation")
    return spelled


def _plausible(day: date) -> date:
    if not _FIRST_SEASON <= day.year <= _LAST_YEAR:
        raise ValueError(f"no game was played in {day.year}")
    return day

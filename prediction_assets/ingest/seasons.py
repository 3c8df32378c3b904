"""Seasons: how they are spelled, which one a date belongs to, and which ids are of one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from prediction_assets.errors import BadInput

_SEASON = re.compile(r"(\d{4})-(\d{2})\Z", re.ASCII)

_PUBLISHED_IN = 8
"""The NBA publishes a season's schedule in August."""


def first_year(season: str) -> int:
    """Return the year in which a season begins.

    >>> first_year("2024-25")
    2024

    Raises:
        BadInput: the text is no season.
    """
    match = _SEASON.match(season)
    if not match or (int(match[1]) + 1) % 100 != int(match[2]):
        raise BadInput("season", f"{season!r} is not a season", hint="write it as 2024-25")
    return int(match[1])


def season_of(day: date) -> str:
    """Return the season that is played or comes next on a date.

    >>> season_of(date(2026, 7, 31)), season_of(date(2026, 8, 1))
    ('2025-26', '2026-27')
    """
    year = day.year if day.month >= _PUBLISHED_IN else day.year - 1
    return f"{year}-{(year + 1) % 100:02}"


def require_season(season_ids: Iterable[int], season: str, source: str) -> None:
    """Compare an answer with the question: each SEASON_ID (22024) must be of the season.

    Raises:
        BadInput: the answer is of another season.
    """
    year = first_year(season)
    if others := sorted({found for found in season_ids if found % 10_000 != year % 10_000}):
        raise BadInput(
            source, f"was asked for {season} and answered with SEASON_ID {', '.join(map(str, others[:5]))}"
        )

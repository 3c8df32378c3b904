"""Seasons: how they are spelled, and which one a date belongs to."""

from __future__ import annotations

import re
from datetime import date

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_ids import season_name

_SEASON = re.compile(r"(\d{4})-(\d{2})\Z", re.ASCII)

_FIRST = 1946
"""The year in which the NBA's first season began."""

_PUBLISHED_IN = 8
"""The NBA publishes a season's schedule in August."""


def first_year(season: str) -> int:
    """Return the year in which a season begins.

    >>> first_year("2024-25")
    2024
    """
    match = _SEASON.match(season)
    if not match or (int(match[1]) + 1) % 100 != int(match[2]) or int(match[1]) < _FIRST:
        raise BadInput("season", f"{season!r} is not a season", hint="write it as 2024-25")
    return int(match[1])


def season_of(day: date) -> str:
    """Return the season that is played or comes next on a date.

    >>> season_of(date(2026, 7, 31)), season_of(date(2026, 8, 1))
    ('2025-26', '2026-27')
    """
    return season_name(day.year if day.month >= _PUBLISHED_IN else day.year - 1)

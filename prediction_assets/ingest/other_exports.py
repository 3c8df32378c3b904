"""Exports of other sites: which they are by their columns, and how to get to a file that can be read.

They have no ids of stats.nba.com, and a game or a player is never guessed. What doesn't belong here: the box
scores that name enough to be read (:mod:`.other_box_scores`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

LOGS_WAY_ON = (
    "game logs need stats.nba.com's GAME_ID, PLAYER_ID and TEAM_ID, or the columns Player, Date, Team and Opp of "
    "players and games that are stored: `prediction-assets ingest --season 2025-26`, or save "
    "stats.nba.com/stats/leaguegamelog?PlayerOrTeam=P as JSON"
)
_SCHEDULE = (
    "a schedule needs stats.nba.com's game ids: `prediction-assets ingest --season 2025-26`, or save "
    "cdn.nba.com/static/json/staticData/scheduleLeagueV2.json"
)
_INJURIES = (
    "an injury report needs dates and matchups: take Injury-Report_DATE_TIME.pdf from official.nba.com"
)


class Export(NamedTuple):
    """One site's export: columns that it alone has together, in small letters, and the way to what is read."""

    name: str
    columns: frozenset[str]
    way_on: str


EXPORTS = (
    Export("Basketball-Reference's schedule", frozenset({"visitor/neutral", "home/neutral"}), _SCHEDULE),
    Export("Basketball-Reference's game log", frozenset({"mp", "trb", "gmsc"}), LOGS_WAY_ON),
    Export("Stathead's game finder", frozenset({"player", "mp", "trb", "3p", "result"}), LOGS_WAY_ON),
    Export("Basketball-Reference's totals of a season", frozenset({"player", "mp", "trb", "3p", "g"}), LOGS_WAY_ON),
    Export("Basketball-Reference's injury list", frozenset({"player", "team", "update", "description"}), _INJURIES),
    Export("RealGM's box scores", frozenset({"player", "fic", "3pm", "reb"}), LOGS_WAY_ON),
    Export("RealGM's schedule", frozenset({"date", "away team", "home team"}), _SCHEDULE),
    Export("RealGM's injury list", frozenset({"player", "team", "injury", "status"}), _INJURIES),
)  # fmt: skip
"""The more particular first."""


def recognized(columns: Iterable[str]) -> str | None:
    """Return whose export a table is and what to do about it, None for a table of nobody known."""
    found = {name.strip().lower() for name in columns}
    return next(
        (f"this is {export.name}: {export.way_on}" for export in EXPORTS if export.columns <= found), None
    )

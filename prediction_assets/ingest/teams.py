"""Teams: how the odds feeds write the NBA's teams, and the abbreviations that the game logs use.

The lookup never guesses: an unknown name is refused with the closest known one as a hint.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from prediction_assets.slate.keys import slugify

NBA_TEAMS: Mapping[str, str] = {
    "ATL": "Atlanta Hawks",
    "BKN": "Brooklyn Nets",
    "BOS": "Boston Celtics",
    "CHA": "Charlotte Hornets",
    "CHI": "Chicago Bulls",
    "CLE": "Cleveland Cavaliers",
    "DAL": "Dallas Mavericks",
    "DEN": "Denver Nuggets",
    "DET": "Detroit Pistons",
    "GSW": "Golden State Warriors",
    "HOU": "Houston Rockets",
    "IND": "Indiana Pacers",
    "LAC": "LA Clippers",
    "LAL": "Los Angeles Lakers",
    "MEM": "Memphis Grizzlies",
    "MIA": "Miami Heat",
    "MIL": "Milwaukee Bucks",
    "MIN": "Minnesota Timberwolves",
    "NOP": "New Orleans Pelicans",
    "NYK": "New York Knicks",
    "OKC": "Oklahoma City Thunder",
    "ORL": "Orlando Magic",
    "PHI": "Philadelphia 76ers",
    "PHX": "Phoenix Suns",
    "POR": "Portland Trail Blazers",
    "SAC": "Sacramento Kings",
    "SAS": "San Antonio Spurs",
    "TOR": "Toronto Raptors",
    "UTA": "Utah Jazz",
    "WAS": "Washington Wizards",
}
"""Abbreviation to full name, as stats.nba.com writes both."""

FIRST_SEASON = 2014
"""The first year of the first season with these 30 teams under these abbreviations; before it Charlotte's were the
Bobcats."""

TEAM_IDS: Mapping[str, int] = {
    team: 1610612737 + place
    for place, team in enumerate((
        "ATL", "BOS", "CLE", "NOP", "CHI", "DAL", "DEN", "GSW", "HOU", "LAC", "LAL", "MIA", "MIL", "MIN", "BKN",
        "NYK", "ORL", "IND", "PHI", "PHX", "POR", "SAC", "SAS", "OKC", "TOR", "UTA", "MEM", "WAS", "DET", "CHA",
    ))
}  # fmt: skip
"""Abbreviation to stats.nba.com's TEAM_ID."""

FEED_VARIANTS: Mapping[str, str] = {
    "Los Angeles Clippers": "LAC",  # The Odds API
    "L.A. Clippers": "LAC",
    "LA Lakers": "LAL",
    "L.A. Lakers": "LAL",
    "Philadelphia Sixers": "PHI",
    "Portland Trailblazers": "POR",
    "BRK": "BKN",  # Basketball-Reference and RealGM
    "CHO": "CHA",  # Basketball-Reference
    "PHO": "PHX",
    "GOS": "GSW",  # RealGM
    "PHL": "PHI",
    "SAN": "SAS",
    "UTH": "UTA",
}
"""Other ways in which feeds write a team."""


_BY_SLUG = {
    slugify(spelled): code
    for spelled, code in (
        *FEED_VARIANTS.items(),
        *((code, code) for code in NBA_TEAMS),
        *((name, code) for code, name in NBA_TEAMS.items()),
    )
}


def is_team(name: Any) -> bool:
    """Return whether a name is one of an NBA team."""
    return slugify(str(name)) in _BY_SLUG


def abbreviation(name: Any) -> str:
    """Return a team's abbreviation; case, accents and dots don't matter.

    Raises:
        ValueError: no team has this name; the message names the one that it most resembles.
    """
    spelled = str(name)
    code = _BY_SLUG.get(slugify(spelled))
    if code is None:
        full_names = {slugify(full): full for full in NBA_TEAMS.values()}
        closest = difflib.get_close_matches(slugify(spelled), full_names, n=1, cutoff=0.6)
        hint = f" (is it {full_names[closest[0]]!r}?)" if closest else ""
        raise ValueError(f"unknown team {spelled!r}{hint}")
    return code

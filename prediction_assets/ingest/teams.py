"""Teams: how the odds feeds write the NBA's teams, and the abbreviations that the game logs use.

A fact table, and a lookup that never guesses: an unknown name is refused with the closest known one as a
hint. A simulated league brings its own :class:`TeamNames`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

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

FEED_VARIANTS: Mapping[str, str] = {
    "Los Angeles Clippers": "LAC",  # The Odds API
    "L.A. Clippers": "LAC",
    "LA Lakers": "LAL",
    "L.A. Lakers": "LAL",
    "Philadelphia Sixers": "PHI",
    "Portland Trailblazers": "POR",
}
"""Other ways in which feeds write a team."""


@dataclass(frozen=True)
class TeamNames:
    """A league's team names.

    Args:
        full_names: abbreviation to full name; an abbreviation also stands for itself.
        variants: other spelling to abbreviation.
    """

    full_names: Mapping[str, str]
    variants: Mapping[str, str] = field(default_factory=dict)
    _by_slug: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_slug = {slugify(name): code for name, code in self.variants.items()}
        by_slug |= {slugify(code): code for code in self.full_names}
        by_slug |= {slugify(name): code for code, name in self.full_names.items()}
        object.__setattr__(self, "_by_slug", by_slug)

    def abbreviation(self, name: str) -> str | None:
        """Return a team's abbreviation, None for an unknown name; case, accents and dots don't matter."""
        return self._by_slug.get(slugify(name))

    def closest(self, name: str) -> str | None:
        """Return the full name that an unknown name most resembles, None if none does."""
        by_slug = {slugify(full): full for full in self.full_names.values()}
        found = difflib.get_close_matches(slugify(name), by_slug, n=1, cutoff=0.6)
        return by_slug[found[0]] if found else None


NBA_TEAM_NAMES = TeamNames(NBA_TEAMS, FEED_VARIANTS)

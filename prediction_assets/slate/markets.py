"""The markets: what of a player's game is predicted, each with the name that The Odds API gives it.

A market counts one stat, or the sum of several. What doesn't belong here: how a stat is counted in a game log
(:mod:`prediction_assets.nba.forecasting.stats`), and which markets an installation predicts (the settings).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Market:
    """What one market counts."""

    name: str  # as books, feeds and rows name it
    stats: tuple[str, ...]  # the stats that it adds up
    most: int  # the most of it in one game: a line beyond is a mistake of the feed

    @property
    def label(self) -> str:
        """What it counts, for people: ``points + rebounds``."""
        return " + ".join(self.stats)

    @property
    def most_predicted(self) -> int:
        """The most that a forecast of it may say, a fifth above what was ever reached."""
        return self.most * 6 // 5


_MOST = {
    "points": 100,  # Chamberlain, 1962-03-02
    "rebounds": 55,  # Chamberlain, 1960-11-24
    "assists": 30,  # Skiles, 1990-12-30
    "threes": 20,  # the record is 14 (Thompson, 2018-10-29) and is still growing
}
"""The most of each stat of a player in one game. Source: the NBA's record book."""


def _market(name: str, *stats: str) -> Market:
    return Market(name, stats, sum(_MOST[stat] for stat in stats))


ALTERNATE = "_alternate"
"""Ends a feed's name of the ladder of lines around a market's main line."""

POINTS = _market("player_points", "points")

MARKETS: Mapping[str, Market] = {
    market.name: market
    for market in (
        POINTS,
        _market("player_rebounds", "rebounds"),
        _market("player_assists", "assists"),
        _market("player_threes", "threes"),
        _market("player_points_rebounds_assists", "points", "rebounds", "assists"),
        _market("player_points_rebounds", "points", "rebounds"),
        _market("player_points_assists", "points", "assists"),
        _market("player_rebounds_assists", "rebounds", "assists"),
    )
}
"""Every market by its name, in the order in which rows are made and shown."""


def counted(market: str) -> str:
    """Return what follows a number of a market: nothing for points, ``" rebounds + assists"``."""
    return "" if market == POINTS.name else f" {MARKETS[market].label}"


def labelled(market: str, system: str) -> str:
    """Return a system's name, after what it forecasts where that isn't points: ``rebounds + assists: ensemble``."""
    return system if market == POINTS.name else f"{MARKETS[market].label}: {system}"


def of_feed(name: str) -> str | None:
    """Return the market that a feed's name is of, None of another one; a ladder of lines has a name of its own."""
    market = name.removesuffix(ALTERNATE)
    return market if market in MARKETS else None

"""Means of measures with their errors and intervals by game, and the groups that they are given for. Pure functions.

Players of one game depend on each other, so games are what is drawn. Only sums are kept: those of two slates add up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date
from math import sqrt
from typing import Any

import numpy as np

from prediction_assets.nba.forecasting.market_aware import AWAY_DAYS
from prediction_assets.nba.forecasting.rows import Floats
from prediction_assets.nba.forecasting.special import normal_quantile, student_quantile

ALL, STARTERS, BENCH, FIRST_DAYS, RETURNING = "all", "starters", "bench", "first_14_days", "returning"
ROOKIES, MOVED = "rookies", "moved"
"""Groups of graded players; ``all`` has everybody. Who was away for :data:`.market_aware.AWAY_DAYS` days is returning:
from a summer, or an injury. A rookie has no game of an earlier season, and who has moved has one for another team among
his newest."""

STARTER_MINUTES = 24.0
"""Mean minutes over the last games that make a starter: half of a game. They are known before the game."""

FIRST_DAYS_OF_SEASON = 14

_DIGITS = 9
"""Digits of a sum that are kept, so that every warehouse gives the same number back."""


CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % confidence interval; without limits where one game can't say how games differ."""

    value: float
    low: float | None = None
    high: float | None = None

    def shifted(self, by: float) -> Interval:
        """Return the interval of the figure plus a constant."""
        if self.low is None or self.high is None:
            return Interval(self.value + by)
        return Interval(self.value + by, self.low + by, self.high + by)


def share_of(hits: int, trials: int) -> Interval:
    """Return a share with Wilson's interval ("Probable Inference", 1927), which stays within 0 and 1."""
    z = float(normal_quantile((1 + CONFIDENCE) / 2))
    share, spread = hits / trials, z * z / trials
    center = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return Interval(share, max(0.0, center - half), min(1.0, center + half))


@dataclass(frozen=True, slots=True)
class ByGame:
    """Sums over games from which a measure's mean follows, and its error."""

    count: int = 0  # players in the mean
    games: int = 0  # games with one of them
    total: float = 0.0  # sum of the measure
    squares: float = 0.0  # sum of the games' squared totals
    products: float = 0.0  # sum of each game's total times its players
    sizes: int = 0  # sum of the games' squared numbers of players

    @property
    def mean(self) -> float | None:
        """The mean over the players, None without one."""
        return self.total / self.count if self.count else None

    @property
    def standard_error(self) -> float | None:
        """The mean's standard error, None with fewer than two games.

        The sandwich by game, with the factor games / (games - 1) (Cameron & Miller, "A Practitioner's Guide to
        Cluster-Robust Inference", 2015).
        """
        if self.games < 2:
            return None
        mean = self.total / self.count
        spread = self.squares - 2 * mean * self.products + mean * mean * self.sizes
        return sqrt(max(spread, 0.0) * self.games / (self.games - 1)) / self.count

    @property
    def interval(self) -> Interval | None:
        """The mean with Student's interval, None without a player."""
        mean, error = self.mean, self.standard_error
        if mean is None or error is None:
            return None if mean is None else Interval(mean)
        half = error * student_quantile(self.games - 1, (1 + CONFIDENCE) / 2)
        return Interval(mean, mean - half, mean + half)


Measures = Mapping[str, Mapping[str, ByGame]]
"""By group and name of the measure."""


def by_game(values: Floats, games: Sequence[str]) -> ByGame:
    """Return the sums of a measure, shape (n,), over the games of its n players; NaN is left out."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return ByGame()
    _, game = np.unique(np.array(games, dtype=str)[known], return_inverse=True)
    total = np.bincount(game, values[known])
    size = np.bincount(game)
    return ByGame(
        count=len(known),
        games=len(size),
        total=round(float(total.sum()), _DIGITS),
        squares=round(float((total**2).sum()), _DIGITS),
        products=round(float((total * size).sum()), _DIGITS),
        sizes=int((size**2).sum()),
    )


def measured(
    values: Mapping[str, Floats],
    games: Sequence[str],
    players: Sequence[int],
    groups: Mapping[str, Collection[int]],
) -> Measures:
    """Return each measure for everybody and for each group; a group without a player is left out.

    Args:
        values: by name, shape (n,), NaN where a measure doesn't apply.
        games: of the n players.
        players: their ids.
        groups: ids of the players of each group.
    """
    everybody = {ALL: np.ones(len(players), dtype=bool)}
    chosen = everybody | {
        group: np.array([player in ids for player in players], dtype=bool) for group, ids in groups.items()
    }
    return {
        group: {name: by_game(np.where(inside, each, np.nan), games) for name, each in values.items()}
        for group, inside in chosen.items()
        if inside.any()
    }


def add_up(parts: Iterable[Measures]) -> Measures:
    """Return the measures of several slates together."""
    found: dict[str, dict[str, ByGame]] = {}
    for measures in parts:
        for group, by_name in measures.items():
            for name, each in by_name.items():
                before = found.setdefault(group, {}).get(name, ByGame())
                sums = (a + b for a, b in zip(astuple(before), astuple(each), strict=True))
                found[group][name] = ByGame(*sums)
    return found


def groups_of(
    candidates: Iterable[Mapping[str, Any]], slate: date, *, is_first_days: bool
) -> dict[str, set[int]]:
    """Return the players of each group of one slate.

    Args:
        candidates: ``player_id``, ``average_minutes``, ``last_game``, ``is_rookie`` and ``has_moved``; a newcomer has
            only the first, and is in no role.
        is_first_days: the slate is within :data:`FIRST_DAYS_OF_SEASON` of the season's first game.
    """
    groups: dict[str, set[int]] = {
        name: set() for name in (STARTERS, BENCH, ROOKIES, MOVED, FIRST_DAYS, RETURNING)
    }
    for candidate in candidates:
        player, minutes = int(str(candidate["player_id"])), candidate.get("average_minutes")
        if minutes is not None:
            groups[STARTERS if float(str(minutes)) >= STARTER_MINUTES else BENCH].add(player)
        for group, column in ((ROOKIES, "is_rookie"), (MOVED, "has_moved")):
            if candidate.get(column):
                groups[group].add(player)
        if is_first_days:
            groups[FIRST_DAYS].add(player)
        last = candidate.get("last_game")
        if last is not None and (slate - last).days >= AWAY_DAYS:
            groups[RETURNING].add(player)
    return groups

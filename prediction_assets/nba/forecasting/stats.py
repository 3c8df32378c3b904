"""The stats that markets add up: how a game log counts each, and how forecasts of several make one of their sum.

The systems are written for points. A further stat is forecast by the same systems from the same features, with its
count in the place of points, in units of which a usual player has as many as points: then rates, priors and limits hold
for it. A snapshot has the features of a further stat in columns of their own, in those units. What doesn't belong here:
the names of markets (:mod:`prediction_assets.slate.markets`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from prediction_assets.errors import BadInput, TransientError
from prediction_assets.nba.forecasting.distribution import Distribution
from prediction_assets.nba.forecasting.features import FEATURES_SCHEMA, conform
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL, POINTS_COUNTED
from prediction_assets.nba.forecasting.rows import Floats
from prediction_assets.slate.markets import MARKETS
from prediction_assets.slate.markets import POINTS as POINTS_MARKET

POINTS = "points"


@dataclass(frozen=True, slots=True)
class Stat:
    """A stat of a game log."""

    count: str  # the expression over the columns of `facts.game_logs` that counts it, a whole number
    # as many of it as are counted as one: 4.3 rebounds, 2.8 assists and 1.3 threes are as usual as 12 points
    unit: int


STATS: Mapping[str, Stat] = {
    POINTS: Stat("points", 1),
    "rebounds": Stat("(offensive_rebounds + defensive_rebounds)", 3),
    "assists": Stat("assists", 4),
    "threes": Stat("three_pointers_made", 9),
}
"""The stats by name, points first."""

CORRELATIONS: Mapping[frozenset[str], float] = {
    frozenset({"points", "rebounds"}): 0.31,
    frozenset({"points", "assists"}): 0.18,
    frozenset({"rebounds", "assists"}): 0.22,
}
"""Pearson correlations of the ensemble's standardized errors of two stats of one player in one game: on the 19,314
expected player-games of 2023-24, by a model of the seasons before."""

_KEYS = ("game_id", "player_id")
_SEPARATOR = "__"


def further_stats(markets: Iterable[str]) -> tuple[str, ...]:
    """Return the stats beside points that these markets add up."""
    wanted = {stat for name in markets for stat in MARKETS[name].stats}
    return tuple(stat for stat in STATS if stat in wanted and stat != POINTS)


def predictable(markets: Iterable[str], table: pa.Table) -> tuple[str, ...]:
    """Return those of the markets beside points whose stats all have features in a table."""
    known = {POINTS, *stats_in(table)}
    chosen = set(markets) - {POINTS_MARKET.name}
    return tuple(name for name in MARKETS if name in chosen and known.issuperset(MARKETS[name].stats))


def stats_in(table: pa.Table) -> tuple[str, ...]:
    """Return the stats beside points that a table has features of."""
    return tuple(stat for stat in STATS if _name(stat, POINTS) in table.column_names)


def features_sql(stat: str) -> str:
    """Return :data:`.features_sql.FEATURES_SQL` with a stat, in its units, in the place of points."""
    chosen = STATS[stat]
    return FEATURES_SQL.replace(POINTS_COUNTED, f"{chosen.unit} * {chosen.count} AS points")


def with_stat(table: pa.Table, stat: str, counted: pa.Table) -> pa.Table:
    """Return a table of features with those of a further stat beside them.

    Args:
        counted: the same players and games in the same order, with the stat in the place of points.

    Raises:
        TransientError: the rows are others, because a game log came in between the two queries.
    """
    if any(not counted[key].equals(table[key]) for key in _KEYS):
        raise TransientError(f"game logs changed while the features of {stat} were read")
    for name in FEATURES_SCHEMA.names:
        if {"points", "lineup", "defence"}.intersection(name.split("_")):
            table = table.append_column(_name(stat, name), counted[name])
    return table


def of_stat(table: pa.Table, stat: str) -> pa.Table:
    """Return the rows of :data:`.features.FEATURES_SCHEMA` with a stat, in its units, in the place of points.

    Raises:
        BadInput: the table has no features of it, or lacks another column.
    """
    if stat != POINTS:
        if stat not in stats_in(table):
            raise BadInput(
                "feature snapshot", f"has no features of {stat}", hint="materialize player_features again"
            )
        there = [name for name in FEATURES_SCHEMA.names if name in table.column_names]
        replaced = {name: _name(stat, name) for name in there if _name(stat, name) in table.column_names}
        table = pa.table({name: table[replaced.get(name, name)] for name in there})
    return conform(table)


def unit_of(stats: Sequence[str]) -> float:
    """Return how many points are as usual as one of a sum of stats."""
    return 1 / sum(1 / STATS[stat].unit for stat in stats)


def total(stats: Sequence[str], forecasts: Sequence[Distribution]) -> Distribution:
    """Return the distribution of the sum of several stats of each row.

    Means add up. The variance is that of correlated errors: the sum of the products of all pairs of standard
    deviations, each times the pair's correlation (:data:`CORRELATIONS`).

    Args:
        stats: which ones.
        forecasts: the distribution of each, shape (n,).
    """
    mean = sum((forecast.mean for forecast in forecasts[1:]), forecasts[0].mean)
    variance: Floats = np.zeros(len(mean))
    for first, one in zip(stats, forecasts, strict=True):
        for second, other in zip(stats, forecasts, strict=True):
            together = one.standard_deviation * other.standard_deviation
            variance += together * (1.0 if first == second else CORRELATIONS[frozenset({first, second})])
    return Distribution(mean, np.sqrt(variance) if len(stats) > 1 else forecasts[0].standard_deviation)


def _name(stat: str, column: str) -> str:
    return f"{stat}{_SEPARATOR}{column}"

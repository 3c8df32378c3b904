"""System ``gradient_boosting``: boosted regression trees on all features, correcting a simple forecast.

:func:`fit_network_mean` has a network (:mod:`.network`) in the place of the trees: a member of ``ensemble`` alone.

The trees (:mod:`.trees`) learn the median (quantile loss at one half: Koenker & Bassett, "Regression Quantiles", 1978)
of the Pearson residual of a simple forecast (McCullagh & Nelder, *Generalized Linear Models*, 1989, ch. 2.4: the error
over the root of a Poisson-like variance). The opponent enters as ``matchup``'s factor, so that a weaker defence never
lowers a forecast. Minutes are not forecast first here: alone the error is the same, and in the ensemble it is larger,
because the ensemble gains from members whose errors differ. Medians beside means differ for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from prediction_assets.nba.forecasting.features import FEATURE_COLUMNS
from prediction_assets.nba.forecasting.matchup import Matchup
from prediction_assets.nba.forecasting.matchup import fit_mean as fit_matchup
from prediction_assets.nba.forecasting.minutes import COLUMNS as MINUTES_COLUMNS
from prediction_assets.nba.forecasting.minutes import DESIGN_COLUMNS as MINUTES_DESIGN_COLUMNS
from prediction_assets.nba.forecasting.minutes import minutes_design, scoring_rate, weighted_minutes
from prediction_assets.nba.forecasting.moving_average import MovingAverage, weighted_sum
from prediction_assets.nba.forecasting.network import Network, fit_network
from prediction_assets.nba.forecasting.rows import Floats, History, Rows
from prediction_assets.nba.forecasting.spread import DEFAULT_COEFFICIENTS
from prediction_assets.nba.forecasting.trees import Trees, fit_trees

RATIOS = (("team_points_last_15", "league_points"), ("team_pace_last_15", "league_pace"))
"""Team levels, for the trees relative to the league's."""

UNSEEN = (
    "league_points", "league_pace", "team_points_last_15", "team_pace_last_15",
    "opponent_points_allowed_last_15", "opponent_pace_last_15", "opponent_defence",
)  # fmt: skip
"""Columns that the trees don't get. The league's level differs between dates only, so splits on it learn the calendar
(0.017 points of mean absolute error on a season fitted before it). The opponent enters as a factor."""

COLUMNS = tuple(
    c.name
    for c in FEATURE_COLUMNS
    if c.name not in (*UNSEEN, *MINUTES_COLUMNS) and not c.name.startswith("recent_")
)
"""The trees' columns beside :func:`.minutes.minutes_design`."""

DESIGN_COLUMNS = len(COLUMNS) + MINUTES_DESIGN_COLUMNS + len(RATIOS) + 2
"""Columns that the trees compare."""

MINIMUM_ROWS = 400
"""Rows below which trees only memorise; the simple forecast is used instead."""


@dataclass(frozen=True, slots=True, eq=False)
class GradientBoosting:
    """The fitted correction and the opponent's factor; without a correction, the simple forecast."""

    matchup: Matchup
    correction: Trees | Network | None = None
    lift: float = 0.0  # by how much the mean exceeds the median, relative to `_skew`

    def __call__(self, rows: Rows) -> Floats:
        forecast = _simple(rows)
        if self.correction is not None and len(rows):
            middle = np.maximum(forecast + self.correction(_design(rows)) * _scale(forecast), 0.0)
            forecast = middle + self.lift * _skew(middle)
        return forecast * self.matchup.factor(rows)


def fit_mean(history: History) -> GradientBoosting:
    """Fit trees to the regulars' training rows; with too few, or no point scored, there are none."""
    return _fit_mean(history, partial(fit_trees, loss="absolute_error", scale=1.25, max_features=0.5))


def fit_network_mean(history: History) -> GradientBoosting:
    """Fit a network in the place of the trees."""
    return _fit_mean(history, fit_network)


def _fit_mean(
    history: History, fit: Callable[[Floats, Floats], tuple[Trees | Network, Floats]]
) -> GradientBoosting:
    matchup, rows = history.fitted(fit_matchup), history.regulars
    context = Matchup(0.0, matchup.exponents)
    if len(rows) < MINIMUM_ROWS or not rows["points"].sum() > 0:
        return GradientBoosting(context)
    simple, points = _simple(rows), rows["points"] / matchup.factor(rows)
    correction, said = fit(_design(rows), (points - simple) / _scale(simple))
    middle = np.maximum(simple + said * _scale(simple), 0.0)
    lift = float(np.clip(np.mean(points - middle) / np.mean(_skew(middle)), 0.0, 3.0))
    return GradientBoosting(context, correction, lift)


def _skew(middle: Floats) -> Floats:
    """Return about how much a mean exceeds its median, points: variance / (6 mean) of :mod:`.distribution`'s gamma."""
    constant, slope, _ = DEFAULT_COEFFICIENTS
    return (constant / np.maximum(middle, 2.0) + slope) / 6.0


def _simple(rows: Rows) -> Floats:
    """Return the simple forecast that the trees correct, points, shape (n,)."""
    return 0.5 * weighted_minutes(rows) * scoring_rate(rows) + 0.5 * MovingAverage()(rows)


def _scale(simple: Floats) -> Floats:
    """Return the unit of the residuals, points; never 0, so that a player without a point has a finite forecast."""
    return np.sqrt(simple + 1.0)


def _design(rows: Rows) -> Floats:
    points, weight = weighted_sum(rows, "recent_points", 10.0)
    return np.column_stack(
        [
            rows.matrix(COLUMNS),
            minutes_design(rows),
            *(rows[team] / np.maximum(rows[league], 1.0) for team, league in RATIOS),
            points / np.maximum(weight, 1e-9),
            scoring_rate(rows),
        ]
    )

"""System ``gradient_boosting``: boosted regression trees on all features, correcting a simple forecast.

The trees (:mod:`.trees`) learn the Pearson residual of a simple forecast (McCullagh & Nelder, *Generalized Linear
Models*, 1989, ch. 2.4: the error over the root of a Poisson-like variance), so that few and small ones suffice. They
may only grow with recent minutes and with the weakness of the opponent's defence. Minutes are not forecast first here:
that measures the same alone, and worse beside ``matchup`` in the ensemble, which lives on members that err apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.forecasting.features import FEATURE_COLUMNS
from prediction_assets.forecasting.minutes import COLUMNS as MINUTES_COLUMNS
from prediction_assets.forecasting.minutes import minutes_design, scoring_rate, weighted_minutes
from prediction_assets.forecasting.moving_average import MovingAverage, weighted_sum
from prediction_assets.forecasting.rows import Floats, History, Rows
from prediction_assets.forecasting.trees import Trees, fit_trees

RATIOS = (
    ("team_points_last_15", "league_points"),
    ("team_pace_last_15", "league_pace"),
    ("opponent_pace_last_15", "league_pace"),
)
"""Team levels as the trees see them: relative to the league's."""

LEVELS = ("league_points", "league_pace", "opponent_points_allowed_last_15", *(team for team, _ in RATIOS))
"""Columns that the trees don't see: the league's level hardly differs but between dates, so that splits on it learn
the calendar (0.017 points of mean absolute error on a season fitted before it)."""

COLUMNS = tuple(
    c.name
    for c in FEATURE_COLUMNS
    if c.name not in (*LEVELS, *MINUTES_COLUMNS) and not c.name.startswith("recent_")
)
"""What the trees see beside :func:`.minutes.minutes_design`."""

INCREASING = ("opponent_defence", "minutes_last_1", "minutes_last_3", "minutes_last_5", "minutes_last_10")
"""Columns whose increase must never lower a forecast."""

MINIMUM_ROWS = 400
"""Rows below which trees only memorise; the simple forecast answers instead."""


@dataclass(frozen=True, slots=True, eq=False)
class GradientBoosting:
    """The fitted trees; without trees, the simple forecast."""

    trees: Trees | None = None

    def __call__(self, rows: Rows) -> Floats:
        """Return expected points, shape (n,)."""
        simple = _simple(rows)
        if self.trees is None or not len(rows):
            return simple
        return np.maximum(simple + self.trees(_design(rows)) * _scale(simple), 0.0)


def fit_mean(history: History) -> GradientBoosting:
    """Fit the trees to the regulars' training rows; with too few, or no point scored, do without."""
    rows = history.regulars
    if len(rows) < MINIMUM_ROWS or not rows["points"].sum() > 0:
        return GradientBoosting()
    simple = _simple(rows)
    names = (*COLUMNS, *MINUTES_COLUMNS)
    increasing = [names.index(name) for name in INCREASING]
    trees, _ = fit_trees(_design(rows), (rows["points"] - simple) / _scale(simple), increasing)
    return GradientBoosting(trees)


def _simple(rows: Rows) -> Floats:
    """Return the simple forecast that the trees correct, points, shape (n,)."""
    return 0.5 * weighted_minutes(rows) * scoring_rate(rows) + 0.5 * MovingAverage()(rows)


def _scale(simple: Floats) -> Floats:
    """Return the unit of the residuals, points: the 1 keeps the forecast of a man who never scores finite."""
    return np.sqrt(simple + 1.0)


def _design(rows: Rows) -> Floats:
    points, weight = weighted_sum(rows["recent_points"], 10.0)
    return np.column_stack(
        [
            rows.matrix(COLUMNS),
            minutes_design(rows),
            *(rows[team] / np.maximum(rows[league], 1.0) for team, league in RATIOS),
            points / np.maximum(weight, 1e-9),
            scoring_rate(rows),
        ]
    )

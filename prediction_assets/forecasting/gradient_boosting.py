"""System ``gradient_boosting``: boosted regression trees on all features, correcting a simple forecast.

Method: Friedman, "Greedy Function Approximation: A Gradient Boosting Machine" (2001), as histogram trees (Ke
et al., "LightGBM", 2017) in scikit-learn's ``HistGradientBoostingRegressor``. The trees learn the Pearson
residual of a simple forecast (McCullagh & Nelder, 1989, ch. 2.4: the error over the root of a Poisson-like
variance), so that thirty small trees suffice. Regulars of seven weeks of 2024-25: mean absolute error 5.034 in
0.28 s, against 5.053 in 0.58 s for seventy trees with Poisson loss on the points themselves, and 5.039 for Poisson
loss with the forecast as exposure. One thread and a fixed seed: the same rows give the same trees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from prediction_assets.forecasting.features import FEATURE_COLUMNS
from prediction_assets.forecasting.matchup import unadjusted
from prediction_assets.forecasting.moving_average import MovingAverage, weighted_sum
from prediction_assets.forecasting.rows import Floats, History, Rows

RATIOS = (
    ("team_points_last_15", "league_points"),
    ("team_pace_last_15", "league_pace"),
    ("opponent_pace_last_15", "league_pace"),
)
"""Team levels as the trees see them: relative to the league's."""

LEVELS = ("league_points", "league_pace", "opponent_points_allowed_last_15", *(team for team, _ in RATIOS))
"""Columns that the trees don't see: the league's level hardly differs but between dates, so that splits on it learn
the calendar (0.017 points of mean absolute error on a season fitted before it)."""

COLUMNS = tuple(c.name for c in FEATURE_COLUMNS if c.name not in LEVELS and not c.name.startswith("recent_"))

TRAINING_ROWS = 26_000
"""Newest training rows used: one season. Half a season more changes the error by less than 0.002 points."""

MINIMUM_ROWS = 400
"""Rows below which trees only memorise; the moving average's defaults answer instead."""

RANDOM_STATE = 20_240_101


@dataclass(frozen=True, slots=True, eq=False)
class GradientBoosting:
    """The fitted trees."""

    model: HistGradientBoostingRegressor

    def __call__(self, rows: Rows) -> Floats:
        """Return expected points, shape (n,)."""
        if not len(rows):
            return np.empty(0)
        simple = _simple(rows)
        residual: Floats = self.model.predict(_design(rows))
        return np.maximum(simple + residual * _scale(simple), 0.0)


def fit_mean(history: History) -> GradientBoosting | MovingAverage:
    """Fit the trees to the newest training rows; with too few, or no point scored, fall back."""
    rows = history.newest(TRAINING_ROWS)
    if len(rows) < MINIMUM_ROWS or not rows["points"].sum() > 0:
        return MovingAverage()
    model = HistGradientBoostingRegressor(
        loss="squared_error",
        learning_rate=0.1,
        max_iter=30,
        max_leaf_nodes=8,
        min_samples_leaf=200,
        l2_regularization=50.0,
        max_bins=63,  # a fifth faster than 255, at the same error
        early_stopping=False,
        random_state=RANDOM_STATE,
    )
    design, simple = _design(rows), _simple(rows)
    design[:, ~np.isfinite(design).any(axis=0)] = 0.0  # scikit-learn can't bin a column without a value
    with threadpool_limits(limits=1, user_api="openmp"):  # a parallel sum's rounding depends on its threads
        model.fit(design, (rows["points"] - simple) / _scale(simple))
    return GradientBoosting(model)


def _simple(rows: Rows) -> Floats:
    """Return the simple forecast that the trees correct, points, shape (n,)."""
    return 0.5 * unadjusted(rows) + 0.5 * MovingAverage()(rows)


def _scale(simple: Floats) -> Floats:
    """Return the unit of the residuals, points: the 1 keeps the forecast of a man who never scores finite."""
    return np.sqrt(simple + 1.0)


def _design(rows: Rows) -> Floats:
    minutes, minutes_weight = weighted_sum(rows["recent_minutes"], 4.0)
    points, points_weight = weighted_sum(rows["recent_points"], 10.0)
    return np.column_stack(
        [
            rows.matrix(COLUMNS),
            *(rows[team] / np.maximum(rows[league], 1.0) for team, league in RATIOS),
            minutes / np.maximum(minutes_weight, 1e-9),
            points / np.maximum(points_weight, 1e-9),
        ]
    )

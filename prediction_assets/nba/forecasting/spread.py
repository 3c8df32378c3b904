"""The standard deviation of every system: how far a player's points are from a forecast.

The variance is a quadratic in the mean (a negative binomial with a floor), fitted to errors that the system
made out of sample, and scaled by the player's own recent variance. What doesn't belong here: the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.nba.forecasting.rows import Floats, Rows

DEFAULT_COEFFICIENTS = (8.7, 2.6, 0.0)
"""Variance = a + b*mean + c*mean^2 where there are no past errors to learn from: the moving average's errors
on 78,300 player-games of 2022-25, within 8 % of the observed variance between a mean of 2 and of 30
points."""

OWN_GAMES = 60.0
"""Games' worth of the league's relation mixed into a player's own variance: his last 20 games then have a weight of
1/4."""

OWN_BOUNDS = (0.6, 1.6)
"""Limits of the player's own variance relative to the league's at his level."""

WIDER = 1.01
"""Standard deviation relative to the one of past errors, because seasons differ: of a model of the seasons before, the
80 % intervals cover 79.9 % in 2022-23, 80.1 % in 2023-24 and 78.3 % in 2024-25 without it. A hundredth is worth half a
percent."""

SMALLEST_OVERDISPERSION = 1.05
"""Least ratio of variance and mean, so that the negative binomial exists; observed are 2.7 (stars) to 7
(reserves)."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Variance as a quadratic in the mean, scaled to the player."""

    coefficients: tuple[float, float, float] = DEFAULT_COEFFICIENTS

    def variance(self, mean: Floats) -> Floats:
        """Return the league's variance at a mean, points^2, shape of ``mean``."""
        a, b, c = self.coefficients
        return a + b * mean + c * mean * mean

    def standard_deviation(self, mean: Floats, rows: Rows) -> Floats:
        """Return the standard deviation of the rows' points, shape (n,): finite and positive."""
        return WIDER * np.sqrt(
            np.maximum(self.variance(mean) * own_ratio(self, rows), SMALLEST_OVERDISPERSION * mean)
        )


def own_ratio(spread: Spread, rows: Rows) -> Floats:
    """Return the player's recent variance relative to the league's at his recent mean, shrunk to 1: shape
    (n,).

    The shrinkage is the empirical-Bayes weight n/(n + k) (Efron & Morris, 1977).
    """
    games = np.minimum(np.nan_to_num(rows["games_last_25"]), 20.0)
    own = rows["points_deviation_last_20"] ** 2
    expected = spread.variance(np.nan_to_num(rows["points_last_10"]))
    ratio = np.where(np.isfinite(own), own / np.maximum(expected, 1e-9), 1.0)
    weight = games / (games + OWN_GAMES)
    return np.clip(weight * ratio + (1 - weight), *OWN_BOUNDS)


def fit_spread(mean: Floats, rows: Rows) -> Spread:
    """Fit the relation to out-of-sample forecasts ``mean`` of rows with a result (both of length n, n >=
    300).

    Non-negative least squares of the squared errors on (1, mean, mean^2), each row divided by the variance it
    is expected to have (iteratively reweighted once: Davidian & Carroll, 1987).
    """
    from scipy import optimize  # only a fit needs it, and it takes a tenth of a slate's import time

    squared = (rows["points"] - mean) ** 2
    design = np.column_stack([np.ones_like(mean), mean, mean * mean])
    spread = Spread()
    for _ in range(2):
        scale = 1.0 / np.maximum(spread.variance(mean), 1.0)
        coefficients, _residual = optimize.nnls(design * scale[:, None], squared * scale)
        spread = Spread((float(coefficients[0]), float(coefficients[1]), float(coefficients[2])))
    return spread

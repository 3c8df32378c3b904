"""System ``ensemble``: a weighted mean of the others, weighted by how they did on games they hadn't seen.

Method: forecast combination by inverse error (Bates & Granger, "The Combination of Forecasts", 1969) with the
power of Aiolfi & Timmermann ("Persistence in forecasting performance and conditional combination strategies",
2006). Regressing on the members (Breiman, "Stacked Regressions", 1996) was tried and is no better: their
forecasts correlate at 0.98, so that its weights are mostly noise (Smith & Wallis, "A Simple Explanation of
the Forecast Combination Puzzle", 2009).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prediction_assets.forecasting.rows import Floats, Rows

POWER = 80.0
"""Power of the inverse error. Members differ by 0.3-3 % in squared error: one that is 1 % behind the best gets 0.45
times its weight, one that is 3 % behind a tenth. Errors on ten weeks of 2023-25 are flat between 40 and 100."""

VARIANCE_FLOOR = 2.0
"""Points^2. Added to the mean where errors are divided by the variance that they are expected to have."""


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleMean:
    """The weighted mean of the members' means."""

    members: tuple[Callable[[Rows], Floats], ...]
    weights: tuple[float, ...]

    def __call__(self, rows: Rows) -> Floats:
        """Return expected points, shape (n,)."""
        total = np.zeros(len(rows))
        for weight, member in zip(self.weights, self.members, strict=True):
            total += weight * _once(rows, member)
        return total


def fit_weights(forecasts: Floats, points: Floats) -> tuple[float, ...]:
    """Return non-negative weights that add up to 1.

    Args:
        forecasts: out-of-sample means, shape (n, members), n >= 300.
        points: what happened, shape (n,).
    """
    variance = (
        forecasts.mean(axis=1) + VARIANCE_FLOOR
    )  # else the twenty best scorers would choose the weights
    error = np.maximum(np.mean((forecasts - points[:, None]) ** 2 / variance[:, None], axis=0), 1e-9)
    weights = (error / error.min()) ** -POWER
    return tuple(float(weight) for weight in weights / weights.sum())


def _once(rows: Rows, member: Callable[[Rows], Floats]) -> Floats:
    return rows.once(member, lambda: member(rows))

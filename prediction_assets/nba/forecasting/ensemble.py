"""System ``ensemble``: a mean of the other systems, weighted by their errors on games that they had not seen.

Method: forecast combination by inverse error (Bates & Granger, "The Combination of Forecasts", 1969) with the
power of Aiolfi & Timmermann ("Persistence in forecasting performance and conditional combination strategies",
2006). The errors are those of fits that never saw the games. Regressing on the members (Breiman, "Stacked Regressions",
1996) was tried and is worse: their forecasts correlate at 0.98, so that its weights are mostly noise (Smith &
Wallis, "A Simple Explanation of the Forecast Combination Puzzle", 2009).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prediction_assets.nba.forecasting.rows import Floats, Rows

POWER = 150.0
"""Power of the inverse error: a member that is 0.5 % behind the best in squared error gets 0.47 times its weight, one
that is 3 % behind a hundredth. On 2023-24 any weights of the best two between 0.3 and 0.6 give errors within 0.001."""

VARIANCE_FLOOR = 2.0
"""Points^2. Mean plus this is the expected variance that squared errors are divided by."""


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleMean:
    """The weighted mean of the members' means."""

    members: tuple[Callable[[Rows], Floats], ...]
    weights: tuple[float, ...]

    def __call__(self, rows: Rows) -> Floats:
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
    # Without the division by the variance, the twenty best scorers would decide the weights.
    variance = np.maximum(forecasts.mean(axis=1), 0.0) + VARIANCE_FLOOR
    error = np.maximum(np.mean((forecasts - points[:, None]) ** 2 / variance[:, None], axis=0), 1e-9)
    weights = (error / error.min()) ** -POWER
    return tuple(float(weight) for weight in weights / weights.sum())


def _once(rows: Rows, member: Callable[[Rows], Floats]) -> Floats:
    return rows.once(member, lambda: member(rows))

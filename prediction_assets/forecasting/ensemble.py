"""System ``ensemble``: a weighted mean of the others, weighted by how they did on games they hadn't seen.

Method: stacking (Wolpert, "Stacked Generalization", 1992) as a non-negative least-squares regression on the members
(Breiman, "Stacked Regressions", 1996) whose weights add up to one, shrunk to equal ones (Smith & Wallis, "A
Simple Explanation of the Forecast Combination Puzzle", 2009). The members' forecasts are those of fits that never saw
the games.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from prediction_assets.forecasting.rows import Floats, Rows

PRIOR_ROWS = 300.0
"""Rows' worth of equal weights mixed in: members correlate at 0.98, so that unbounded weights are mostly noise."""

SUM_TO_ONE = 1e4
"""Weight of the condition that the weights add up to 1: far beyond any error."""

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
    members = forecasts.shape[1]
    middle = forecasts.mean(axis=1)
    # Errors in units of their expected size: else the twenty best scorers would choose the weights.
    unit = 1.0 / np.sqrt(np.maximum(middle, 0.0) + VARIANCE_FLOOR)
    prior = np.sqrt(PRIOR_ROWS) * np.mean(np.std(forecasts, axis=1) * unit)
    design = np.vstack(
        [forecasts * unit[:, None], prior * np.eye(members), np.full((1, members), SUM_TO_ONE)]
    )
    target = np.concatenate([points * unit, np.full(members, prior / members), [SUM_TO_ONE]])
    weights, _residual = optimize.nnls(design, target)
    if not weights.sum() > 0:
        return tuple(1.0 / members for _ in range(members))
    return tuple(float(weight) for weight in weights / weights.sum())


def _once(rows: Rows, member: Callable[[Rows], Floats]) -> Floats:
    return rows.once(member, lambda: member(rows))

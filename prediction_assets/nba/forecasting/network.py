"""Small neural networks, trained and evaluated as plain arrays.

Method: one hidden layer of rectifiers, trained by Adam (Kingma & Ba, 2015) on shuffled batches with a rate that falls
to 0. Several, from other starts, are averaged (Hansen & Salamon, "Neural Network Ensembles", 1990): their mean is one
wide network. scikit-learn's networks have no loss for medians. What doesn't belong here: the choice of columns and
targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.nba.forecasting.rows import Floats
from prediction_assets.nba.forecasting.trees import RANDOM_STATE

NETWORKS, UNITS = 5, 32
EPOCHS, BATCH, RATE, DECAY = 6, 512, 0.002, 0.001
"""Passes over the rows, rows of a batch, first learning rate, and weight decay. On 2022-24 16 units, three times the
decay, or the last ten games as columns give errors within 0.001."""

LARGEST = 4.0
"""Standard deviations from its middle that a column's value counts at most."""

_AT_ONCE = 8 * BATCH
"""Rows that the trained network is asked about at once: all units of all rows would take most of a fit's memory."""

STEEP = 3.0
"""Slope of the loss's derivative at an error of 0: the absolute error, rounded off within a third."""


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A fitted network."""

    # of each column, shape (columns,): a value counts as (value - middle) * scale, a missing one as 0
    middle: Floats
    scale: Floats
    hidden: Floats  # each column's weight in each unit, shape (columns, units)
    bias: Floats  # of each unit, shape (units,)
    out: Floats  # of each unit, shape (units,)
    start: float  # what the units add to

    def __call__(self, design: Floats) -> Floats:
        """Return what the network says of rows of shape (n, columns): (n,); NaN is a missing value."""
        # Summed column by column: the rounding of a matrix product depends on the number of rows.
        units = np.repeat(self.bias[:, None], len(design), axis=1)
        for values, weights in zip(_scaled(design, self.middle, self.scale).T, self.hidden, strict=True):
            units += weights[:, None] * values
        said = np.full(len(design), self.start)
        for unit, weight in zip(np.maximum(units, 0.0), self.out, strict=True):
            said += weight * unit
        return said


def fit_network(design: Floats, target: Floats) -> tuple[Network, Floats]:
    """Train a network on the medians of a target; return it and what it says of the training rows, shape (n,).

    Args:
        design: training rows, shape (n, columns), NaN where a value is missing.
        target: what to learn, shape (n,), finite, with a standard deviation of about 2.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    known = np.isfinite(design)
    count = np.maximum(known.sum(axis=0), 1)
    middle = np.where(known, design, 0.0).sum(axis=0) / count
    apart = design - middle
    apart[~known] = 0.0
    deviation = np.sqrt(np.square(apart, out=apart).sum(axis=0) / count)
    del apart, known  # of a season, as large as all else of a fit
    scale = np.where(deviation > 1e-9, 1 / np.maximum(deviation, 1e-9), 0.0)
    rows = _scaled(design, middle, scale)
    # One thread, because a parallel sum's rounding depends on their number. Double precision, because another processor
    # rounds otherwise: in single precision the same rows would give visibly other forecasts there.
    with threadpool_limits(limits=1, user_api="blas"):
        trained = [_train(rows, target, seed) for seed in range(NETWORKS)]
        hidden, bias, out, starts = (np.concatenate(each, axis=-1) for each in zip(*trained, strict=True))
        out, start = out / NETWORKS, float(starts.mean())
        said = np.empty(len(rows))
        for first in range(0, len(rows), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            said[some] = np.maximum(rows[some] @ hidden + bias, 0.0) @ out + start
    return Network(middle, scale, hidden, bias, out, start), said


def _scaled(design: Floats, middle: Floats, scale: Floats) -> Floats:
    scaled = design - middle
    scaled *= scale
    np.clip(scaled, -LARGEST, LARGEST, out=scaled)
    scaled[np.isnan(scaled)] = 0.0
    return scaled


def _train(rows: Floats, target: Floats, seed: int) -> tuple[Floats, ...]:
    """Return hidden weights, biases, outer weights and start of one network: (columns, units), 2 x (units,), (1,)."""
    draw = np.random.default_rng((RANDOM_STATE, seed))
    n, columns = rows.shape
    hidden = draw.normal(0.0, np.sqrt(2 / columns), (columns, UNITS))  # He et al., 2015
    # An untrained network says the target's median.
    weights = (hidden, *np.zeros((2, UNITS)), np.median(target, keepdims=True))
    first, second = ([np.zeros_like(each) for each in weights] for _ in range(2))
    batches = max(n // BATCH, 1)
    step, steps = 0, EPOCHS * batches
    for _ in range(EPOCHS):
        for batch in np.array_split(draw.permutation(n), batches):
            hidden, bias, out, start = weights
            inputs = rows[batch]
            units = np.maximum(inputs @ hidden + bias, 0.0)
            slope = np.tanh(STEEP * (units @ out + start - target[batch])) / len(batch)
            behind = slope[:, None] * out * (units > 0)
            gradients = (
                inputs.T @ behind + DECAY * hidden,
                behind.sum(axis=0),
                units.T @ slope + DECAY * out,
                slope.sum(keepdims=True),
            )
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            for weight, gradient, mean, square in zip(weights, gradients, first, second, strict=True):
                mean += 0.1 * (gradient - mean)
                square += 0.001 * (gradient**2 - square)
                weight -= rate / (1 - 0.9**step) * mean / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weights

"""The distribution of a player's points: a shifted gamma with half a gamma's skew, given by mean and standard
deviation.

What belongs here: turning (mean, standard deviation, line) into a median and into probabilities, vectorised.
What doesn't: where the mean comes from (the systems) and where the standard deviation comes from
(:mod:`.spread`).

Points plus their own mean are gamma distributed (Pearson type III: Johnson, Kotz & Balakrishnan, *Continuous
Univariate Distributions*, vol. 1, 1994, ch. 17), with a continuity correction of half a point. The skew that this
gives, standard deviation / mean, is what forecast errors have: 0.97 to 0.20 from 2-6 to over 19 expected points on the
regulars of 2023-24. A negative binomial has about twice as much, and on those games overestimates the under by 2 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prediction_assets.nba.forecasting.rows import Floats
from prediction_assets.nba.forecasting.special import gamma_survival, log_gamma, normal_quantile

SMALLEST_PROBABILITY = 0.0001
"""No forecast claims certainty: 1 in 10,000 is below the resolution of a season (26,000 player-games)."""

SMALLEST_MEAN = 0.05
"""Points. One point in 20 games is less than any player scores."""

SMALLEST_SHAPE = 0.05
"""Least shape of the gamma: a standard deviation of nine times the mean, which no forecast has."""

LARGEST_SHAPE = 1e8
"""Largest shape of the gamma: a standard deviation of 1/5,000 of the mean. A forecast with less counts as that."""


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """One system's forecast of n rows."""

    mean: Floats  # expected points, shape (n,), positive
    standard_deviation: Floats  # points, shape (n,), positive

    @property
    def median(self) -> Floats:
        """The points that are exceeded half of the time, shape (n,), positive: the least absolute error."""
        return median(self.mean, self.standard_deviation)


def median(mean: npt.ArrayLike, standard_deviation: npt.ArrayLike) -> Floats:
    """Return the distribution's median, never below a tenth of the mean: finite and positive.

    Raises:
        ValueError: an argument isn't finite and positive.
    """
    return np.maximum(quantile(mean, standard_deviation, 0.5), 0.1 * np.asarray(mean, np.float64))


def quantile(mean: npt.ArrayLike, standard_deviation: npt.ArrayLike, share: npt.ArrayLike) -> Floats:
    """Return the points that aren't exceeded with probability ``share``, in (0, 1); 0 or more. Arguments broadcast.

    The gamma's quantile by Wilson & Hilferty ("The Distribution of Chi-Square", 1931): within 0.01 points at the
    median, and within 0.1 from 5 to 95 % where 2 or more points are expected.

    Raises:
        ValueError: a mean or standard deviation isn't finite and positive.
    """
    m, sd, p = _checked(mean, standard_deviation, share)
    shape = np.maximum((2 * m / sd) ** 2, SMALLEST_SHAPE)
    # Below a shape of 1/9 the approximation's base turns negative.
    base = 1 - 1 / (9 * shape) + normal_quantile(p) / (3 * np.sqrt(shape))
    found: Floats = np.maximum(2 * m * np.maximum(base, 0.0) ** 3 - m, 0.0)
    return found


def mean_of(median_points: npt.ArrayLike, standard_deviation: npt.ArrayLike) -> Floats:
    """Return the mean of the distribution that has this median and standard deviation, by bisection.

    The mean of a skewed distribution is above its median, and by less than a standard deviation. Arguments broadcast.
    """
    middle, sd = np.broadcast_arrays(
        np.maximum(np.asarray(median_points, np.float64), SMALLEST_MEAN),
        np.asarray(standard_deviation, np.float64),
    )
    low, high = middle.copy(), middle + sd
    for _ in range(40):
        half = (low + high) / 2
        below = median(half, sd) < middle
        low, high = np.where(below, half, low), np.where(below, high, half)
    found: Floats = (low + high) / 2
    return found


def ranked_probability_score(
    mean: npt.ArrayLike, standard_deviation: npt.ArrayLike, points: Floats
) -> Floats:
    """Return the continuous ranked probability score of points that were scored, in points; 0 is perfect.

    Closed form for the gamma: Scheuerer & Moeller, "Probabilistic Wind Speed Forecasting on a Grid", 2015; a shift
    moves both. The continuity correction has no part in it. For a forecast without spread it is the absolute error,
    within 1/5,000 of the mean.
    """
    m, sd, y = _checked(mean, standard_deviation, points)
    shape = _shape(m, sd)
    scale = 2 * m / shape
    shifted = np.maximum(y, 0.0) + m
    x = shifted / scale
    below = 1 - gamma_survival(shape, x)
    below_next = below - np.exp(shape * np.log(x) - x - log_gamma(shape + 1))  # DLMF 8.8.5
    rate = np.exp(log_gamma(shape + 0.5) - log_gamma(shape)) / np.sqrt(np.pi)
    found: Floats = shifted * (2 * below - 1) - shape * scale * (2 * below_next - 1) - scale * rate
    return found


def probability_over(mean: npt.ArrayLike, standard_deviation: npt.ArrayLike, line: npt.ArrayLike) -> Floats:
    """Return P(points > line), clipped to [0.0001, 0.9999]; it never rises with the line.

    Args:
        mean: expected points, > 0.
        standard_deviation: points, > 0.
        line: points, any finite number; the three arguments broadcast.

    Raises:
        ValueError: an argument isn't finite, or a mean or standard deviation isn't positive.
    """
    m, sd, x = _checked(mean, standard_deviation, line)
    return np.clip(_survival(m, sd, np.floor(x)), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)


def probability_push(mean: npt.ArrayLike, standard_deviation: npt.ArrayLike, line: npt.ArrayLike) -> Floats:
    """Return P(points = line): 0 unless the line is a whole number >= 0.

    It never exceeds 1 - :func:`probability_over`. Arguments and errors as there.
    """
    m, sd, x = _checked(mean, standard_deviation, line)
    over = np.clip(_survival(m, sd, np.floor(x)), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    exactly = _survival(m, sd, x - 1) - _survival(m, sd, x)
    return np.where((x == np.floor(x)) & (x >= 0), np.clip(exactly, 0.0, 1 - over), 0.0)


def _checked(
    mean: npt.ArrayLike, standard_deviation: npt.ArrayLike, line: npt.ArrayLike
) -> tuple[Floats, Floats, Floats]:
    m, sd, x = np.broadcast_arrays(
        np.asarray(mean, np.float64), np.asarray(standard_deviation, np.float64), np.asarray(line, np.float64)
    )
    if not (np.isfinite(m).all() and np.isfinite(sd).all() and np.isfinite(x).all()):
        raise ValueError("mean, standard deviation and line must be finite")
    if (m <= 0).any() or (sd <= 0).any():
        raise ValueError("mean and standard deviation must be positive")
    return m, sd, x


def _shape(m: Floats, sd: Floats) -> Floats:
    """Return the gamma's shape, within the limits that its formulas have."""
    found: Floats = np.clip((2 * m / sd) ** 2, SMALLEST_SHAPE, LARGEST_SHAPE)
    return found


def _survival(m: Floats, sd: Floats, k: Floats) -> Floats:
    """Return P(points > k) for whole k; 1 below zero."""
    shape = _shape(m, sd)
    above = np.maximum(k + 0.5 + m, 0.0) * shape / (2 * m)
    result: Floats = np.where(k < 0, 1.0, gamma_survival(shape, above))
    return result

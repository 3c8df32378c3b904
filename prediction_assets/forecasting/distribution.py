"""The distribution of a player's points: a negative binomial on 0, 1, 2, ... given by mean and standard
deviation.

What belongs here: turning (mean, standard deviation, line) into probabilities, vectorised. What doesn't:
where the mean comes from (the systems) and where the standard deviation comes from (:mod:`.spread`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

SMALLEST_PROBABILITY = 0.0001
"""No forecast claims certainty: 1 in 10,000 is below the resolution of a season (26,000 player-games)."""

SMALLEST_MEAN = 0.05
"""Points. A negative binomial needs a positive mean; 1 game in 20 with a point is less than anyone who
plays."""

POISSON_TOLERANCE = 1e-6
"""Relative distance of variance and mean under which the negative binomial's size exceeds 10^6 times the
mean: its probabilities then equal Poisson's to about six digits, and the incomplete beta function loses
precision."""


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """One system's forecast of n rows.

    Attributes:
        mean: expected points, shape (n,), positive.
        standard_deviation: points, shape (n,), positive.
    """

    mean: Floats
    standard_deviation: Floats


def probability_over(mean: npt.ArrayLike, standard_deviation: npt.ArrayLike, line: npt.ArrayLike) -> Floats:
    """Return P(points > line), clipped to [0.0001, 0.9999]; it never rises with the line.

    Points are negative binomial with the given mean m and variance v > m (size m^2/(v - m)): the usual model
    of over-dispersed counts (Cameron & Trivedi, *Regression Analysis of Count Data*, 2013, ch. 3.3). At v = m
    it is Poisson; at v < m, which no count mixture can have, a normal with continuity correction stands in.

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


def _survival(m: Floats, sd: Floats, k: Floats) -> Floats:
    """Return P(points > k) for whole k; 1 below zero."""
    variance = sd * sd
    k1 = np.maximum(k, -1.0) + 1.0  # k = -1 would put the functions at their pole; it is overwritten below
    excess = variance - m
    over_dispersed = excess > POISSON_TOLERANCE * m
    under_dispersed = excess < -POISSON_TOLERANCE * m
    safe = np.where(over_dispersed, excess, 1.0)
    shifted = np.maximum(k1, 1.0)
    tail = np.where(
        over_dispersed,
        special.betainc(shifted, m * m / safe, safe / (m + safe)),
        special.gammainc(shifted, m),
    )
    tail = np.where(under_dispersed, special.ndtr((m - k - 0.5) / sd), tail)
    result: Floats = np.where(k < 0, 1.0, tail)
    return result

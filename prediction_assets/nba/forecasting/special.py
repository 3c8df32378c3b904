"""Special functions, as array formulas: the gamma distribution's survival, the quantiles of the normal and Student's.

SciPy has them too, but it makes documentation for other array libraries while it is imported: a tenth of a second of
every slate's run.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from prediction_assets.nba.forecasting.rows import Floats

_NODES = 64
"""Points at which an integrand is asked for; with fewer, a shape of 1,000 loses two digits."""

_NEGLIGIBLE = 32.0
"""An integrand of e to the power of minus this is left out: 1e-14 of its peak."""

_AT_ONCE = 200
"""Values whose integrands are in memory at one time: 100 KiB, which the processor keeps near."""

_SHIFT = 10
"""Stirling's series is asked for arguments above this; the recurrence leads there."""


def log_odds(p: npt.ArrayLike) -> Floats:
    """Return log(p / (1 - p)) of probabilities; infinite for 0 and 1."""
    share = np.asarray(p, np.float64)
    with np.errstate(divide="ignore"):
        found: Floats = np.log(share) - np.log1p(-share)
    return found


def probability_of(log_odds: npt.ArrayLike) -> Floats:
    """Return the probabilities with these :func:`log_odds`."""
    found: Floats = 0.5 + 0.5 * np.tanh(0.5 * np.asarray(log_odds, np.float64))
    return found


_CENTRAL = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_MIDDLE = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)  # fmt: skip


def normal_quantile(p: npt.ArrayLike) -> Floats:
    """Return the standard normal distribution's quantile of probabilities in (0, 1), within 1e-15 of its value.

    Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", 1988, PPND16.
    """
    share = np.asarray(p, np.float64)
    off = share - 0.5
    tail = np.sqrt(-np.log(np.minimum(share, 1 - share)))
    found: Floats = np.where(
        np.abs(off) <= 0.425,
        off * _ratio(_CENTRAL, 0.180625 - off * off),
        np.sign(off) * np.where(tail <= 5, _ratio(_MIDDLE, tail - 1.6), _ratio(_FAR, tail - 5)),
    )
    return found


@cache
def student_quantile(degrees: int, p: float) -> float:
    """Return the quantile of Student's distribution of a p in [0.5, 0.9999], within 1e-9.

    By Newton's steps from the normal quantile, in the angle of Abramowitz & Stegun, *Handbook of Mathematical
    Functions*, 1964, 26.7.3 and 26.7.4: the probability rises with it ever more slowly, so that no step goes too far.
    """
    start = float(np.arctan(normal_quantile(p) / np.sqrt(degrees)))
    slope = 2 / np.sqrt(np.pi) * np.exp(log_gamma((degrees + 1) / 2) - log_gamma(degrees / 2))
    angle, step = start, 1.0
    while step > 1e-15:
        step = (2 * p - 1 - _within(degrees, angle)) / (slope * np.cos(angle) ** (degrees - 1))
        angle += step
    return float(np.tan(angle) * np.sqrt(degrees))


def _within(degrees: int, angle: float) -> float:
    """Return P(-t < T < t) of a T with so many degrees of freedom, t being tan(angle) * sqrt(degrees)."""
    sine, cosine = np.sin(angle), np.cos(angle)
    is_odd = degrees % 2
    k = np.arange(1, degrees // 2)
    ratios = np.concatenate([[1.0], (2 * k - 1 + is_odd) / (2 * k + is_odd) * cosine**2])
    series = sine * np.cumprod(ratios).sum()
    if not is_odd:
        return float(series)
    return float(2 / np.pi * (angle + (series * cosine if degrees > 1 else 0)))


def _ratio(polynomials: tuple[tuple[float, ...], tuple[float, ...]], x: Floats) -> Floats:
    above, below = (np.polyval(coefficients, x) for coefficients in polynomials)
    found: Floats = above / below
    return found


def log_gamma(a: npt.ArrayLike) -> Floats:
    """Return the logarithm of the gamma function of positive numbers."""
    shape = np.asarray(a, np.float64)
    found: Floats = (shape - 0.5) * np.log(shape) - shape + 0.5 * np.log(2 * np.pi) + _binet(shape)
    return found


def _binet(a: Floats) -> Floats:
    """Return what Stirling's formula lacks of the logarithm of the gamma function (DLMF 5.11.1, 5.5.1)."""
    up = a + _SHIFT
    s = 1 / (up * up)
    series = (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / up
    product = np.prod(a[..., None] + np.arange(_SHIFT), axis=-1)
    found: Floats = series + (up - 0.5) * np.log(up) - up - ((a - 0.5) * np.log(a) - a) - np.log(product)
    return found


def gamma_survival(shape: npt.ArrayLike, x: npt.ArrayLike) -> Floats:
    """Return P(X > x) of a gamma distribution with this shape and scale 1, within 1e-7. Arguments broadcast.

    The integral of DLMF 8.2.2 with t = shape * e^v: its integrand has one peak, at v = 0. By Fejér's quadrature.

    Args:
        shape: from 0.01 to 1e8; up to 1e6 it is within 1e-9.
        x: from half the shape up; a smaller one counts as that.
    """
    a, at = np.broadcast_arrays(np.asarray(shape, np.float64), np.asarray(x, np.float64))
    found = np.empty(a.shape)
    flat, of_shape, of_x = found.reshape(-1), a.reshape(-1), at.reshape(-1)
    for first in range(0, len(flat), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        flat[some] = _integral(of_shape[some], of_x[some])
    return found


def _integral(a: Floats, x: Floats) -> Floats:
    nodes, weights = _quadrature()
    # The integrand is e^-(a * (e^v - 1 - v)): a falling half of a bell, of which the far end is left out.
    depth = _NEGLIGIBLE / a
    width = np.where(depth < 1.25, np.sqrt(2 * depth), np.log1p(2 * depth))
    low = np.maximum(np.log(np.maximum(x / a, 0.5)), -np.sqrt(2.6 * depth))
    half = (np.maximum(low, 0.0) + width - low) / 2
    v = low[:, None] + half[:, None] * (1 + nodes)
    total = half * (np.exp(-a[:, None] * (np.expm1(v) - v)) @ weights)
    found: Floats = np.minimum(np.sqrt(a / (2 * np.pi)) * np.exp(-_binet(a)) * total, 1.0)
    return found


@cache
def _quadrature() -> tuple[Floats, Floats]:
    """Return Fejér's first rule on [-1, 1], nodes and weights (DLMF 3.5.26)."""
    angles = (np.arange(_NODES) + 0.5) * np.pi / _NODES
    orders = np.arange(1, _NODES // 2 + 1)
    cosines = np.cos(2 * np.outer(angles, orders)) / (4 * orders**2 - 1)
    return np.cos(angles), 2 / _NODES * (1 - 2 * cosines.sum(axis=1))

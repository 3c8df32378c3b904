"""System ``matchup``: minutes times scoring rate, adjusted for defence, pace, home and rest.

Method: the multiplicative opponent adjustment of team ratings (Oliver, *Basketball on Paper*, 2004, ch. 3 and
9; Kubatko et al., "A Starting Point for Analyzing Basketball Statistics", 2007) fitted as a Poisson
regression with the unadjusted forecast as offset (McCullagh & Nelder, *Generalized Linear Models*, 1989, ch.
6). Defence and pace can only help the scorer: their exponents are never negative, so a weaker defence never
lowers a forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prediction_assets.forecasting.moving_average import prior, weighted_sum
from prediction_assets.forecasting.rows import Floats, History, Rows

MINUTES_HALF_LIFE = 2.5
"""Games. A role changes overnight, so minutes follow quickly."""

RATE_HALF_LIFE = 15.0
"""Games. Points per minute is noisy from game to game and drifts slowly."""

PRIOR_MINUTES_GAMES = 1.0
"""Games' worth of the season's minutes mixed into the recent ones."""

PRIOR_RATE_MINUTES = 120.0
"""Minutes' worth of the season's scoring rate mixed into the recent one (about four games of a regular)."""

LEAGUE_MINUTES = 12.4
"""Minutes per game of players with at most ten known games (2,741 player-games of 2022-25)."""

FACTOR_BOUNDS = (0.8, 1.25)
"""Limits of all adjustments together: no context of a single game moves a mean by more than a quarter."""

RATIO_BOUNDS = (0.85, 1.18)
"""Limits of the defence and pace ratios; 15-game averages of 2022-25 stay within 0.856-1.129."""

MINIMUM_ROWS = 400
"""Training rows below which the default exponents stand."""

RIDGE = 200.0
"""Prior precision of each exponent, in points: negligible against a season's 280,000, decisive for a
week's."""

DEFAULT_EXPONENTS = (0.4, 0.3, 0.02, -0.01, -0.03)
"""Exponents without training rows, near what the real seasons give."""

ITERATIONS = 6
"""Newton steps; the fit moves by less than 1e-6 after the fourth."""


@dataclass(frozen=True, slots=True)
class Matchup:
    """The fitted system: the level and the exponents of defence, pace, home (1, 0.5, 0), back-to-back and
    lay-off.
    """

    level: float = 0.0
    exponents: tuple[float, ...] = DEFAULT_EXPONENTS

    def __call__(self, rows: Rows) -> Floats:
        """Return expected points, shape (n,)."""
        log_factor = np.zeros(len(rows))
        for exponent, column in zip(self.exponents, context(rows), strict=True):
            log_factor += exponent * column
        factor: Floats = np.clip(np.exp(log_factor), *FACTOR_BOUNDS)
        return unadjusted(rows) * float(np.exp(self.level)) * factor


def fit_mean(history: History) -> Matchup:
    """Fit the exponents to all training rows; with fewer than 400, or no point scored, the defaults stand."""
    if len(history) < MINIMUM_ROWS or not history["points"].sum() > 0:
        return Matchup()
    base = np.maximum(unadjusted(history), 0.05)
    points = history["points"]
    design = np.column_stack([np.ones(len(history)), *context(history)])
    free = np.ones(design.shape[1], dtype=bool)
    start = np.array([0.0, *DEFAULT_EXPONENTS])
    while True:
        coefficients = _poisson(design, base, points, start, free)
        wrong = free & (coefficients < 0) & np.isin(np.arange(len(free)), (1, 2))
        if not wrong.any():
            break
        free &= ~wrong
        start = np.where(wrong, 0.0, start)
    return Matchup(float(coefficients[0]), tuple(float(c) for c in coefficients[1:]))


def unadjusted(rows: Rows) -> Floats:
    """Return minutes times points per minute, both shrunk to the season: points, shape (n,)."""
    played = rows["recent_minutes"]
    minutes_sum, minutes_weight = weighted_sum(played, MINUTES_HALF_LIFE)
    usual = np.where(
        np.isfinite(rows["minutes_season"]), rows["minutes_season"], rows["minutes_previous_season"]
    )
    usual = np.where(np.isfinite(usual), usual, LEAGUE_MINUTES)
    minutes = (minutes_sum + PRIOR_MINUTES_GAMES * usual) / (minutes_weight + PRIOR_MINUTES_GAMES)
    points_sum, _ = weighted_sum(rows["recent_points"], RATE_HALF_LIFE)
    rate_minutes, _ = weighted_sum(played, RATE_HALF_LIFE)
    usual_rate = np.clip(prior(rows) / np.maximum(usual, 4.0), 0.1, 1.2)
    rate = (points_sum + PRIOR_RATE_MINUTES * usual_rate) / (rate_minutes + PRIOR_RATE_MINUTES)
    return minutes * rate


def context(rows: Rows) -> tuple[Floats, ...]:
    """Return the game's context, each of shape (n,): log defence, log pace, home, back-to-back, lay-off; 0 is
    usual.
    """
    defence = np.where(np.isfinite(rows["opponent_defence"]), rows["opponent_defence"], 1.0)
    pace = rows["opponent_pace_last_15"] / np.maximum(rows["league_pace"], 1.0)
    pace = np.where(np.isfinite(pace), pace, 1.0)
    return (
        np.log(np.clip(defence, *RATIO_BOUNDS)),
        np.log(np.clip(pace, *RATIO_BOUNDS)),
        np.nan_to_num(rows["home"] - 0.5),
        np.where(rows["rest_days"] == 1, 1.0, 0.0),
        np.where(rows["rest_days"] > 7, 1.0, 0.0),
    )


def _poisson(
    design: Floats, base: Floats, points: Floats, start: Floats, free: npt.NDArray[np.bool_]
) -> Floats:
    """Return the ridge-penalised maximum-likelihood coefficients of ``points ~ Poisson(base * exp(design @
    b))``.
    """
    b = start.copy()
    x = design[:, free]
    for _ in range(ITERATIONS):
        mean = base * np.exp(np.clip(np.einsum("ij,j->i", design, b), -1.0, 1.0))
        gradient = np.einsum("ij,i->j", x, points - mean) - RIDGE * (b - start)[free]
        hessian = np.einsum("ij,i,ik->jk", x, mean, x) + RIDGE * np.eye(x.shape[1])
        b[free] += np.clip(np.linalg.solve(hessian, gradient), -0.5, 0.5)
    b[0] = np.clip(b[0], -0.3, 0.3)
    return b

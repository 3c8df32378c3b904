"""System ``matchup``: expected minutes times scoring rate, adjusted for defence, pace, home and rest.

Method: the multiplicative opponent adjustment of team ratings (Oliver, *Basketball on Paper*, 2004, ch. 3 and
9; Kubatko et al., "A Starting Point for Analyzing Basketball Statistics", 2007) fitted as a Poisson
regression with the unadjusted forecast as offset (McCullagh & Nelder, *Generalized Linear Models*, 1989, ch.
6); boosted trees then correct the scoring rate. The exponents of defence and pace are never negative, so a weaker
defence never lowers a forecast.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from prediction_assets.nba.forecasting.minutes import Minutes, fit_minutes, scoring_rate
from prediction_assets.nba.forecasting.rows import Floats, History, Rows
from prediction_assets.nba.forecasting.trees import Trees, fit_trees

FACTOR_BOUNDS = (0.8, 1.25)
"""Limits of all adjustments together: no context of a single game moves a mean by more than a quarter."""

RATIO_BOUNDS = (0.85, 1.18)
"""Limits of the defence and pace ratios; 15-game averages of 2022-25 stay within 0.856-1.129."""

RATE_COLUMNS = (
    "points_season", "games_season", "points_previous_season", "points_per_minute_last_10",
    "points_per_minute_season", "attempts_per_minute_last_3", "attempts_per_minute_last_10",
    "attempts_per_minute_last_60", "points_per_attempt_last_10", "points_per_attempt_last_60", "rest_days", "home",
    "lineup_last_1", "lineup_last_10", "team_lineup_last_1", "team_lineup_last_10",
    "three_pointers_attempted_last_25", "free_throws_attempted_last_25", "field_goals_attempted_last_25",
    "games_last_25",
)  # fmt: skip

DESIGN_COLUMNS = len(RATE_COLUMNS) + 2
"""Columns that the trees compare."""

LARGEST_FALL = 1.9
"""The largest residual downwards, in its own scale: at 2 a forecast could fall while minutes rise. Real games have
none."""

MINIMUM_ROWS = 400
"""Training rows below which the default exponents are used."""

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
    minutes: Minutes = field(default_factory=Minutes)
    trees: Trees | None = None

    def __call__(self, rows: Rows) -> Floats:
        base = self.minutes(rows) * scoring_rate(rows)
        if self.trees is not None and len(rows):
            base = base + np.maximum(self.trees(_design(rows)), -LARGEST_FALL) * unit(base)
        return np.maximum(base * float(np.exp(self.level)) * self.factor(rows), 0.0)

    def factor(self, rows: Rows) -> Floats:
        """Return the factor of the game's context, shape (n,)."""
        return rows.once((self, "factor"), lambda: self._factor(rows))

    def _factor(self, rows: Rows) -> Floats:
        log_factor = np.zeros(len(rows))
        for exponent, column in zip(self.exponents, context(rows), strict=True):
            log_factor += exponent * column
        return np.clip(np.exp(log_factor), *FACTOR_BOUNDS)


def fit_mean(history: History) -> Matchup:
    """Fit the exponents to the regulars' training rows; with fewer than 400, or no point scored, use the defaults."""
    minutes = history.fitted(fit_minutes)
    rows = history.regulars
    if len(rows) < MINIMUM_ROWS or not rows["points"].sum() > 0:
        return Matchup(minutes=minutes)
    base = np.maximum(minutes(rows) * scoring_rate(rows), 0.05)
    points = rows["points"]
    design = np.column_stack([np.ones(len(rows)), *context(rows)])
    free = np.ones(design.shape[1], dtype=bool)
    start = np.array([0.0, *DEFAULT_EXPONENTS])
    while True:
        coefficients = _poisson(design, base, points, start, free)
        wrong = free & (coefficients < 0) & np.isin(np.arange(len(free)), (1, 2))
        if not wrong.any():
            break
        free &= ~wrong
        start = np.where(wrong, 0.0, start)
    exponents = tuple(float(c) for c in coefficients[1:])
    context_alone = Matchup(0.0, exponents, minutes)
    trees, _ = fit_trees(_design(rows), (points / context_alone.factor(rows) - base) / unit(base), scale=0.75)
    return Matchup(0.0, exponents, minutes, trees)


def unit(base: Floats) -> Floats:
    """Return the unit of residuals and departures, points: the root of a Poisson-like variance, finite at 0."""
    return np.sqrt(base + 1.0)


def _design(rows: Rows) -> Floats:
    """Return the trees' columns, shape (n, columns): neither expected minutes nor the opponent is among them."""
    return np.column_stack(
        [rows.matrix(RATE_COLUMNS), scoring_rate(rows), rows["lineup_last_10"] - rows["team_lineup_last_1"]]
    )


def context(rows: Rows) -> tuple[Floats, ...]:
    """Return the game's context, each of shape (n,), 0 if usual: log defence, log pace, home, back-to-back, lay-off."""
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

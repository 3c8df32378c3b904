"""Expected minutes of a player: they are forecast first, because his points follow from them.

Method: an exponentially weighted mean of his last games, shrunk to his season, corrected by boosted trees
(:mod:`.trees`). On the regulars of 2023-24 it misses by 4.68 minutes, the weighted mean alone by 4.78; minutes
times rate then misses by 4.909 points instead of 4.944. What doesn't belong here: the opponent's defence, because a
weaker defence must never lower a forecast, and starters play less in a game that is decided early.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.nba.forecasting.moving_average import prior, weighted_sum
from prediction_assets.nba.forecasting.rows import Floats, History, Rows
from prediction_assets.nba.forecasting.trees import Trees, fit_trees

HALF_LIFE = 2.5
"""Games. A role changes overnight, so minutes follow quickly."""

PRIOR_GAMES = 1.0
"""Games' worth of the season's minutes mixed into the recent ones."""

LEAGUE_MINUTES = 12.4
"""Minutes per game of players with at most ten known games (2,741 player-games of 2022-25)."""

RATE_HALF_LIFE = 15.0
"""Games. Points per minute is noisy from game to game and drifts slowly."""

PRIOR_RATE_MINUTES = 120.0
"""Minutes' worth of the season's scoring rate mixed into the recent one (about four games of a regular)."""

MOST_MINUTES = 44.0
"""The most minutes of a forecast; a game lasts 48."""

MINIMUM_ROWS = 400
"""Rows below which trees only memorise; the weighted mean is used instead."""

COLUMNS = (
    "games_last_25", "games_season", "games_previous_season", "minutes_last_1", "minutes_last_3", "minutes_last_5",
    "minutes_last_10", "minutes_season", "minutes_previous_season", "minutes_deviation_last_10", "points_last_1",
    "points_last_3", "points_last_10", "points_season", "points_per_minute_last_10", "points_per_minute_season",
    "attempts_per_minute_last_3", "attempts_per_minute_last_10", "attempts_per_minute_last_60",
    "points_per_attempt_last_10", "rest_days", "team_rest_days", "is_back_to_back", "games_last_7_days", "home",
    "lineup_last_1", "lineup_last_10", "team_lineup_last_1", "team_lineup_last_10",
)  # fmt: skip

DESIGN_COLUMNS = len(COLUMNS) + 4
"""Columns of :func:`minutes_design`; a stored tree can't compare others."""


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """The fitted forecast of minutes; without trees it is the weighted mean."""

    trees: Trees | None = None

    def __call__(self, rows: Rows) -> Floats:
        """Return expected minutes, shape (n,), 0 to 44."""
        return rows.once(self, lambda: self._forecast(rows))

    def _forecast(self, rows: Rows) -> Floats:
        usual = weighted_minutes(rows)
        if self.trees is None:
            return usual
        return np.clip(usual + self.trees(minutes_design(rows)), 0.0, MOST_MINUTES)


def fit_minutes(history: History) -> Minutes:
    """Fit the trees to the regulars among the training rows; with too few rows there are no trees."""
    rows = history.regulars
    if len(rows) < MINIMUM_ROWS:
        return Minutes()
    usual = weighted_minutes(rows)
    trees, said = fit_trees(minutes_design(rows), rows["minutes"] - usual, scale=0.6)
    fitted = Minutes(trees)
    rows.once(fitted, lambda: np.clip(usual + said, 0.0, MOST_MINUTES))
    return fitted


def weighted_minutes(rows: Rows) -> Floats:
    """Return the weighted mean of recent minutes, shrunk to the season: (n,)."""
    total, weight = weighted_sum(rows, "recent_minutes", HALF_LIFE)
    result: Floats = (total + PRIOR_GAMES * usual_minutes(rows)) / (weight + PRIOR_GAMES)
    return result


def usual_minutes(rows: Rows) -> Floats:
    """Return minutes per game of this season, else of the one before, else the league's: (n,)."""
    usual = np.where(
        np.isfinite(rows["minutes_season"]), rows["minutes_season"], rows["minutes_previous_season"]
    )
    return np.where(np.isfinite(usual), usual, LEAGUE_MINUTES)


def scoring_rate(rows: Rows) -> Floats:
    """Return points per minute, the recent ones shrunk to the season's: (n,), positive."""
    return rows.once("scoring_rate", lambda: _scoring_rate(rows))


def _scoring_rate(rows: Rows) -> Floats:
    points, _ = weighted_sum(rows, "recent_points", RATE_HALF_LIFE)
    played, _ = weighted_sum(rows, "recent_minutes", RATE_HALF_LIFE)
    usual = np.clip(prior(rows) / np.maximum(usual_minutes(rows), 4.0), 0.1, 1.2)
    result: Floats = (points + PRIOR_RATE_MINUTES * usual) / (played + PRIOR_RATE_MINUTES)
    return result


def minutes_design(rows: Rows) -> Floats:
    """Return the trees' columns, shape (n, columns)."""
    missed = rows["rest_days"] - np.nan_to_num(rows["team_rest_days"], nan=np.inf)
    return np.column_stack(
        [
            rows.matrix(COLUMNS),
            weighted_minutes(rows),
            np.where(np.isfinite(missed), missed, np.nan),
            rows["lineup_last_10"] - rows["team_lineup_last_1"],
            np.nanmax(
                np.where(np.isfinite(rows["recent_minutes"]), rows["recent_minutes"], 0.0)[:, :10], axis=1
            ),
        ]
    )

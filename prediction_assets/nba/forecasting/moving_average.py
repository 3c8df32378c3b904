"""System ``moving_average``: an exponentially weighted mean of the player's last games, shrunk to his season.

Method: simple exponential smoothing (Hyndman & Athanasopoulos, *Forecasting: Principles and Practice*, 3rd
ed., ch. 8.1) with an empirical-Bayes prior (Efron & Morris, "Stein's Paradox in Statistics", 1977) made of
this season, the season before and the league. Half-life and strength of the prior are chosen on the training
rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.nba.forecasting.rows import Floats, History, Rows

LEAGUE_POINTS = 4.5
"""Points per game of players with at most ten known games (2,741 player-games of 2022-25: 4.55): the stated
league prior, for players with few known games."""

LEAGUE_GAMES = 1.5
"""Games' worth of the league's mean in the prior: enough to correct a one-game history, without effect after a
month."""

HALF_LIVES = (3.0, 4.0, 6.0, 8.0, 12.0)
"""Games after which a result's weight has halved; the candidates of the fit."""

PRIOR_GAMES = (1.0, 2.0, 4.0, 8.0)
"""Games' worth of the prior; the candidates of the fit."""

PREVIOUS_SEASON_GAMES = 12.0
"""Games' worth of the previous season's average: at game 12 of a season both have the same weight."""

ACROSS_SUMMER = 0.5
"""Weight of the games before a summer: they are one half-life older. On first games of 2017-23 the weighted mean of
minutes then misses by 6.63 instead of 7.23, on second ones by 5.14 instead of 5.77; a quarter to one are as good."""

TUNING_ROWS = 8_000
"""Newest regulars' rows that choose the parameters: two fifths of a season, and 20 candidates cost 30 ms."""


@dataclass(frozen=True, slots=True)
class MovingAverage:
    """The fitted system. Its defaults are used without training rows, and as the forecast that other systems
    correct.
    """

    half_life: float = 8.0
    prior_games: float = 4.0

    def __call__(self, rows: Rows) -> Floats:
        total, weight = weighted_sum(rows, "recent_points", self.half_life)
        result: Floats = (total + self.prior_games * prior(rows)) / (weight + self.prior_games)
        return result


def fit_mean(history: History) -> MovingAverage:
    """Choose half-life and prior strength by squared error over the newest regulars' rows."""
    every = history.regulars
    first = max(0, len(every) - TUNING_ROWS)
    rows = Rows(None, every, slice(first, None))
    if not len(rows):
        return MovingAverage()
    base, points = prior(rows), rows["points"]
    best, least = MovingAverage(), np.inf
    for half_life in HALF_LIVES:
        total, weight = weighted_sum(rows, "recent_points", half_life)
        for prior_games in PRIOR_GAMES:
            error = float(np.mean((points - (total + prior_games * base) / (weight + prior_games)) ** 2))
            if error < least:
                best, least = MovingAverage(half_life, prior_games), error
    return best


def weighted_sum(rows: Rows, column: str, half_life: float) -> tuple[Floats, Floats]:
    """Return the exponentially weighted sum over a list column's games, and the sum of the weights, each of shape (n,).

    Roles change over a summer, and the last weeks before it are played with other men. So the games of earlier seasons
    count alike, together :data:`ACROSS_SUMMER` times what they would without a summer.

    Summed game by game: the result of a row must not depend on how many other rows there are, and a matrix
    product's rounding does.
    """
    recent, this_season = rows[column], np.nan_to_num(rows["games_season"])
    total, weight, earlier, earlier_weight, earlier_games = np.zeros((5, len(recent)))
    for game in range(recent.shape[1]):
        w = 0.5 ** (game / half_life)
        played = np.isfinite(recent[:, game])
        now, before = played & (game < this_season), played & (game >= this_season)
        total += w * np.where(now, recent[:, game], 0.0)
        weight += w * now
        earlier += np.where(before, recent[:, game], 0.0)
        earlier_weight += w * before
        earlier_games += before
    earlier_weight *= ACROSS_SUMMER
    return total + earlier_weight * earlier / np.maximum(earlier_games, 1.0), weight + earlier_weight


def prior(rows: Rows) -> Floats:
    """Return the prior of each player, points, (n,): his season, the one before, and a little of the league."""
    season_games = np.nan_to_num(rows["games_season"])
    previous_games = np.minimum(np.nan_to_num(rows["games_previous_season"]), PREVIOUS_SEASON_GAMES)
    total = (
        season_games * np.nan_to_num(rows["points_season"])
        + previous_games * np.nan_to_num(rows["points_previous_season"])
        + LEAGUE_GAMES * LEAGUE_POINTS
    )
    result: Floats = total / (season_games + previous_games + LEAGUE_GAMES)
    return result

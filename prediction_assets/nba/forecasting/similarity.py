"""System ``similarity``: the results of the past player-games that were most like this one.

Method: k-nearest-neighbour regression with kernel weights (Nadaraya 1964, Watson 1964; Hastie et al., *The Elements of
Statistical Learning*, 2009, ch. 6 and 13) in the manner of PECOTA's and CARMELO's comparable players (Silver, 2003 and
2015). The neighbours' departures from their own minutes times rate are averaged, and not their points, so that a star
without equals isn't lowered to weaker players. Expected minutes and the opponent's defence don't choose the
neighbours; both enter as factors, so that more of either never lowers a forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.nba.forecasting.matchup import Matchup, unit
from prediction_assets.nba.forecasting.matchup import fit_mean as fit_matchup
from prediction_assets.nba.forecasting.minutes import scoring_rate
from prediction_assets.nba.forecasting.rows import Floats, History, Rows

NEIGHBOURS = 400
"""Neighbours of one forecast; the errors are the same with 250 and 800."""

TRAINING_ROWS = 12_000
"""Newest regulars' rows searched: over half a season, so that 450 players take about 0.3 s."""

MINIMUM_ROWS = 400
"""Rows below which there is no neighbourhood; minutes times rate is used instead."""

CHUNK = 64
"""Forecast rows compared at once: bounds the distance matrix to 6 MB, within a core's cache."""

LARGEST_FALL = 1.9
"""The largest departure downwards: at 2 a forecast could fall while minutes rise. Real games have none."""

COLUMNS: tuple[tuple[str, float], ...] = (
    ("rate", 1.5),
    ("rate_now", 1.0),
    ("attempts_per_minute_last_10", 1.0),
    ("attempts_per_minute_last_3", 0.7),
    ("points_per_attempt_last_10", 0.7),
    ("points_season", 1.5),
    ("trend", 1.0),
    ("rest_days", 0.5),
    ("games_season", 0.5),
    ("line_up", 1.5),
    ("home", 0.3),
)
"""What makes two player-games alike, and the weight of a standard deviation of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """The fitted system: past player-games as scaled points of shape (columns, m) and their departures,
    (m,).
    """

    matchup: Matchup
    middle: Floats
    scale: Floats
    past: Floats
    departure: Floats

    def __call__(self, rows: Rows) -> Floats:
        base = self.matchup.minutes(rows) * scoring_rate(rows)
        # The neighbours are those of the real game; they take a hundred times as long as the rest.
        shift = rows.once((self, "shift"), lambda: self._shift(rows), keep=True)
        result: Floats = (base + np.maximum(shift, -LARGEST_FALL) * unit(base)) * self.matchup.factor(rows)
        return np.maximum(result, 0.0)

    def _shift(self, rows: Rows) -> Floats:
        now = _scaled(_features(rows), self.middle, self.scale)
        shift = np.empty(len(rows))
        for first in range(0, len(rows), CHUNK):
            shift[first : first + CHUNK] = self._departure(now[:, first : first + CHUNK])
        return shift

    def _departure(self, now: Floats) -> Floats:
        # Summed column by column: the rounding of a matrix product depends on the number of rows.
        distance = np.zeros((now.shape[1], self.past.shape[1]), dtype=np.float32)
        square = np.empty_like(distance)  # one for all columns
        for column in range(len(now)):
            np.subtract(now[column][:, None], self.past[column][None, :], out=square)
            distance += np.multiply(square, square, out=square)
        k = min(NEIGHBOURS, self.past.shape[1])
        nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
        nearest.sort(axis=1)
        near = np.take_along_axis(distance, nearest, axis=1).astype(np.float64)
        radius = np.maximum(near.max(axis=1), 1e-12)[:, None]
        weight = 1.0 - near / radius * 0.999  # Epanechnikov, whose outermost neighbour keeps a trace
        total, weights = np.zeros(len(near)), np.zeros(len(near))
        for neighbour in range(k):
            total += weight[:, neighbour] * self.departure[nearest[:, neighbour]]
            weights += weight[:, neighbour]
        result: Floats = total / weights
        return result


def fit_mean(history: History) -> Similarity | Matchup:
    """Scale the newest regulars' rows; with fewer than 400 there are no neighbours."""
    matchup = history.fitted(fit_matchup)
    every = history.regulars
    first = max(0, len(every) - TRAINING_ROWS)
    rows = Rows(None, every, slice(first, None))
    if len(rows) < MINIMUM_ROWS:
        return Matchup(0.0, matchup.exponents, matchup.minutes)
    features = _features(rows)
    middle = np.nan_to_num(np.nanmean(features, axis=1))
    deviation = np.nan_to_num(np.nanstd(features, axis=1))
    weights = np.array([weight for _, weight in COLUMNS])
    scale = np.where(deviation > 1e-9, weights / np.maximum(deviation, 1e-9), 0.0)
    base = matchup.minutes(rows) * scoring_rate(rows)
    departure = (rows["points"] / matchup.factor(rows) - base) / unit(base)
    return Similarity(matchup, middle, scale, _scaled(features, middle, scale), departure)


def _features(rows: Rows) -> Floats:
    season = np.where(np.isfinite(rows["points_season"]), rows["points_season"], rows["points_last_10"])
    columns = {
        "rate": scoring_rate(rows),
        "rate_now": rows["points_per_minute_last_10"],
        "points_season": season,
        "trend": rows["points_last_3"] - rows["points_last_10"],
        "rest_days": np.minimum(rows["rest_days"], 10.0),
        "games_season": np.minimum(rows["games_season"], 30.0),
        "line_up": rows["lineup_last_10"] - rows["team_lineup_last_1"],
    }
    return np.stack([columns[name] if name in columns else rows[name] for name, _ in COLUMNS])


def _scaled(features: Floats, middle: Floats, scale: Floats) -> Floats:
    """Return the features in weighted standard deviations; a missing one sits at the middle."""
    scaled = (features - middle[:, None]) * scale[:, None]
    return np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)

"""System ``similarity``: what happened next to the past player-games that looked most like this one.

Method: k-nearest-neighbour regression with kernel weights (Nadaraya 1964, Watson 1964; Hastie et al., *The
Elements of Statistical Learning*, 2009, ch. 6 and 13) in the manner of PECOTA's and CARMELO's comparable
players (Silver, 2003 and 2015): neighbours tell how far a player of this kind departs from his own moving
average, so that a star with no equal isn't dragged down to lesser ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.forecasting.moving_average import MovingAverage
from prediction_assets.forecasting.rows import Floats, History, Rows

NEIGHBOURS = 250
"""Neighbours of one forecast; the errors are the same with 500."""

TRAINING_ROWS = 12_000
"""Newest training rows searched: half a season, so that 450 players take about 0.3 s."""

MINIMUM_ROWS = 400
"""Rows below which there is no neighbourhood; the moving average's defaults answer instead."""

CHUNK = 64
"""Forecast rows compared at once: bounds the distance matrix to 6 MB, within a core's cache."""

COLUMNS: tuple[tuple[str, float], ...] = (
    ("average", 2.0),
    ("points_season", 1.0),
    ("points_last_3", 1.0),
    ("minutes_last_10", 1.5),
    ("minutes_last_3", 1.5),
    ("minutes_last_1", 1.0),
    ("minutes_season", 1.0),
    ("rest_days", 0.5),
    ("opponent_defence", 0.7),
    ("home", 0.3),
)
"""What makes two player-games alike, and how much a standard deviation of it counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """The fitted system: past player-games as scaled points of shape (columns, m) and their departures,
    (m,).
    """

    middle: Floats
    scale: Floats
    past: Floats
    departure: Floats

    def __call__(self, rows: Rows) -> Floats:
        """Return expected points, shape (n,)."""
        average = MovingAverage()(rows)
        now = _scaled(_features(rows), self.middle, self.scale)
        shift = np.empty(len(rows))
        for first in range(0, len(rows), CHUNK):
            shift[first : first + CHUNK] = self._departure(now[:, first : first + CHUNK])
        return np.maximum(average + shift, 0.0)

    def _departure(self, now: Floats) -> Floats:
        # Summed column by column: the rounding of a matrix product depends on the number of rows.
        distance = np.zeros((now.shape[1], self.past.shape[1]), dtype=np.float32)
        for column in range(len(now)):
            difference = now[column][:, None] - self.past[column][None, :]
            distance += difference * difference
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


def fit_mean(history: History) -> Similarity | MovingAverage:
    """Scale the newest training rows; with fewer than 400, fall back to the moving average's defaults."""
    rows = history.newest(TRAINING_ROWS)
    if len(rows) < MINIMUM_ROWS:
        return MovingAverage()
    features = _features(rows)
    middle = np.nan_to_num(np.nanmean(features, axis=1))
    deviation = np.nan_to_num(np.nanstd(features, axis=1))
    weights = np.array([weight for _, weight in COLUMNS])
    scale = np.where(deviation > 1e-9, weights / np.maximum(deviation, 1e-9), 0.0)
    return Similarity(middle, scale, _scaled(features, middle, scale), rows["points"] - MovingAverage()(rows))


def _features(rows: Rows) -> Floats:
    columns = {
        "average": MovingAverage()(rows),
        "rest_days": np.minimum(rows["rest_days"], 10.0),
        "points_season": np.where(
            np.isfinite(rows["points_season"]), rows["points_season"], rows["points_last_10"]
        ),
        "minutes_season": np.where(
            np.isfinite(rows["minutes_season"]), rows["minutes_season"], rows["minutes_last_10"]
        ),
    }
    return np.stack([columns[name] if name in columns else rows[name] for name, _ in COLUMNS])


def _scaled(features: Floats, middle: Floats, scale: Floats) -> Floats:
    """Return the features in weighted standard deviations; a missing one sits at the middle."""
    scaled = (features - middle[:, None]) * scale[:, None]
    return np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)

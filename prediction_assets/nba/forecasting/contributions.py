"""What a forecast is made of: points for minutes, scoring rate, opponent, rest, availability and market.

Method: the game's context is replaced by a neutral one, and then put back one group of columns after the other, in the
order availability, rest, opponent; a group's contribution is how far the forecast moves (sequential replacement, one
ordering of Shapley's value: Strumbelj & Kononenko, "Explaining Prediction Models and Individual Predictions", 2014).
A forecast without context differs from the player's usual points by two parts: expected minutes less usual ones, at the
usual rate; and what is left, which is his rate. The parts add up to ``predicted_points`` exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from prediction_assets.nba.forecasting.candidates import COLUMNS
from prediction_assets.nba.forecasting.matchup import Matchup
from prediction_assets.nba.forecasting.minutes import usual_minutes
from prediction_assets.nba.forecasting.moving_average import MovingAverage, prior
from prediction_assets.nba.forecasting.rows import Floats, Rows
from prediction_assets.nba.forecasting.systems import Fitted, FittedSystem

PARTS = ("usual", "minutes", "rate", "availability", "rest", "opponent", "market")
"""The parts of a forecast, in points. ``market`` is 0 in a system that doesn't know the line, unless
the player is a newcomer or was away long."""

UNIT = 10_000
"""Parts are whole ten-thousandths of a point, as predicted points are, so that their sum is exact."""

Units = npt.NDArray[np.int64]


def contributions(
    fitted: Mapping[str, FittedSystem], rows: Rows, predicted: Mapping[str, Floats]
) -> dict[str, Units]:
    """Return each system's parts in ten-thousandths of a point, by name: shape (n, parts), in the order of PARTS.

    Args:
        rows: n slate rows, forecast already.
        predicted: each system's median, rounded to 4 decimals, shape (n,); the systems that are explained.
    """
    contexts = _without_context(rows)
    replaced = rows.variants(contexts)
    usual = prior(rows)
    played = np.maximum(usual_minutes(rows), 4.0)
    expected = cast("Matchup", cast("Fitted", fitted["matchup"]).mean).minutes(replaced)[: len(rows)]
    longer = (expected - played) * usual / played
    found = {}
    for name, points in predicted.items():
        system = fitted[name]
        knows_minutes = not isinstance(cast("Fitted", system).mean, MovingAverage)
        steps = system.predict(replaced).median.reshape(len(contexts), len(rows))
        minutes = longer if knows_minutes else np.zeros(len(rows))
        # Differences of rounded levels, so that the parts add up to the last one.
        levels = [_units(level) for level in (usual, usual + minutes, *steps, points)]
        parts = np.diff(np.stack([np.zeros(len(rows), np.int64), *levels], axis=1), axis=1)
        found[name] = np.column_stack([parts, np.zeros(len(rows), np.int64)])
    return found


def rounded(parts: Floats, predicted: Floats) -> Units:
    """Return parts that were divided or added up as whole ones, with what they lack of these predicted points in the
    rate: the median of a sum is not the sum of the medians.
    """
    whole: Units = np.rint(parts).astype(np.int64)
    whole[:, PARTS.index("rate")] += _units(predicted) - whole.sum(axis=1)
    return whole


def with_market_part(parts: Units, predicted: Floats) -> Units:
    """Return a system's parts with a last one that leads to these predicted points, shape (n, parts)."""
    moved = parts.copy()
    moved[:, -1] += _units(predicted) - parts.sum(axis=1)
    return moved


def _without_context(rows: Rows) -> Sequence[Mapping[str, Floats]]:
    """Return what replaces all context, then all but availability, then all but availability and rest."""
    n = len(rows)
    opponent = {
        "opponent_defence": np.ones(n),
        "opponent_pace_last_15": rows["league_pace"],
        "opponent_points_allowed_last_15": rows["league_points"],
        "home": np.full(n, 0.5),
    }
    rest = {
        "rest_days": np.full(n, 2.0),
        "team_rest_days": np.full(n, 2.0),
        "is_back_to_back": np.zeros(n),
        "games_last_7_days": np.full(n, 3.0),
    }
    side = rows["lineup_last_10"]
    availability = dict.fromkeys(("lineup_last_1", "team_lineup_last_1", "team_lineup_last_10"), side)
    if rows.has(COLUMNS[0]):
        availability |= dict.fromkeys(COLUMNS, np.full(n, np.nan))  # as if there were no report
    return ({**opponent, **rest, **availability}, {**opponent, **rest}, opponent)


def _units(points: Floats) -> Units:
    return np.rint(points * UNIT).astype(np.int64)

"""A system's forecast combined with a book's line and prices.

A book's line is the best public forecast: on the matched lines of 2024-25 the books miss by 5.19 points, the best
system by 5.28. So a probability against a market line weighs both; otherwise it would be overconfident where the two
disagree most. :data:`MARKET_AWARE` is a system whose forecast includes the line. What doesn't belong here: choosing
the line (:mod:`.lines`), and what prices say (:mod:`.prices`).
"""

from __future__ import annotations

import numpy as np

from prediction_assets.nba.forecasting.distribution import (
    SMALLEST_MEAN,
    SMALLEST_PROBABILITY,
    Distribution,
    probability_over,
    probability_push,
)
from prediction_assets.nba.forecasting.recommendation import share_over
from prediction_assets.nba.forecasting.rows import Floats
from prediction_assets.nba.forecasting.special import log_odds, normal_quantile, probability_of
from prediction_assets.nba.forecasting.spread import Spread

MARKET_WEIGHT = 0.85
"""Share of the market where a system and the market disagree, in log-odds. Beside the line the ensemble's own log-odds
have a coefficient of 0.168 +- 0.093 on the 2,887 lines until 2024-11-30 (``backtest`` prints it), where this weight was
chosen, and of 0.169 +- 0.111 on the 3,016 after it."""

AWAY_DAYS = 30
"""Days since a player's last game from which his games say little of his role: a summer, or a long injury."""

AWAY_WEIGHT = 0.5
"""The same for the own forecast of a player who was away so long: half, so that each knows what the other doesn't. On
186 first games of 2024-25 the systems miss by 1.020 +- 0.031 times the line's error without it, and by 0.999 with it:
too few to choose a weight by."""

AWAY_VARIANCE = 1.1
"""Variance of his points around that forecast, relative to the usual one: 1.09 on first games of 2017-23."""

NEWCOMER_WEIGHT = 0.95
"""The same for the own forecast of a player without a game. The systems know nothing of him but the league's usual
newcomer, so they get a third of their weight. 20 such players had lines in 2024-25: too few to choose a weight by."""

NEWCOMER_VARIANCE = 1.2
"""Variance of a newcomer's points around his line, relative to a usual player's at this mean. On the 20 of 2024-25 the
lines' squared errors are 0.82 times the usual variance, on all 6,145 lines 0.93 times: 1.2 is on the safe side."""

MARKET_AWARE = "market_aware"
"""Name of the optional sixth system."""

LARGEST_MEAN = 150.0
"""Points. A line beyond is a mistake of the feed, and a forecast must stay finite beside it."""

STEPS = 4
"""Steps that bring the distribution to the wanted probability."""


def with_market(
    forecast: Distribution, line: Floats, fair: Floats, weight: float = MARKET_WEIGHT
) -> Distribution:
    """Return the forecast moved so that its P(over) at the market line weighs the market by ``weight``.

    The two probabilities are averaged in log-odds (Genest & Zidek, "Combining Probability Distributions", 1986: the
    logarithmic opinion pool). Spread scales with the mean's root, as scatter does.

    Args:
        forecast: distributions of n rows.
        line: points, shape (n,), NaN where there is no market line: such a row is left as it is.
        fair: P(over | no push) by the prices at that line, in (0, 1), shape (n,); NaN counts as one half: a line
            without a pair of prices is taken as the books' median.
    """
    known = np.isfinite(line)
    at = np.where(known, line, 1.0)
    priced = np.where(np.isfinite(fair), fair, 0.5)
    mean, deviation = forecast.mean, forecast.standard_deviation
    share = _share(mean, deviation, at)
    pooled = probability_of(weight * log_odds(priced) + (1 - weight) * log_odds(share))
    for _ in range(STEPS):
        # Newton's steps: where points are nearly normal, one standard deviation of the mean is one of the quantile.
        mean = np.clip(
            mean + deviation * (normal_quantile(pooled) - normal_quantile(share)), SMALLEST_MEAN, LARGEST_MEAN
        )
        deviation = forecast.standard_deviation * np.clip(np.sqrt(mean / forecast.mean), 0.5, 2.0)
        share = _share(mean, deviation, at)
    return Distribution(
        np.where(known, mean, forecast.mean), np.where(known, deviation, forecast.standard_deviation)
    )


def of_absent(forecast: Distribution, line: Floats, fair: Floats) -> Distribution:
    """Return the forecast of players who were away for long: moved half of the way to the line, with a wider spread.

    Args:
        forecast, fair: as in :func:`with_market`.
        line: NaN where the player wasn't away, or has no line: such a row is left as it is.
    """
    moved = with_market(forecast, line, fair, AWAY_WEIGHT)
    wide = moved.standard_deviation * np.sqrt(AWAY_VARIANCE)
    return Distribution(moved.mean, np.where(np.isfinite(line), wide, moved.standard_deviation))


def of_newcomers(forecast: Distribution, line: Floats, fair: Floats, unit: float = 1.0) -> Distribution:
    """Return the forecast of players without a game: moved to the line, with a wide spread.

    Args:
        forecast, fair: as in :func:`with_market`.
        line: NaN where the player is no newcomer, or has no line: such a row is left as it is.
        unit: as many points are as usual as one of what the market counts.
    """
    moved = with_market(forecast, line, fair, NEWCOMER_WEIGHT)
    wide = np.sqrt(NEWCOMER_VARIANCE * Spread().variance(moved.mean * unit)) / unit
    return Distribution(moved.mean, np.where(np.isfinite(line), wide, moved.standard_deviation))


def _share(mean: Floats, deviation: Floats, line: Floats) -> Floats:
    """Return P(over | no push), in (0, 1)."""
    share = share_over(probability_over(mean, deviation, line), probability_push(mean, deviation, line))
    return np.clip(share, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)

"""The rule that makes a prediction OVER, UNDER, PASS or NO_LINE.

The rule reads only columns that are stored with the prediction, each row with its own line, so that an audit repeats
it in the warehouse (``RECOMMENDATION_RULE`` of ``stores/sql/audit_sql.py``). Not here: probabilities and
prices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prediction_assets.nba.forecasting.lines import MARKET
from prediction_assets.nba.forecasting.rows import Floats

OVER, UNDER, PASS, NO_LINE = "OVER", "UNDER", "PASS", "NO_LINE"

DEFAULT_THRESHOLD = 0.05
"""How far beyond 1/2 the likelier side must be. Break-even is 52.4 % at -110, a sports book's usual price,
and 57.8 % at -137, what Underdog's and PrizePicks' legs amount to (24,154 real lines of 2024-25): 55 % pays
at the first only."""


def share_over(probability_over: Floats, probability_push: Floats) -> Floats:
    """Return P(over | no push), shape of the arguments; both stored values, over + push <= 1, over > 0."""
    result: Floats = probability_over / (1 - probability_push)
    return result


def recommend(
    predicted_points: Floats,
    line: Floats,
    probability_over: Floats,
    probability_push: Floats,
    line_source: npt.NDArray[np.str_],
    threshold: float = DEFAULT_THRESHOLD,
) -> npt.NDArray[np.str_]:
    """Return the recommendation of each row; the arguments are stored (rounded) values of one shape.

    ``NO_LINE`` where no book has a line. ``OVER`` when P(over | no push) >= 1/2 + threshold and the predicted
    points, the median, exceed the line, ``UNDER`` when it is <= 1/2 - threshold and they fall short of it, else
    ``PASS``. Both conditions are needed, because points are skewed: at a line equal to the mean the under is likelier
    without any edge.

    Raises:
        ValueError: the threshold isn't in [0, 0.5).
    """
    if not 0 <= threshold < 0.5:
        raise ValueError(f"threshold {threshold} is not in [0, 0.5)")
    share = share_over(probability_over, probability_push)
    return np.select(
        [
            line_source != MARKET,
            (share >= 0.5 + threshold) & (predicted_points > line),
            (share <= 0.5 - threshold) & (predicted_points < line),
        ],
        [NO_LINE, OVER, UNDER],
        default=PASS,
    )


def confidence(probability_over: Floats, probability_push: Floats) -> Floats:
    """Return the probability of the likelier side when there is no push, 0.5 to 1, shape of the arguments."""
    share = share_over(probability_over, probability_push)
    return np.maximum(share, 1 - share)

"""The rule that makes a prediction OVER, UNDER, PASS, NO_PRICE or NO_LINE.

The rule reads only columns that are stored with the prediction, each row with its own line and its own price, so that
an audit repeats it in the warehouse (``RECOMMENDATION_RULE`` of ``stores/sql/audit_sql.py``). Not here: probabilities,
and what prices say and pay (:mod:`.prices`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prediction_assets.nba.forecasting.lines import MARKET
from prediction_assets.nba.forecasting.rows import Floats

OVER, UNDER, PASS, NO_PRICE, NO_LINE = "OVER", "UNDER", "PASS", "NO_PRICE", "NO_LINE"

BETS = (OVER, UNDER)

DEFAULT_LEAST_VALUE = 0.02
"""Expected profit of a stake of 1 that a bet needs. A standard error of the weight of the market moves a usual P(over)
by 0.005, which is worth 0.01 at even odds; a bet needs twice that."""


def share_over(probability_over: Floats, probability_push: Floats) -> Floats:
    """Return P(over | no push), shape of the arguments; both stored values, over + push <= 1, over > 0."""
    result: Floats = probability_over / (1 - probability_push)
    return result


def recommend(
    line_source: npt.NDArray[np.str_],
    side: npt.NDArray[np.str_],
    expected_value: Floats,
    least_value: float = DEFAULT_LEAST_VALUE,
) -> npt.NDArray[np.str_]:
    """Return the recommendation of each row; the arguments are stored (rounded) values of one shape.

    ``NO_LINE`` where no book has a line for the player, ``NO_PRICE`` where none prices this very line. The side with
    the higher expected value where that is at least ``least_value``, else ``PASS``. So a bet depends on its own price:
    the same probability may be worth it at one book and not at another.

    Args:
        side: ``OVER`` or ``UNDER``: the better bet at the row's line.
        expected_value: of that bet, per stake of 1; NaN where no book prices the line.

    Raises:
        ValueError: the least value is negative or not finite.
    """
    if not 0 <= least_value < np.inf:
        raise ValueError(f"least value {least_value} is negative or not finite")
    return np.select(
        [line_source != MARKET, np.isnan(expected_value), expected_value >= least_value],
        [NO_LINE, NO_PRICE, side],
        default=PASS,
    )


def confidence(probability_over: Floats, probability_push: Floats) -> Floats:
    """Return the probability of the likelier side when there is no push, 0.5 to 1, shape of the arguments."""
    share = share_over(probability_over, probability_push)
    return np.maximum(share, 1 - share)

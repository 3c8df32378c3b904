"""Odds: a source's prices as American odds.

Whether a source writes American or decimal odds is decided by all of its prices: ``101`` alone can be either. What
doesn't belong here: what a price says about a line.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa

from prediction_assets.ingest import values
from prediction_assets.ingest.rows import SourceRows
from prediction_assets.nba.forecasting.lines import SUSPENDED_PRICE

_LOWEST_DECIMAL, _HIGHEST_DECIMAL = Decimal(1), Decimal(1001)
"""1 pays the stake back: no bet is left. 1001 is the highest price that books show."""


def american_odds(rows: SourceRows, name: str) -> pa.Array:
    """Return a column of prices in American odds, whole numbers of 100 or more, or -100 or less.

    Most prices of a column decide its format; in decimal odds few are as high as 100. Decimal odds are converted:
    ``1.91`` is -110, ``2.5`` is 150.

    Raises:
        BadInput: a price is neither, or the column mixes both.
    """
    below_100 = rows.parse(name, _is_below_100, pa.bool_()).to_pylist()
    return rows.parse(name, _from_decimal if 2 * sum(below_100) > len(below_100) else _american, pa.int64())


def _is_below_100(value: Any) -> bool:
    return abs(values.exact_decimal(value)) < 100


def _american(value: Any) -> int:
    try:
        price = values.whole_number()(value)
    except ValueError:
        raise ValueError(
            f"{value!r} is not a price in American odds, as most of this file are (request oddsFormat=american)"
        ) from None
    if abs(price) < 100:
        raise ValueError(
            f"{price} is not a price in American odds, as most of this file are, which are -100 or less, or 100 or more"
        )
    return price


def _from_decimal(value: Any) -> int:
    price = values.exact_decimal(value)
    if not _LOWEST_DECIMAL <= price <= _HIGHEST_DECIMAL:
        raise ValueError(
            f"{price} is not a price in decimal odds, as most of this file are, which are 1 to {_HIGHEST_DECIMAL}"
        )
    won = price - 1
    if won * SUSPENDED_PRICE <= 100:
        return -SUSPENDED_PRICE
    american = won * 100 if won >= 1 else -100 / won
    return int(american.quantize(Decimal(1), ROUND_HALF_UP))

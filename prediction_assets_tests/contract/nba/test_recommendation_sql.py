"""The recommendation: the same rule in numpy and in SQL."""

from __future__ import annotations

import itertools

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import sqlglot

from prediction_assets.nba.forecasting.prices import Quote, better_bets
from prediction_assets.nba.forecasting.recommendation import recommend
from prediction_assets.stores.sql.audit_sql import EXPECTED_VALUE, RECOMMENDATION_RULE


def test_sql_repeats_rule_and_value_from_the_stored_columns() -> None:
    prices = ((-110, -110), (150, None), (None, -137), (100, -120), (-9999, 9999), (None, None))
    grid = itertools.product(
        np.round(np.arange(0.0001, 0.9, 0.0125), 6), (0.0, 0.04, 0.1), prices, ("market", "estimated")
    )
    over, push, both, source = zip(*grid, strict=True)
    quotes = [Quote(over=o, under=u) for o, u in both]
    bets = better_bets(quotes, np.array(over), np.array(push))
    side = np.where(bets.is_over, "OVER", "UNDER")
    absent = ~bets.has_price
    stored = pa.table(
        {"probability_over": over, "probability_push": push, "line_source": source,
         "bet_side": pa.array(side.tolist(), mask=absent),
         "bet_price": pa.array(np.nan_to_num(bets.price), pa.int64(), mask=absent),
         "expected_value": pa.array(bets.expected_value, mask=absent)}
    )  # fmt: skip
    connection = duckdb.connect()
    connection.register("stored", stored)
    for least in (0.0, 0.02, 0.25):
        query = f"SELECT {RECOMMENDATION_RULE} AS ruled, {EXPECTED_VALUE} AS value FROM stored"
        found = connection.execute(query, {"least_value": least}).fetchnumpy()
        assert (found["ruled"] == recommend(np.array(source), side, bets.expected_value, least)).all()
        assert np.ma.filled(found["value"], np.nan) == pytest.approx(
            bets.expected_value, abs=1e-6, nan_ok=True
        )
    for text in (RECOMMENDATION_RULE, EXPECTED_VALUE):
        assert sqlglot.transpile(f"SELECT {text}", read="duckdb", write="bigquery")

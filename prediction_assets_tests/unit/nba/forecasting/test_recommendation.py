"""The recommendation: the same rule in numpy and in SQL, each row against its own line and price."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
import sqlglot

from prediction_assets.nba.forecasting.prices import Quote, better_bets
from prediction_assets.nba.forecasting.recommendation import confidence, recommend
from prediction_assets.stores.sql.audit_sql import EXPECTED_VALUE, RECOMMENDATION_RULE


@pytest.mark.parametrize(
    ("source", "side", "value", "expected"),
    [
        ("market", "OVER", 0.02, "OVER"),
        ("market", "UNDER", 0.3, "UNDER"),
        ("market", "OVER", 0.019999, "PASS"),
        ("market", "UNDER", -0.05, "PASS"),
        ("market", "OVER", np.nan, "NO_PRICE"),
        ("estimated", "OVER", np.nan, "NO_LINE"),
        ("estimated", "OVER", 0.5, "NO_LINE"),
    ],
)
def test_the_rule(source: str, side: str, value: float, expected: str) -> None:
    assert recommend(np.array([source]), np.array([side]), np.array([value]))[0] == expected


def test_sql_repeats_rule_and_value_from_the_stored_columns() -> None:
    import duckdb  # not when tests are collected

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


def test_confidence_is_the_likelier_side_when_there_is_no_push() -> None:
    assert confidence(np.array([0.6, 0.3, 0.45]), np.array([0.0, 0.0, 0.1])) == pytest.approx([0.6, 0.7, 0.5])


@pytest.mark.parametrize("least", [-0.01, np.inf, np.nan])
def test_a_least_value_that_is_none_is_refused(least: float) -> None:
    with pytest.raises(ValueError, match="least value"):
        recommend(np.array(["market"]), np.array(["OVER"]), np.zeros(1), least)

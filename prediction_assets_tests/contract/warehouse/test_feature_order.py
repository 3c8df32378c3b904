"""The features don't depend on the order in which an engine adds, nor on its type for a number with a point."""

from __future__ import annotations

import random

import numpy as np
import sqlglot
from sqlglot import exp

from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL
from prediction_assets.stores.sql.tables import GAME_LOGS, SCHEDULE
from prediction_assets_tests.contract.nba.conftest import (
    HISTORY_START,
    LEAGUE,
    SLATE,
    made_up_league,
    warehouse,
)


def with_doubles(node: exp.Expression) -> exp.Expression:
    """Compute as BigQuery does: a number with a point is a FLOAT64, and so is what AVG adds."""
    if isinstance(node, exp.Literal) and node.is_number and "." in node.name:
        return exp.cast(node.copy(), "DOUBLE")
    if isinstance(node, exp.Avg):
        return exp.Avg(this=exp.cast(node.this.copy(), "DOUBLE"))
    return node


def compare_orders(orders: int) -> None:
    """Compare the features' bytes with those of other orders of the facts, with doubles for decimals."""
    logs, schedule = made_up_league()
    facts = (GAME_LOGS.arrow_table(logs), SCHEDULE.arrow_table(schedule))
    parameters = {"slate": SLATE, "league": LEAGUE, "history_start": HISTORY_START}
    expected = warehouse(*facts).sql(FEATURES_SQL, params=parameters).to_arrow_table()
    assert expected.num_rows > 1000
    doubles = sqlglot.parse_one(FEATURES_SQL, read="duckdb").transform(with_doubles).sql("duckdb")
    draw = np.random.default_rng(21)
    for _ in range(orders):
        other_order = [rows.take(draw.permutation(rows.num_rows)) for rows in facts]
        found = warehouse(*other_order).sql(doubles, params=parameters).to_arrow_table()
        assert found.equals(expected)


def test_the_features_are_the_same_bytes_in_any_order_of_the_facts_and_with_doubles_for_decimals() -> None:
    compare_orders(2)  # `long/` compares 20


def test_a_sum_of_doubles_would_depend_on_that_order() -> None:
    logs, schedule = made_up_league()
    fractions = "SUM(CAST(0.44 AS DOUBLE) * free_throws_attempted + points / 3)"
    sums = set()
    for seed in range(20):
        if len(sums) > 1:
            break
        random.Random(seed).shuffle(logs)
        sums |= set(warehouse(logs, schedule).sql(f"SELECT {fractions} FROM facts.game_logs").fetchall())
    assert len(sums) > 1

"""The recommendation: the same rule in numpy and in SQL, each row against its own line."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
import sqlglot

from prediction_assets.nba.forecasting.recommendation import (
    DEFAULT_THRESHOLD,
    confidence,
    recommend,
)
from prediction_assets.stores.sql.audit_sql import RECOMMENDATION_RULE


def one(points: float, line: float, over: float, push: float = 0.0, source: str = "market") -> str:
    arrays = (np.array([value]) for value in (points, line, over, push))
    return str(recommend(*arrays, np.array([source]))[0])


@pytest.mark.parametrize(
    ("points", "line", "over", "push", "source", "expected"),
    [
        (22.0, 20.5, 0.55, 0.0, "market", "OVER"),
        (22.0, 20.5, 0.549999, 0.0, "market", "PASS"),
        (20.4, 20.5, 0.60, 0.0, "market", "PASS"),
        (18.0, 20.5, 0.45, 0.0, "market", "UNDER"),
        (18.0, 20.5, 0.450001, 0.0, "market", "PASS"),
        (20.6, 20.5, 0.40, 0.0, "market", "PASS"),
        (22.0, 20.0, 0.52, 0.06, "market", "OVER"),
        (18.0, 20.0, 0.43, 0.04, "market", "UNDER"),
        (30.0, 20.5, 0.95, 0.0, "estimated", "NO_LINE"),
    ],
)
def test_the_rule(points: float, line: float, over: float, push: float, source: str, expected: str) -> None:
    assert one(points, line, over, push, source) == expected


def test_sql_repeats_the_rule_from_the_stored_columns() -> None:
    import duckdb  # not when tests are collected

    grid = itertools.product(
        (18.0, 20.0, 20.5, 23.0), (20.0, 20.5), np.round(np.arange(0.0001, 0.9, 0.0125), 6), (0.0, 0.04, 0.1),
        ("market", "estimated"),
    )  # fmt: skip
    points, line, over, push, source = (np.array(column) for column in zip(*grid, strict=True))
    stored = pa.table(
        {"predicted_points": points, "line": pa.array(line).cast(pa.decimal128(6, 2)), "probability_over": over,
         "probability_push": push, "line_source": source.tolist()}
    )  # fmt: skip
    connection = duckdb.connect()
    connection.register("stored", stored)
    for threshold in (0.0, 0.05, 0.078):
        query = f"SELECT {RECOMMENDATION_RULE} AS r FROM stored"
        (repeated,) = connection.execute(query, {"pass_threshold": threshold}).fetchnumpy().values()
        assert (repeated == recommend(points, line, over, push, source, threshold)).all()
    assert sqlglot.transpile(f"SELECT {RECOMMENDATION_RULE}", read="duckdb", write="bigquery")


def test_confidence_is_the_likelier_side_when_there_is_no_push() -> None:
    assert confidence(np.array([0.6, 0.3, 0.45]), np.array([0.0, 0.0, 0.1])) == pytest.approx([0.6, 0.7, 0.5])


def test_a_threshold_that_isn_t_an_edge_is_refused() -> None:
    assert 0.524 - 0.5 < DEFAULT_THRESHOLD < 0.578 - 0.5
    with pytest.raises(ValueError, match=r"threshold 0\.5"):
        recommend(*(np.zeros(1) for _ in range(4)), np.array(["market"]), threshold=0.5)

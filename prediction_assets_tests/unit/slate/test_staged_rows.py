"""Parts: each row carries what the batch and the forecast say, and a hash of all of it."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.nba.forecasting.predictions import PREDICTION_SCHEMA
from prediction_assets.slate.staged_rows import (
    PREDICTIONS_SCHEMA_VERSION,
    _content_hashes,
    _text,
    _texts,
    content_id,
    part_rows,
    row_hashes,
)
from prediction_assets.stores.sql.tables import PART_SCHEMA
from prediction_assets_tests.made_up import batch, row_content_hash


def forecast(player_id: int, line: str, points: float) -> dict[str, object]:
    return {
        "player_id": player_id,
        "game_id": "not the batch's",
        "market": "player_points",
        "system": "ensemble",
        "system_version": "1",
        "line": Decimal(line),
        "line_offset": Decimal("0.00"),
        "line_source": "market",
        "bookmaker": None,
        "predicted_points": points,
        "standard_deviation": 6.25,
        "probability_over": 0.5,
        "probability_push": 0.0,
        "recommendation": "PASS",
        "confidence": 0.5,
    }


def forecasts(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=PREDICTION_SCHEMA)


def test_a_part_has_its_players_rows_in_the_forecasts_order():
    opened = batch(3)
    parts = part_rows(
        forecasts(
            forecast(101, "20.50", 21.0),
            forecast(102, "10.50", 11.0),
            forecast(101, "20.00", 22.0),
            forecast(102, "10.00", -0.0),
        ),
        opened,
        "snapshot1",
        PART_SCHEMA,
    )
    assert list(parts) == ["player-1", "player-2"]
    assert parts["player-1"].schema == PART_SCHEMA
    assert parts["player-1"]["line"].to_pylist() == [Decimal("20.50"), Decimal("20.00")]
    assert parts["player-2"]["predicted_points"].to_pylist() == [11.0, 0.0]


def test_a_row_says_what_the_batch_says_of_its_player():
    opened = batch(1)
    (row,) = part_rows(forecasts(forecast(101, "20.50", 21.0)), opened, "snapshot1", PART_SCHEMA)[
        "player-1"
    ].to_pylist()
    who = opened.expected[0]
    assert (row["game_id"], row["player_name"], row["team"], row["opponent"], row["is_home"]) == (
        who.game_id, who.name, who.team, who.opponent, who.is_home,
    )  # fmt: skip
    assert (str(row["game_date"]), row["league"]) == (opened.slate, opened.league)
    assert (row["feature_snapshot"], row["schema_version"]) == ("snapshot1", PREDICTIONS_SCHEMA_VERSION)


def test_a_content_hash_is_the_same_in_every_version():
    parts = part_rows(forecasts(forecast(101, "20.50", 21.0)), batch(1), "snapshot1", PART_SCHEMA)
    (found,) = parts["player-1"]["content_hash"].to_pylist()
    assert found == "a356bb790fdc05383789ce2e49b96f072c75a1cce1cd5b26591dea778e6dce5e"


def test_no_forecasts_are_no_parts():
    assert part_rows(forecasts(), batch(2), "snapshot1", PART_SCHEMA) == {}


points = st.floats(allow_nan=True, allow_infinity=True)
rows = st.lists(
    st.tuples(st.integers(101, 105), st.integers(0, 4000).map(lambda n: f"{Decimal(n) / 100:.2f}"), points),
    min_size=1,
    max_size=30,
)


@settings(max_examples=20)
@given(rows)
def test_the_hash_of_a_row_does_not_depend_on_the_other_rows(made):
    parts = part_rows(forecasts(*(forecast(*row) for row in made)), batch(5), "snapshot1", PART_SCHEMA)
    for part in parts.values():
        for row in part.to_pylist():
            assert row["content_hash"] == row_content_hash(row)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e300, 5e-324, math.inf, -math.inf, math.nan, 0.1 + 0.2])
def test_a_float_is_hashed_by_its_exact_value(value):
    beside = [value, 1.0, -value, 0.0]
    alone = _content_hashes({"x": pa.array([value])})
    assert _content_hashes({"x": pa.array(beside)})[0] == alone[0]


_ANY_DATE = st.dates()
_LINES = st.decimals(min_value=-(10**14), max_value=10**14, places=2, allow_nan=False)


@given(data=st.data(), nullable=st.booleans(), cut=st.integers(0, 5))
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.date32(), _ANY_DATE),
        (pa.decimal128(18, 2), _LINES),
        (pa.decimal128(38, 2), _LINES),
        (pa.decimal128(6, 2), st.sampled_from([Decimal("0.00"), Decimal("-0.50"), Decimal("9999.99")])),
    ],
    ids=str,
)
def test_a_date_or_a_line_is_hashed_by_its_value_however_it_lies_in_memory(kind, values, data, nullable, cut):
    given_values = data.draw(st.lists(values | st.none() if nullable else values, min_size=1, max_size=8))
    column = pa.chunked_array([pa.array(given_values[:cut], kind), pa.array(given_values[cut:], kind)])
    expected = ["" if value is None else f"x={_text(value)}," for value in given_values]
    assert _texts("x", column) == expected
    assert _texts("x", pa.array(given_values, kind)) == expected
    assert _texts("x", column.slice(cut // 2)) == expected[cut // 2 :]
    assert _texts("x", pa.array(given_values, kind).slice(cut)) == expected[cut:]


def test_a_column_without_a_value_leaves_the_hash_as_it_was_before_the_column_was_added():
    before = {"x": pa.array([1.0, 2.0])}
    assert _content_hashes({**before, "y": pa.array([None, "new"])})[0] == _content_hashes(before)[0]
    assert _content_hashes({**before, "y": pa.array([None, "new"])})[1] != _content_hashes(before)[1]


def test_a_part_s_rows_have_the_hashes_that_they_should_have():
    made = part_rows(
        forecasts(forecast(101, "20.50", 21.0), forecast(101, "21.50", 21.0)), batch(1), "s", PART_SCHEMA
    )
    part = made["player-1"]
    assert part["content_hash"].to_pylist() == row_hashes(part)
    edited = part.set_column(
        part.column_names.index("predicted_points"), "predicted_points", pa.array([22.0, 21.0])
    )
    assert [a == b for a, b in zip(row_hashes(edited), row_hashes(part), strict=True)] == [False, True]


def test_rows_that_are_hashed_a_few_at_a_time_have_the_same_hashes(monkeypatch):
    rows = forecasts(*(forecast(101, f"{20 + n}.50", 21.0 + n) for n in range(5)))
    whole = row_hashes(rows)
    monkeypatch.setattr("prediction_assets.slate.staged_rows._HASHED_AT_ONCE", 2)
    assert row_hashes(rows) == whole
    assert len({*whole}) == 5


def test_the_id_of_tables_depends_on_their_values_and_not_on_how_they_lie_in_memory():
    values = pa.table(
        {"a": [1.0, None, 3.0], "b": [True, False, True], "c": [[1, 2], [], [3]], "d": ["x", "", None]}
    )
    masked = pa.array([1.0, 2.0, 3.0], mask=np.array([False, True, False]))  # 2.0 is beneath the NULL
    longer = pa.array([True, False, True, True, True]).slice(0, 3)
    element = pa.list_(pa.field("element", pa.int64()))  # as Parquet names it
    other = pa.table({"a": masked, "b": longer, "c": values["c"].cast(element), "d": values["d"]})
    assert content_id(other) == content_id(values)
    assert content_id(pa.concat_tables([values.slice(0, 1), values.slice(1)])) == content_id(values)


@pytest.mark.parametrize(
    "changed",
    [
        {"a": [1, None], "b": ["x", "y"]},
        {"a": [None, 1], "b": ["x", "yz"]},
        {"a": [None, 1], "b": ["xy", ""]},
        {"b": [None, 1], "a": ["x", "y"]},
        {"a": [None, 1.0], "b": ["x", "y"]},
        {"a": [None, 1, None], "b": ["x", "y", "z"]},
    ],
)
def test_other_values_other_types_and_other_columns_are_another_id(changed):
    assert content_id(pa.table(changed)) != content_id(pa.table({"a": [None, 1], "b": ["x", "y"]}))


def test_a_table_with_two_columns_of_one_name_has_an_id_of_its_own():
    """Damage to a file can make it so."""
    columns = [pa.array([1]), pa.array([2])]
    one, other = (pa.Table.from_arrays(columns, names=names) for names in (["a", "a"], ["a", "b"]))
    assert content_id(one) != content_id(other)


def test_rows_in_another_list_are_another_id():
    one, other = (pa.table({"a": lists}) for lists in ([[1], [2, 3]], [[1, 2], [3]]))
    assert content_id(one) != content_id(other)

"""Lines: one main line per player out of the books' offers, or an estimate, and five around it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_assets.errors import BadInput
from prediction_assets.nba.forecasting.lines import (
    OFFER_COLUMNS,
    MarketLine,
    choose_market_lines,
    estimated_lines,
    line_grid,
)
from prediction_assets.stores.sql.tables import PROP_LINES

TIP_OFF = datetime(2025, 1, 1, 0, 10, tzinfo=UTC)  # 31 December, US Eastern


def offers(*rows: dict[str, Any]) -> pa.Table:
    """Return offers; a row's defaults are a two-sided 20.5 of one book, seen an hour and a half before tip-off."""
    default = {
        "player_id": 1, "bookmaker": "Book A", "line": Decimal("20.5"), "over_price": -110, "under_price": -110,
        "captured_at": datetime(2024, 12, 31, 22, 40, tzinfo=UTC), "commence_time": TIP_OFF, "sequence": 0,
        "capture": "",
    }  # fmt: skip
    schema = pa.schema([pa.field(n, PROP_LINES.arrow_schema.field(n).type) for n in OFFER_COLUMNS])
    made = [default | row for row in rows]
    return pa.Table.from_pylist([{**row, "line": Decimal(str(row["line"]))} for row in made], schema=schema)


def chosen(*rows: dict[str, Any]) -> MarketLine | None:
    return choose_market_lines(offers(*rows)).get(1)


def line_of(*rows: dict[str, Any]) -> float | None:
    main = chosen(*rows)
    return None if main is None else float(main.line)


def at(hour: int, minute: int = 0, day: int = 31, month: int = 12, year: int = 2024) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("24.5", [("22.5", -2), ("23.5", -1), ("24.5", 0), ("25.5", 1), ("26.5", 2)]),
        ("25", [("23", -2), ("24", -1), ("25", 0), ("26", 1), ("27", 2)]),
        ("2.5", [("0.5", -2), ("1.5", -1), ("2.5", 0), ("3.5", 1), ("4.5", 2)]),
        ("1.5", [("0.5", -1), ("1.5", 0), ("2.5", 1), ("3.5", 2), ("4.5", 3)]),
        ("0.5", [("0.5", 0), ("1.5", 1), ("2.5", 2), ("3.5", 3), ("4.5", 4)]),
        ("2", [("1", -1), ("2", 0), ("3", 1), ("4", 2), ("5", 3)]),
        ("0", [("1", 1), ("2", 2), ("3", 3), ("4", 4), ("5", 5)]),
    ],
)
def test_the_grid_is_five_lines_a_point_apart_none_below_a_half(
    main: str, expected: list[tuple[str, int]]
) -> None:
    assert line_grid(Decimal(main)) == tuple((Decimal(line), Decimal(offset)) for line, offset in expected)


@given(st.integers(-40, 240).map(lambda quarters: Decimal(quarters) / 4))
def test_a_line_is_always_the_main_line_plus_its_offset(main: Decimal) -> None:
    grid = line_grid(main)
    assert len({line for line, _ in grid}) == 5
    assert all(line == main + offset and line >= Decimal("0.5") for line, offset in grid)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([17], "16.5"),  # one side or the other: the lower
        ([10, 17, 17, 25, 30], "17.5"),  # 4 of 5 are over 16.5, 2 of 5 over 17.5
        ([17, 18], "17.5"),
        ([5, 10, 17, 17, 30], "16.5"),  # 3 of 5 are over 16.5, 1 of 5 over 17.5
        ([10, 20], "14.5"),
        ([0, 0, 0], "0.5"),
        ([], "0.5"),
    ],
)
def test_an_estimated_line_is_the_half_point_that_splits_recent_games_evenly(
    points: list[int], expected: str
) -> None:
    recent = np.full((1, 25), np.nan)
    recent[0, : len(points)] = points
    (line,) = estimated_lines(recent)
    assert line == Decimal(expected)


@pytest.mark.parametrize(
    ("case", "rows", "expected"),
    [
        ("a single offer stands", [{}], 20.5),
        ("an integer line is legal", [{"line": 20}], 20.0),
        ("a line that nobody has reached doesn't count", [{"line": 9998.5}], None),
        ("the highest that somebody has does", [{"line": 100}], 100.0),
        ("a slip leaves the book's older line", [{}, {"line": 205, "sequence": 9}], 20.5),
        ("and another book's", [{"line": 250}, {"bookmaker": "Book B", "line": 21.5}], 21.5),
        ("a suspended offer doesn't count", [{"over_price": -10000}], None),
        ("nor one suspended on the under", [{"under_price": 15000}], None),
        (
            "a suspension leaves the book's older line",
            [{}, {"line": 22.5, "over_price": -10000, "sequence": 9}],
            20.5,
        ),
        ("an offer seen after tip-off is late", [{"captured_at": at(0, 11, 1, 1, 2025)}], None),
        ("one seen at tip-off isn't", [{"captured_at": TIP_OFF}], 20.5),
        ("midnight is a date: that of tip-off isn't late", [{"captured_at": at(0, 0, 1, 1, 2025)}], 20.5),
        ("the day after tip-off's is", [{"captured_at": at(0, 0, 2, 1, 2025)}], None),
        ("the latest capture wins", [{"line": 21.5, "captured_at": at(23)}, {}], 21.5),
        (
            "an unknown capture time is newest",
            [{"captured_at": at(23)}, {"line": 19.5, "captured_at": None}],
            19.5,
        ),
        ("then the later position", [{"sequence": 2}, {"line": 21.5, "sequence": 10}], 21.5),
        ("a one-sided line will do alone", [{"under_price": None}], 20.5),
        ("not beside a two-sided one", [{"line": 21.5, "under_price": None, "captured_at": None}, {}], 20.5),
        ("nor another book's", [{"line": 21.5, "under_price": None}, {"bookmaker": "Book B"}], 20.5),
        (
            "the line that most books show",
            [{"line": 22.5}, {"bookmaker": "Book B", "over_price": -125}, {"bookmaker": "Book C"}],
            20.5,
        ),
        (
            "a tie goes to the balanced price",
            [{"over_price": -137, "under_price": 105}, {"bookmaker": "Book B", "line": 21.5}],
            21.5,
        ),
        ("then to the lower", [{"line": 21.5}, {"bookmaker": "Book B"}], 20.5),
        (
            "then to the one nearest the median",
            [{"line": 18.5}, {"bookmaker": "Book B", "line": 24.5}, {"bookmaker": "Book C", "line": 21.5}],
            21.5,
        ),
        ("another player's offer isn't his", [{"player_id": 2}], None),
        ("an unresolved name isn't anybody's", [{"player_id": None}], None),
    ],
)
def test_the_main_line(case: str, rows: list[dict[str, Any]], expected: float | None) -> None:
    assert line_of(*rows) == expected, case


def test_the_main_line_names_its_book_and_prices() -> None:
    main = chosen({"bookmaker": "Book B", "over_price": -120, "under_price": 100}, {"bookmaker": "Book A"})
    assert main == MarketLine(Decimal("20.50"), "Book A", -110, -110)


def test_the_order_of_the_offers_doesn_t_matter() -> None:
    draw = random.Random(7)
    rows = [
        {
            "player_id": draw.randint(1, 5),
            "bookmaker": f"Book {draw.randint(1, 4)}",
            "line": draw.choice([19.5, 20, 20.5, 21.5]),
            "over_price": draw.choice([-110, -137, -10000, None]),
            "under_price": draw.choice([-110, 105, None]),
            "captured_at": draw.choice([None, at(20), at(22)]),
            "sequence": draw.randint(0, 2),
        }
        for _ in range(150)
    ]
    first = choose_market_lines(offers(*rows))
    for _ in range(5):
        draw.shuffle(rows)
        assert choose_market_lines(offers(*rows)) == first
    assert list(first) == sorted(first)


def test_no_offers_are_no_lines() -> None:
    assert choose_market_lines(offers()) == {}


def test_offers_without_a_column_are_refused_by_name() -> None:
    with pytest.raises(BadInput, match="lack sequence"):
        choose_market_lines(offers({}).drop_columns(["sequence"]))

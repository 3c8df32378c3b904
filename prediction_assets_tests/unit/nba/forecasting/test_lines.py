"""Lines: an estimated main line where no book has one, and the five around a main line."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_assets.nba.forecasting.lines import estimated_lines, line_grid


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

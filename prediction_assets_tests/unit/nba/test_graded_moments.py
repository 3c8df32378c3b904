"""Which rows are graded: a player's first ones, those when his game began, and how the line moved for the bets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from prediction_assets.nba.forecasting.grading import (
    BEFORE_TIP_OFF,
    FIRST_PUBLISHED,
    grade_forecasts,
    published_at_moments,
)

MORNING = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIP_OFFS = {frozenset(("DEN", "LAL")): MORNING + 10 * HOUR}


def row(number: int, created: int, closed: int | None = None, **changes: Any) -> dict[str, Any]:
    """Return a row of the ledger, with the hours at which it came into force and went out of it."""
    made = {
        "player_id": 1, "game_id": "g", "team": "DEN", "opponent": "LAL", "system": "ensemble", "system_version": "1",
        "league": "NBA", "line": Decimal("20.50"), "line_source": "market", "predicted_points": float(number),
        "probability_over": 0.6, "probability_push": 0.0, "recommendation": "OVER",
        "market_probability": 0.5, "bet_odds": 1.9,
        "standard_deviation": 6.0, "quantiles": '{"10": 10.0, "90": 30.0}',
        "created_at": MORNING + created * HOUR,
        "superseded_at": None if closed is None else MORNING + closed * HOUR,
    }  # fmt: skip
    return {**made, **changes}


@pytest.mark.parametrize(
    ("rows", "first", "last"),
    [
        ([row(1, 0)], [1], [1]),
        ([row(1, 0, 5), row(2, 5)], [1], [2]),
        ([row(1, 0, 3), row(2, 3, 5), row(3, 5)], [1], [3]),
        # Merged after the game began: nobody could bet on it.
        ([row(1, 0, 11), row(2, 11)], [1], [1]),
        ([row(1, 0, 10), row(2, 10)], [1], []),
        ([row(1, 11)], [], []),
        # Retracted before the game, and not replaced.
        ([row(1, 0, 5)], [1], []),
        # Retracted after it.
        ([row(1, 0, 11)], [1], [1]),
        # No line says when the game begins.
        ([row(1, 0, 50, team="BOS"), row(2, 50, team="BOS")], [1], [2]),
        # Players and systems each have their own.
        (
            [row(1, 0, 5), row(2, 5), row(3, 6, player_id=2), row(4, 0, system="matchup")],
            [1, 3, 4],
            [2, 3, 4],
        ),
    ],
)
def test_the_first_rows_are_graded_and_those_when_the_game_began(rows, first, last):
    found = published_at_moments(pa.Table.from_pylist(rows), TIP_OFFS)
    assert found[FIRST_PUBLISHED]["predicted_points"].to_pylist() == first
    assert found[BEFORE_TIP_OFF]["predicted_points"].to_pylist() == last


def test_each_moment_is_graded_at_its_own_line():
    ledger = pa.Table.from_pylist([row(24, 0, 5), row(19, 5, line=Decimal("25.50"), recommendation="UNDER")])
    found = published_at_moments(ledger, TIP_OFFS)
    first, last = (
        grade_forecasts(found[moment], {("g", 1): 22.0})[0] for moment in (FIRST_PUBLISHED, BEFORE_TIP_OFF)
    )
    assert (first.bias, first.bets, first.hits) == (2.0, 1, 1)  # 22 is over 20.5
    assert (last.bias, last.bets, last.hits) == (-3.0, 1, 1)  # and under 25.5


@pytest.mark.parametrize(
    ("changes", "closing", "moved"),
    [
        ({}, {1: 22.0}, 1.5),
        ({"recommendation": "UNDER"}, {1: 22.0}, -1.5),
        ({"recommendation": "PASS"}, {1: 22.0}, None),
        ({"line_source": "estimated"}, {1: 22.0}, None),
        ({}, {2: 22.0}, None),
    ],
)
def test_a_line_that_moves_the_way_of_a_bet_is_in_its_favor(changes, closing, moved):
    graded = pa.Table.from_pylist([row(1, 0, **changes)])
    grade, *_ = grade_forecasts(
        graded, {("g", 1): 20.5}, closing=closing
    )  # a push: its line moved all the same
    assert grade.closing_line_value == moved

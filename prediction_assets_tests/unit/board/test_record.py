"""The record: figures over slates, with intervals that hold what they should."""

from __future__ import annotations

import pytest

from prediction_assets.board.record import Interval, mean_of, record_of, share_of
from prediction_assets.nba.forecasting.grading import Decile, Grade


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (533, 1000, 0.5020, 0.5637)],
)
def test_a_share_has_wilsons_interval(hits, trials, low, high):
    found = share_of(hits, trials)
    assert found.value == hits / trials
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("slates", "expected"),
    [
        ([], None),
        ([(None, 0), (None, 5)], None),
        ([(4.0, 10)], Interval(4.0)),
        ([(4.0, 10), (4.0, 30), (None, 0)], Interval(4.0, 4.0, 4.0)),
        # Two slates of equal size: mean 5, standard error 1, and Student's 12.706 with one degree of freedom.
        ([(4.0, 10), (6.0, 10)], Interval(5.0, 5.0 - 12.7062, 5.0 + 12.7062)),
    ],
)
def test_a_mean_over_slates_has_the_interval_of_slates_and_none_of_one_slate(slates, expected):
    found = mean_of(slates)
    if expected is None or expected.low is None:
        assert found == expected
    else:
        assert (found.value, found.low, found.high) == pytest.approx(
            (expected.value, expected.low, expected.high), abs=1e-3
        )


def test_a_record_counts_each_slate_by_its_players_and_leaves_out_tenths_without_lines():
    deciles = (Decile(4, 0.2, 1), *(Decile() for _ in range(9)))
    grades = [
        Grade("ensemble", "1", players=10, mean_absolute_error=4.0, bets=2, hits=2, profit=1.8, calibration=deciles),
        Grade("ensemble", "1", players=30, mean_absolute_error=6.0, bets=2, hits=0, profit=-2.0, calibration=deciles),
    ]  # fmt: skip
    found = record_of([grade.to_row() for grade in grades])
    assert (found.slates, found.players, found.bets, found.hits) == (2, 40, 4, 2)
    assert found.error is not None
    assert found.error.value == pytest.approx(5.5)
    assert found.mean_return is not None
    assert found.mean_return.value == pytest.approx(-0.05)
    assert [(tenth.lines, tenth.predicted, tenth.over.value) for tenth in found.calibration] == [
        (8, 0.05, 0.25)
    ]
    assert found.closing_line_value is None

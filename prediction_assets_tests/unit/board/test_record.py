"""The record: figures over slates, each with its interval."""

from __future__ import annotations

import numpy as np
import pytest

from prediction_assets.board.record import record_of
from prediction_assets.nba.forecasting.by_game import by_game
from prediction_assets.nba.forecasting.grading import Decile, Grade


def test_a_record_adds_its_slates_up_and_leaves_out_tenths_without_lines():
    def measures(game: str, players: int, error: float, less_coin: float) -> dict[str, dict[str, object]]:
        games = [game] * players
        return {
            "all": {
                "absolute_error": by_game(np.full(players, error), games),
                "brier_less_coin": by_game(np.full(players, less_coin), games),
            }
        }

    deciles = (Decile(4, 0.2, 1), *(Decile() for _ in range(9)))
    grades = [
        Grade("ensemble", "1", players=10, bets=2, hits=2, calibration=deciles, measures=measures("a", 10, 4.0, 0.01)),
        Grade("ensemble", "1", players=30, bets=2, hits=0, calibration=deciles, measures=measures("b", 30, 6.0, -0.01)),
    ]  # fmt: skip
    found = record_of([grade.to_row() for grade in grades])
    assert (found.slates, found.players, found.bets, found.hits) == (2, 40, 4, 2)
    assert found.error is not None
    assert found.error.low is not None
    assert (found.error.value, found.error.low < 5.5) == (5.5, True)
    assert found.brier_score is not None
    assert found.brier_score.value == pytest.approx(0.25 - 0.005)
    assert found.hit_rate is not None
    assert (found.hit_rate.value, found.hit_rate.low) == (0.5, pytest.approx(0.1500, abs=1e-4))
    assert [(tenth.lines, tenth.predicted, tenth.over.value) for tenth in found.calibration] == [
        (8, 0.05, 0.25)
    ]
    assert (found.bias, found.mean_return, found.closing_line_value) == (None, None, None)

"""What ``grade`` and ``backtest`` print: figures with their standard errors."""

from __future__ import annotations

import json

import pytest

from prediction_assets.cli.forecasting import _show
from prediction_assets.nba.forecasting.by_game import ByGame
from prediction_assets.nba.forecasting.grading import Grade

NAMES = (
    "absolute_error", "less_ensemble", "line_error", "less_line", "crps", "interval_80", "brier_less_coin",
    "hit_rate", "mean_return",
)  # fmt: skip
TWO_GAMES = ByGame(count=2, games=2, total=4.0, squares=10.0, products=4.0, sizes=2)  # 1 and 3
MEASURES = dict.fromkeys(NAMES, TWO_GAMES) | {"hit_rate": ByGame()}
GRADES = [
    Grade("ensemble", "1", players=2, mean_absolute_error=2.0, measures={"all": MEASURES, "bench": MEASURES})
]


def test_each_mean_is_printed_with_its_error_and_one_of_nothing_is_empty(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    _show("2 slates", GRADES, as_json=False)
    out = capsys.readouterr().out
    lines = {line.split("│")[1].strip(): line for line in out.splitlines() if line.count("│") in (3, 4)}
    assert "2.000 +- 1.000" in lines["MAE"]
    assert "2.0000 +- 1.0000" in lines["Brier less a coin's"]
    assert "+-" not in lines["hit rate"]
    assert "bench" in out


def test_the_json_has_every_group_s_means_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    _show("2 slates", GRADES, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)["grades"]
    assert row["measures"]["bench"]["less_line"] == {"players": 2, "mean": 2.0, "standard_error": 1.0}
    assert row["measures"]["all"]["hit_rate"] == {"players": 0, "mean": None, "standard_error": None}

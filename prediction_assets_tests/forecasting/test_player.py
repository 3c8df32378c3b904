"""The typed record of a player: complete, and enough for a system of one function."""

from __future__ import annotations

from dataclasses import fields

import pyarrow as pa
import pytest

from prediction_assets.nba.forecasting.features import FEATURE_COLUMNS, KEY_COLUMNS
from prediction_assets.nba.forecasting.player import PerPlayer, PlayerFeatures, each_player
from prediction_assets.nba.forecasting.rows import History, Rows
from prediction_assets.nba.forecasting.systems import MeanSystem

Snapshot = tuple[pa.Table, pa.Table]


def last_five(player: PlayerFeatures) -> float:
    return player.points_last_5 or 0.0


def fit_mean(history: History) -> PerPlayer:
    return PerPlayer(last_five)


def test_the_record_has_every_feature_and_no_result() -> None:
    columns = [column.name for column in (*KEY_COLUMNS, *FEATURE_COLUMNS) if column.name != "is_slate"]
    assert [field.name for field in fields(PlayerFeatures)] == columns


def test_a_record_holds_what_the_row_holds(league_snapshot: Snapshot) -> None:
    rows = Rows(league_snapshot[1])
    players = list(each_player(rows))
    assert len(players) == len(rows)
    assert [p.points_last_5 for p in players] == pytest.approx(rows["points_last_5"].tolist())
    assert all(len(p.recent_points) == p.games_last_25 for p in players)


def test_a_system_of_one_function_on_one_player_is_a_system(league_snapshot: Snapshot) -> None:
    history, players = league_snapshot
    fitted = MeanSystem("last_five", "1", fit_mean).fit(History(history))
    forecast = fitted.predict(Rows(players))
    assert forecast.mean == pytest.approx(Rows(players)["points_last_5"].clip(0.05))
    assert (forecast.standard_deviation > 0).all()

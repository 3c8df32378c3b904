"""Where the real seasons are that some tests and a benchmark read; they can't ship with the package."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.ingest.game_logs import read_game_logs
from prediction_assets.stores.sql.tables import SCHEDULE

SETTING = "REAL_DATA_FOLDER"


def _folder() -> Path:
    """Return the folder that the environment names, or else ``shared/data`` beside the checkout."""
    named = os.environ.get(SETTING)
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"


REAL_DATA = _folder()
WITHOUT_REAL_DATA = f"needs real seasons of the NBA: name their folder with {SETTING}"
"""Why a test is skipped where the data isn't."""


def five_seasons() -> pa.Table:
    """Return the game logs of 2020-21 to 2024-25."""
    files = ("player_game_logs_2015_23.parquet", "player_game_logs_2023_25.parquet")
    every = pa.concat_tables([read_game_logs(REAL_DATA / name).table for name in files])
    return every.filter(pc.greater_equal(every["game_date"], pa.scalar(date(2020, 8, 1))))


def played_games(logs: pa.Table) -> pa.Table:
    """Return the schedule that game logs imply."""
    games = logs.group_by(["game_id", "game_date", "season_id"]).aggregate([("team", "min"), ("team", "max")])
    rows = [
        {"league": "NBA", "season_id": r["season_id"], "game_id": r["game_id"], "game_date": r["game_date"],
         "home_team": r["team_min"], "away_team": r["team_max"], "team_a": r["team_min"], "team_b": r["team_max"]}
        for r in games.to_pylist()
    ]  # fmt: skip
    return SCHEDULE.arrow_table(rows)

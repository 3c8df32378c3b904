"""What the ingestion tests share: invented rows, files made of them, and the real data where it is there."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from prediction_assets.ingest.game_logs import GameLogsRead, read_game_logs
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA

Row = dict[str, Any]

BOX_SCORE: Row = {
    "SEASON_ID": 22024, "PLAYER_ID": 901, "PLAYER_NAME": "Zoran Brežina", "TEAM_ID": 1610612743,
    "TEAM_ABBREVIATION": "DEN", "TEAM_NAME": "Denver Nuggets", "GAME_ID": "0022400061",
    "GAME_DATE": "2024-10-22", "MATCHUP": "DEN vs. LAL", "WL": "W", "MIN": 31, "FGM": 7, "FGA": 15,
    "FG_PCT": 0.467, "FG3M": 2, "FG3A": 5, "FG3_PCT": 0.4, "FTM": 4, "FTA": 4, "FT_PCT": 1.0, "OREB": 1,
    "DREB": 6, "REB": 7, "AST": 9, "STL": 1, "BLK": 0, "TOV": 3, "PF": 2, "PTS": 20, "PLUS_MINUS": -4,
    "FANTASY_PTS": 45.9, "VIDEO_AVAILABLE": 1,
}  # fmt: skip

OPPONENT: Row = {
    "PLAYER_ID": 902, "PLAYER_NAME": "Tadeo Quill Jr.", "TEAM_ID": 1610612747, "TEAM_ABBREVIATION": "LAL",
    "TEAM_NAME": "Los Angeles Lakers", "MATCHUP": "LAL @ DEN", "WL": "L",
}  # fmt: skip


@pytest.fixture(scope="session")
def box_score() -> Callable[..., Row]:
    """Make one LeagueGameLog row of an invented player; keywords replace cells."""
    return lambda **cells: BOX_SCORE | cells


@pytest.fixture(scope="session")
def opponent_score() -> Callable[..., Row]:
    """Make the row of a player on the other side of the same game."""
    return lambda **cells: BOX_SCORE | OPPONENT | cells


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as CSV, gzipped if the name says so; None becomes an empty cell."""

    def write(rows: Sequence[Mapping[str, Any]], name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = gzip.open if name.endswith(".gz") else open
        with opened(path, "wt", encoding="utf-8", newline="") as text:
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[..., Path]:
    """Write a document, gzipped if the name says so."""

    def write(document: Any, name: str = "odds.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = gzip.open if name.endswith(".gz") else open
        with opened(path, "wt", encoding="utf-8") as text:
            json.dump(document, text)
        return path

    return write


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real NBA data, which isn't part of the repository."""
    if not REAL_DATA.is_dir():
        pytest.skip(WITHOUT_REAL_DATA)
    return REAL_DATA


def directory_of(logs: pa.Table) -> PlayerDirectory:
    """Return everyone in a table of game logs."""
    spellings = logs.group_by(["player_id", "player_name", "team"]).aggregate([("game_date", "max")])
    return PlayerDirectory.from_rows(
        spellings.rename_columns([*spellings.column_names[:-1], "last_game_date"]).to_pylist()
    )


@pytest.fixture(scope="session")
def real_logs(real_data: Path) -> GameLogsRead:
    """Return every player-game of 2023-24 and 2024-25."""
    return read_game_logs(real_data / "player_game_logs_2023_25.parquet")


@pytest.fixture(scope="session")
def real_players(real_logs: GameLogsRead) -> PlayerDirectory:
    """Return everyone who played in 2023-24 or 2024-25."""
    return directory_of(real_logs.table)

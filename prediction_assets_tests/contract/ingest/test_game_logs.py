"""Game logs: what is read, what is refused, and the traps of the real data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_logs import GameLogsRead, read_game_logs
from prediction_assets.stores.sql.tables import GAME_LOGS

Make = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


def test_a_row_is_read_in_the_warehouses_terms(box_score: Make, write_csv: Write) -> None:
    read = read_game_logs(write_csv([box_score()]))
    assert read.table.schema.equals(GAME_LOGS.arrow_schema)
    assert read.table.to_pylist() == [
        {
            "league": "NBA", "season_id": 22024, "game_id": "0022400061", "game_date": date(2024, 10, 22),
            "player_id": 901, "player_name": "Zoran Brežina", "team_id": 1610612743, "team": "DEN",
            "team_name": "Denver Nuggets", "opponent": "LAL", "is_home": True, "is_win": True, "minutes": 31,
            "points": 20, "field_goals_made": 7, "field_goals_attempted": 15, "three_pointers_made": 2,
            "three_pointers_attempted": 5, "free_throws_made": 4, "free_throws_attempted": 4,
            "offensive_rebounds": 1, "defensive_rebounds": 6, "assists": 9, "steals": 1, "blocks": 0,
            "turnovers": 3, "personal_fouls": 2, "plus_minus": -4,
        }
    ]  # fmt: skip
    assert (read.rows_read, read.duplicates_dropped, read.neutral_games) == (1, 0, ())


def test_the_opponent_is_the_one_that_is_not_my_team(
    box_score: Make, opponent_score: Make, write_csv: Write
) -> None:
    read = read_game_logs(write_csv([box_score(), opponent_score()]))
    assert read.table.select(["team", "opponent", "is_home"]).to_pylist() == [
        {"team": "DEN", "opponent": "LAL", "is_home": True},
        {"team": "LAL", "opponent": "DEN", "is_home": False},
    ]


@pytest.mark.parametrize("others_matchup", ["LAL @ DEN", "DEN @ LAL"])
def test_a_neutral_game_has_no_home_team(
    others_matchup: str, box_score: Make, opponent_score: Make, write_csv: Write
) -> None:
    read = read_game_logs(write_csv([box_score(MATCHUP="DEN @ LAL"), opponent_score(MATCHUP=others_matchup)]))
    assert read.neutral_games == ("0022400061",)
    assert read.table["is_home"].to_pylist() == [None, None]
    assert read.table["opponent"].to_pylist() == ["LAL", "DEN"]


def test_a_lone_visitor_is_away_because_nothing_says_neutral(opponent_score: Make, write_csv: Write) -> None:
    assert read_game_logs(write_csv([opponent_score()])).table["is_home"].to_pylist() == [False]


def test_a_neutral_game_split_over_files_is_still_neutral(
    box_score: Make, opponent_score: Make, write_csv: Write, tmp_path: Path
) -> None:
    write_csv([box_score(MATCHUP="DEN @ LAL")], "logs/a.csv")
    write_csv([opponent_score(MATCHUP="LAL @ DEN")], "logs/b.csv")
    assert read_game_logs(tmp_path / "logs").neutral_games == ("0022400061",)


def test_points_without_a_whole_minute_are_legal(box_score: Make, write_csv: Write) -> None:
    assert read_game_logs(write_csv([box_score(MIN=0)])).table["minutes"].to_pylist() == [0]


def test_missing_minutes_count_as_none_and_are_reported(box_score: Make, write_csv: Write) -> None:
    read = read_game_logs(write_csv([box_score(MIN=None)]))
    assert (read.table["minutes"].to_pylist(), read.null_minutes) == ([0], 1)


@pytest.mark.parametrize(
    ("cell", "minutes"),
    [("34:12", 34), ("34:30", 35), ("34.216667", 34), ("34.5", 35), ("3", 3), ("0:04", 0)],
)
def test_minutes_may_be_written_as_other_endpoints_of_the_nba_do(
    cell: str, minutes: int, box_score: Make, write_csv: Write
) -> None:
    assert read_game_logs(write_csv([box_score(MIN=cell)])).table["minutes"].to_pylist() == [minutes]


def test_what_follows_from_another_column_may_be_absent(box_score: Make, write_csv: Write) -> None:
    whole = read_game_logs(write_csv([box_score()])).table
    derived = ("SEASON_ID", "TEAM_ID", "TEAM_NAME")
    lean = {name: cell for name, cell in box_score().items() if name not in derived}
    assert read_game_logs(write_csv([lean])).table.equals(whole)
    older = lean | {"GAME_ID": "0020200061", "TEAM_ABBREVIATION": "SEA", "MATCHUP": "SEA @ DEN"}
    with pytest.raises(
        BadInput, match="row 2, column TEAM_ABBREVIATION: no team of today is SEA, so the file has to"
    ):
        read_game_logs(write_csv([older]))


@pytest.mark.parametrize("lost", ["22300061", "22300061.0"])
def test_leading_zeros_lost_in_csv_come_back(lost: str, box_score: Make, write_csv: Write) -> None:
    assert read_game_logs(write_csv([box_score(GAME_ID=lost)])).table["game_id"][0].as_py() == "0022300061"


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("GAME_ID", pa.array([22400061])),
        ("GAME_DATE", pa.array([date(2024, 10, 22)])),
        ("GAME_DATE", pa.array([datetime(2024, 10, 22)], pa.timestamp("ns"))),
        ("GAME_DATE", pa.array([datetime(2024, 10, 22)], pa.timestamp("us", tz="UTC"))),
        ("GAME_DATE", pa.array(["2024-10-22T00:00:00"]).dictionary_encode()),
        ("MIN", pa.array([31.0])),
        ("MIN", pa.array(["31"], pa.large_string())),
    ],
)
def test_parquet_types_make_no_difference(
    column: str, cells: pa.Array, box_score: Make, tmp_path: Path
) -> None:
    table = pa.Table.from_pylist([box_score()])
    path = tmp_path / "typed.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, cells), path)
    row = read_game_logs(path).table.to_pylist()[0]
    assert (row["game_id"], row["game_date"], row["minutes"]) == ("0022400061", date(2024, 10, 22), 31)


def test_headers_may_be_in_any_case_and_unused_columns_may_be_absent(
    box_score: Make, write_csv: Write
) -> None:
    unused = ("FG_PCT", "FG3_PCT", "FT_PCT", "REB", "FANTASY_PTS", "VIDEO_AVAILABLE", "WL", "PLUS_MINUS")
    row = {name.lower(): cell for name, cell in box_score().items() if name not in unused}
    read = read_game_logs(write_csv([row]))
    assert read.table.select(["is_win", "plus_minus"]).to_pylist() == [{"is_win": None, "plus_minus": None}]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"AST": "nine"}, "row 3, column AST: 'nine' is not a whole number"),
        ({"AST": None}, "row 3, column AST: the value is empty"),
        ({"AST": -1}, "row 3, column AST: -1 is below 0"),
        ({"MIN": "31:75"}, "row 3, column MIN: '31:75' is not a finite decimal number"),
        ({"MIN": "DNP"}, "row 3, column MIN: 'DNP' is not a finite decimal number"),
        ({"MIN": "-3"}, "row 3, column MIN: -3 is not a number of minutes"),
        ({"PLAYER_NAME": "  "}, "row 3, column PLAYER_NAME: the value is empty"),
        ({"GAME_DATE": "22.10.2024"}, "row 3, column GAME_DATE: '22.10.2024' is not a date"),
        ({"GAME_ID": "0022x00061"}, "row 3, column GAME_ID: '0022x00061' is not a game id"),
        ({"SEASON_ID": "2024"}, "row 3, column SEASON_ID: 2024 is below 10000"),
        ({"WL": "T"}, "row 3, column WL: 'T' is neither W nor L"),
        ({"PTS": 21}, r"row 3, column PTS: 21 points, but 2\*FGM \+ FG3M \+ FTM is 20"),
        ({"FGA": 6}, "row 3, column FGM: FGM 7 is more than FGA 6"),
        ({"MATCHUP": "LAL at DEN"}, "row 3, column MATCHUP: 'LAL at DEN' is not a matchup"),
        ({"MATCHUP": "LAL @ LAL"}, "row 3, column MATCHUP: 'LAL @ LAL' is not a matchup"),
        ({"MATCHUP": "BOS @ DEN"}, "row 3, column MATCHUP: team LAL is not in BOS and DEN"),
        ({"MATCHUP": "LAL vs. DEN"}, "row 2, column MATCHUP: both teams of game 0022400061 are at home"),
        ({"MATCHUP": "LAL @ BOS"}, "row 3: game 0022400061 has teams BOS-LAL here and DEN-LAL in row 2"),
        (
            {"GAME_DATE": "2024-10-23"},
            "row 3: game 0022400061 has date 2024-10-23 here and 2024-10-22 in row",
        ),
    ],
)
def test_a_bad_row_is_named(
    cells: dict[str, Any], problem: str, box_score: Make, opponent_score: Make, write_csv: Write
) -> None:
    path = write_csv([box_score(), opponent_score(**cells)])
    with pytest.raises(BadInput, match=problem) as refused:
        read_game_logs(path)
    assert str(refused.value).startswith(f"{path}, row ")
    assert "\n" not in str(refused.value)


def test_a_misspelt_column_is_named_with_what_it_may_be(box_score: Make, write_csv: Write) -> None:
    row = box_score()
    row["MATCH_UP"] = row.pop("MATCHUP")
    del row["PTS"]
    with pytest.raises(BadInput, match=r"missing columns MATCHUP \(is it 'MATCH_UP'\?\), PTS") as refused:
        read_game_logs(write_csv([row]))
    assert "columns found: SEASON_ID, PLAYER_ID" in str(refused.value)


def test_a_misspelt_parquet_column_is_suggested_too(box_score: Make, tmp_path: Path) -> None:
    table = pa.Table.from_pylist([box_score()])
    pq.write_table(table.rename_columns({"GAME_DATE": "GAMEDATE"}), tmp_path / "x.parquet")
    with pytest.raises(BadInput, match=r"missing column GAME_DATE \(is it 'GAMEDATE'\?\)"):
        read_game_logs(tmp_path / "x.parquet")


def test_equal_rows_are_dropped_and_counted(box_score: Make, opponent_score: Make, write_csv: Write) -> None:
    read = read_game_logs(write_csv([box_score(), opponent_score(), box_score(), box_score()]))
    assert (read.table.num_rows, read.rows_read, read.duplicates_dropped) == (2, 4, 2)


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"AST": 8}, "row 4, column AST: 8 disagrees with 9 in row 2, the same player and game"),
        ({"WL": "L"}, "row 4, column WL: False disagrees with True in row 2"),
        (
            {"PLAYER_NAME": "Olu Marchetti"},
            "row 4, column PLAYER_NAME: Olu Marchetti disagrees with Zoran Bre",
        ),
    ],
)
def test_rows_of_one_game_that_disagree_are_both_named(
    cells: dict[str, Any], problem: str, box_score: Make, opponent_score: Make, write_csv: Write
) -> None:
    with pytest.raises(BadInput, match=problem):
        read_game_logs(write_csv([box_score(), opponent_score(), box_score(**cells)]))


def test_files_that_disagree_are_both_named(box_score: Make, write_csv: Write, tmp_path: Path) -> None:
    first = write_csv([box_score()], "logs/a.csv")
    second = write_csv([box_score(PLAYER_ID=903), box_score(BLK=1)], "logs/b.csv")
    with pytest.raises(BadInput) as refused:
        read_game_logs(tmp_path / "logs")
    assert str(refused.value).startswith(
        f"{second}, row 3, column BLK: 1 disagrees with 0 in row 2 of {first}"
    )


@pytest.mark.parametrize("later", ["Zoran Brezina", "ZORAN BREŽINA", "Zoran Brežina III", "Zoran Brezˇina"])
def test_a_name_may_drift_and_the_later_file_spells_it(
    later: str, box_score: Make, write_csv: Write, tmp_path: Path
) -> None:
    write_csv([box_score()], "logs/a.csv")
    write_csv([box_score(PLAYER_NAME=later, TEAM_NAME="Nuggets of Denver")], "logs/b.csv")
    read = read_game_logs(tmp_path / "logs")
    assert read.table["player_name"].to_pylist() == [later]
    assert read.duplicates_dropped == 1


def test_what_only_one_of_two_files_knows_is_kept(box_score: Make, write_csv: Write, tmp_path: Path) -> None:
    write_csv([box_score()], "logs/a.csv")
    poorer = {name: cell for name, cell in box_score().items() if name not in ("WL", "PLUS_MINUS")}
    write_csv([poorer], "logs/b.csv")
    read = read_game_logs(tmp_path / "logs")
    assert read.table.select(["is_win", "plus_minus"]).to_pylist() == [{"is_win": True, "plus_minus": -4}]


def test_a_value_of_a_third_file_is_compared_across_one_that_lacks_it(
    box_score: Make, write_csv: Write
) -> None:
    rows = [box_score(), box_score(PLUS_MINUS=None), box_score(PLUS_MINUS=5)]
    with pytest.raises(BadInput, match="row 4, column PLUS_MINUS: 5 disagrees with -4"):
        read_game_logs(write_csv(rows))


def test_rows_come_out_by_date_whatever_the_files_order(box_score: Make, write_csv: Write) -> None:
    later = box_score(GAME_ID="0022400001", GAME_DATE="2024-11-01")
    read = read_game_logs(write_csv([later, box_score(PLAYER_ID=905), box_score()]))
    assert read.table["player_id"].to_pylist() == [901, 905, 901]


def test_two_seasons_of_real_logs_are_read(real_logs: GameLogsRead) -> None:
    assert real_logs.rows_read == real_logs.table.num_rows == 52_707
    games = real_logs.table.group_by("season_id").aggregate([("game_id", "count_distinct")])
    assert dict(zip(*games.to_pydict().values(), strict=True)) == {22023: 1230, 22024: 1230}


def test_the_five_real_neutral_games_have_no_home_team(real_logs: GameLogsRead) -> None:
    assert real_logs.neutral_games == (
        "0022400147", "0022400621", "0022400633", "0022401229", "0022401230",
    )  # fmt: skip
    homeless = real_logs.table.filter(pc.is_null(real_logs.table["is_home"]))
    assert set(homeless["game_id"].to_pylist()) == set(real_logs.neutral_games)


@pytest.mark.parametrize(
    ("player_id", "points", "games"), [(2544, 1710, 70), (203999, 2071, 70), (1628983, 2484, 76)]
)
def test_real_season_totals_are_right(
    player_id: int, points: int, games: int, real_logs: GameLogsRead
) -> None:
    table = real_logs.table
    season = table.filter((pc.field("player_id") == player_id) & (pc.field("season_id") == 22024))
    assert (pc.sum(season["points"]).as_py(), season.num_rows) == (points, games)


def test_real_rows_without_a_whole_minute_are_kept(real_logs: GameLogsRead) -> None:
    table = real_logs.table.filter((pc.field("season_id") == 22023) & (pc.field("minutes") == 0))
    assert table.num_rows == 118
    assert real_logs.null_minutes == 0
    assert real_logs.table.filter((pc.field("minutes") == 0) & (pc.field("points") > 0)).num_rows > 0


def test_a_real_traded_player_has_two_teams(real_logs: GameLogsRead) -> None:
    season = real_logs.table.filter((pc.field("player_id") == 1629029) & (pc.field("season_id") == 22024))
    assert pc.unique(season["team"]).to_pylist() == ["DAL", "LAL"]


def test_the_real_csv_and_parquet_of_one_season_agree(
    real_data: Path, real_logs: GameLogsRead, tmp_path: Path
) -> None:
    for name in ("leaguegamelog_2024_25.csv.gz", "player_game_logs_2023_25.parquet"):
        (tmp_path / name).symlink_to((real_data / name).resolve())
    both = read_game_logs(tmp_path)
    assert (both.rows_read, both.duplicates_dropped) == (52_707 + 26_306, 26_306)
    assert both.table.equals(real_logs.table)


def test_eight_real_seasons_are_read_with_2019_20_cut_short(real_data: Path) -> None:
    read = read_game_logs(real_data / "player_game_logs_2015_23.parquet")
    assert (read.table.num_rows, read.neutral_games) == (199_914, ())
    interrupted = read.table.filter(pc.field("season_id") == 22019)
    assert pc.max(interrupted["game_date"]).as_py() == date(2020, 3, 11)
    assert len(pc.unique(interrupted["game_id"])) == 971

"""The schedule: who meets whom, and what no schedule can say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_ids import season_of
from prediction_assets.ingest.schedule import read_schedule
from prediction_assets.stores.sql.tables import SCHEDULE

Write = Callable[..., Path]

HOME_GAME = {
    "season_id": 22024, "game_id": "0022400061", "game_date": "2024-10-22",
    "home_team": "BOS", "away_team": "NYK", "team_a": "BOS", "team_b": "NYK",
}  # fmt: skip
NEUTRAL_GAME = {
    "season_id": 22024, "game_id": "0022400147", "game_date": "2024-11-02",
    "home_team": None, "away_team": None, "team_a": "WAS", "team_b": "MIA",
}  # fmt: skip


def test_games_are_read_by_date(write_csv: Write) -> None:
    read = read_schedule(write_csv([NEUTRAL_GAME, HOME_GAME]))
    assert read.table.schema.equals(SCHEDULE.arrow_schema)
    assert read.table.to_pylist() == [
        {"league": "NBA"} | HOME_GAME | {"game_date": date(2024, 10, 22)},
        {"league": "NBA"} | NEUTRAL_GAME | {"game_date": date(2024, 11, 2)},
    ]
    assert (read.rows_read, read.duplicates_dropped, read.neutral_games) == (2, 0, ("0022400147",))


def test_the_teams_are_home_and_away_where_nothing_else_is_said(write_csv: Write) -> None:
    row = {name: HOME_GAME[name] for name in ("game_id", "game_date", "home_team", "away_team")}
    game = read_schedule(write_csv([row])).table.to_pylist()[0]
    assert (game["team_a"], game["team_b"], game["season_id"]) == ("BOS", "NYK", 22024)


def test_a_schedule_of_neutral_games_needs_no_home_column(write_csv: Write) -> None:
    row = {name: NEUTRAL_GAME[name] for name in ("game_id", "game_date", "team_a", "team_b")}
    assert read_schedule(write_csv([row])).neutral_games == ("0022400147",)


@pytest.mark.parametrize(
    ("game_id", "season"),
    [("0022400061", 22024), ("0052400101", 52024), ("0029600001", 21996), ("0020000001", 22000)],
)
def test_a_season_follows_from_the_game_id(game_id: str, season: int) -> None:
    assert season_of(game_id) == season


def test_parquet_numbers_and_dates_are_read(tmp_path: Path) -> None:
    game = HOME_GAME | {"game_id": 22400061, "game_date": date(2024, 10, 22)}
    pq.write_table(pa.Table.from_pylist([game]), tmp_path / "games.parquet")
    assert read_schedule(tmp_path).table["game_id"].to_pylist() == ["0022400061"]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"away_team": "BOS", "team_b": "BOS"}, "row 3: BOS is listed against itself"),
        (
            {"away_team": None},
            r"row 3, column away_team: only one of home_team \(BOS\) and away_team \(None\)",
        ),
        ({"team_b": None}, r"row 3: only one of team_a \(BOS\) and team_b \(None\) is there"),
        ({"team_b": "LAL"}, "row 3: NYK at BOS are not the teams BOS and LAL"),
        (
            dict.fromkeys(("home_team", "away_team", "team_a", "team_b")),
            "row 3: no teams; a neutral site needs",
        ),
        ({"home_team": "Boston"}, "row 3, column home_team: 'Boston' is not a team abbreviation"),
        (
            {"game_date": "1900-01-01"},
            "row 3, column game_date: '1900-01-01' is not a date: no game was played",
        ),
        ({"game_id": "61"}, "row 3, column game_id: '61' is not a game id"),
        ({"game_id": "0022400147"}, "row 3, column game_date: game 0022400147 has game_date 2024-10-22 here"),
        (
            {"game_date": "2024-11-02", "away_team": "MIA", "team_b": "MIA"},
            "row 3: MIA plays twice on 2024-11-02: game 0022400061 here and another in row 2",
        ),
    ],
)
def test_a_bad_row_is_named(cells: dict[str, Any], problem: str, write_csv: Write) -> None:
    with pytest.raises(BadInput, match=problem) as refused:
        read_schedule(write_csv([NEUTRAL_GAME, HOME_GAME | cells]))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("absent", "problem"),
    [
        (("game_date",), "missing column game_date"),
        (("away_team",), r"missing column away_team \(or away_team_abbreviation, .*\);"),
        (("home_team", "away_team", "team_b"), "missing column team_b"),
    ],
)
def test_a_missing_column_is_named(absent: tuple[str, ...], problem: str, write_csv: Write) -> None:
    row = {name: cell for name, cell in HOME_GAME.items() if name not in absent}
    with pytest.raises(BadInput, match=problem):
        read_schedule(write_csv([row]))


def test_overlapping_files_that_agree_are_one_schedule(write_csv: Write, tmp_path: Path) -> None:
    write_csv([HOME_GAME, NEUTRAL_GAME], "games/a.csv.gz")
    write_csv([NEUTRAL_GAME | {"team_a": "MIA", "team_b": "WAS"}], "games/b.csv")
    read = read_schedule(tmp_path / "games")
    assert (read.table.num_rows, read.rows_read, read.duplicates_dropped) == (2, 3, 1)


def test_files_that_disagree_are_both_named(write_csv: Write, tmp_path: Path) -> None:
    first = write_csv([HOME_GAME], "games/a.csv")
    write_csv([HOME_GAME | {"home_team": "NYK", "away_team": "BOS"}], "games/b.csv")
    with pytest.raises(
        BadInput, match=r"b\.csv, row 2, column home_team: .* home_team NYK here and BOS"
    ) as refused:
        read_schedule(tmp_path / "games")
    assert str(refused.value).endswith(f"in row 2 of {first}")


def test_the_real_schedule_is_read(real_data: Path) -> None:
    read = read_schedule(real_data / "schedule_2023_25.csv")
    assert (read.table.num_rows, read.duplicates_dropped, len(read.neutral_games)) == (2_460, 0, 5)
    seasons = pc.value_counts(read.table["season_id"]).to_pylist()
    assert {one["values"]: one["counts"] for one in seasons} == {22023: 1230, 22024: 1230}
    assert [season_of(game) for game in read.table["game_id"].to_pylist()] == read.table[
        "season_id"
    ].to_pylist()


def test_a_file_says_all_the_games_of_the_dates_that_it_names_and_of_none_between(write_csv: Write) -> None:
    read = read_schedule(write_csv([HOME_GAME, NEUTRAL_GAME]))
    assert read.dates.to_pylist() == [
        {"league": "NBA", "game_date": date(2024, 10, 22)},
        {"league": "NBA", "game_date": date(2024, 11, 2)},
    ]


def test_a_postponed_game_is_no_game_and_names_its_date(write_csv: Write) -> None:
    off = NEUTRAL_GAME | {"postponed": "Y", "team_a": None, "team_b": None}
    read = read_schedule(write_csv([HOME_GAME | {"postponed": "N"}, off]))
    assert read.table["game_id"].to_pylist() == [HOME_GAME["game_id"]]
    assert [day.isoformat() for day in read.dates["game_date"].to_pylist()] == ["2024-10-22", "2024-11-02"]
    assert (read.rows_read, read.duplicates_dropped, read.left_out) == (2, 0, {"postponed": 1})


def test_a_game_that_is_postponed_and_listed_on_its_new_date_is_played_then(write_csv: Write) -> None:
    later = HOME_GAME | {"game_date": "2024-12-01", "postponed": None}
    read = read_schedule(write_csv([HOME_GAME | {"postponed": "y"}, later]))
    assert read.table["game_date"].to_pylist() == [date(2024, 12, 1)]
    assert read.dates["game_date"].to_pylist() == [date(2024, 10, 22), date(2024, 12, 1)]


def test_a_game_is_postponed_or_not(write_csv: Write) -> None:
    with pytest.raises(BadInput, match="row 2, column postponed: 'maybe' is neither Y nor N"):
        read_schedule(write_csv([HOME_GAME | {"postponed": "maybe"}]))

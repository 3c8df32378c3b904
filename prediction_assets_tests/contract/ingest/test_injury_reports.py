"""Injury reports: files in the NBA's own terms, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest.injury_reports import read_injury_reports
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.stores.sql.tables import INJURY_REPORTS

DAY = date(2026, 1, 2)
PLAYERS = PlayerDirectory.from_rows(
    [
        (901, "Zoran Brežina", "DEN", date(2025, 12, 30)),
        (902, "Tadeo Quill Jr.", "LAL", date(2025, 12, 30)),
        (903, "Ives Marlow", "LAL", date(2025, 12, 30)),
        (904, "Ives Marlow", "DEN", date(2025, 12, 30)),
    ]
)
ROW = {
    "Game Date": "01/02/2026", "Game Time": "09:00 (ET)", "Matchup": "LAL@DEN", "Team": "Denver Nuggets",
    "Player Name": "Brezina, Zoran", "Current Status": "Out", "Reason": "Injury/Illness - Left Knee; Soreness",
}  # fmt: skip
OFFICIAL = "Injury-Report_2026-01-02_05PM.csv"


def test_a_report_in_the_nba_s_own_terms_is_read(write_csv):
    quill = {
        "Team": "Los Angeles Lakers",
        "Player Name": "Quill Jr., Tadeo",
        "Current Status": "Questionable",
    }
    read = read_injury_reports(write_csv([ROW, ROW | quill], OFFICIAL), PLAYERS)
    assert read.table.schema == INJURY_REPORTS.arrow_schema
    assert read.table.to_pylist() == [
        {
            "league": "NBA", "game_date": DAY, "reported_at": datetime(2026, 1, 2, 22, 0, tzinfo=UTC),
            "team": "DEN", "player_name": "Zoran Brezina", "player_id": 901, "status": "Out",
            "reason": "Injury/Illness - Left Knee; Soreness",
        },
        {
            "league": "NBA", "game_date": DAY, "reported_at": datetime(2026, 1, 2, 22, 0, tzinfo=UTC),
            "team": "LAL", "player_name": "Tadeo Quill Jr.", "player_id": 902, "status": "Questionable",
            "reason": "Injury/Illness - Left Knee; Soreness",
        },
    ]  # fmt: skip
    assert (read.rows_read, read.players_out, read.unresolved) == (2, 1, ())


@pytest.mark.parametrize(
    ("name", "hour", "minute"),
    [
        ("Injury-Report_2026-01-02_05PM.csv", 22, 0),
        ("Injury-Report_2026-01-02_05_30PM.csv.gz", 22, 30),
        ("Injury-Report_2026-01-02_11_45AM.csv", 16, 45),
        ("Injury-Report_2026-01-02_12AM.csv", 5, 0),
    ],
)
def test_the_file_s_name_says_when_the_report_was_published_in_eastern_time(write_csv, name, hour, minute):
    (row,) = read_injury_reports(write_csv([ROW], name), PLAYERS).table.to_pylist()
    assert row["reported_at"] == datetime(2026, 1, 2, hour, minute, tzinfo=UTC)


def test_a_column_says_when_the_report_was_published_and_wins_over_the_name(write_csv):
    path = write_csv([ROW | {"Reported At": "2026-01-02T18:30:00-05:00"}], OFFICIAL)
    (row,) = read_injury_reports(path, PLAYERS).table.to_pylist()
    assert row["reported_at"] == datetime(2026, 1, 2, 23, 30, tzinfo=UTC)


def test_snake_case_columns_iso_dates_and_parquet_are_the_same(tmp_path, write_csv):
    path = tmp_path / "report.parquet"
    columns = {
        "game_date": pa.array([DAY]), "matchup": ["LAL @ DEN"], "team": ["DEN"],
        "player_name": ["Zoran Brežina"], "status": ["OUT"], "reason": ["Rest"],
        "reported_at": pa.array([datetime(2026, 1, 2, 22, tzinfo=UTC)], pa.timestamp("us", "UTC")),
    }  # fmt: skip
    pq.write_table(pa.table(columns), path)
    (row,) = read_injury_reports(path, PLAYERS).table.to_pylist()
    assert (row["player_id"], row["status"], row["game_date"]) == (901, "Out", DAY)


WAITING = {"Player Name": None, "Current Status": None, "Reason": "NOT YET SUBMITTED"}


def test_a_team_that_has_not_reported_yet_is_a_row_that_names_no_player(write_csv):
    lakers = {"Team": "Los Angeles Lakers"}
    read = read_injury_reports(
        write_csv([ROW, ROW | WAITING | lakers, ROW | WAITING | lakers], OFFICIAL), PLAYERS
    )
    assert (read.table.num_rows, read.rows_read, read.not_yet_submitted, read.unresolved) == (2, 3, 1, ())
    assert read.table.to_pylist()[1] == {
        "league": "NBA", "game_date": DAY, "reported_at": datetime(2026, 1, 2, 22, 0, tzinfo=UTC),
        "team": "LAL", "player_name": "", "player_id": None, "status": "Not yet submitted", "reason": None,
    }  # fmt: skip


def test_a_game_between_teams_that_no_league_has_is_left_out(write_csv):
    all_star = ROW | WAITING | {"Matchup": "UNK@UNK", "Team": None}
    read = read_injury_reports(write_csv([all_star, ROW], OFFICIAL), PLAYERS)
    assert (read.table.num_rows, read.rows_read, read.not_yet_submitted) == (1, 2, 0)
    assert "row 3" in read.names[0]
    listed = ROW | {"Matchup": "STR@STA", "Team": "Team Stripes"}
    read = read_injury_reports(write_csv([listed, ROW], OFFICIAL), PLAYERS)
    assert (read.table.num_rows, read.left_out) == (1, {"STR@STA": 1})
    with pytest.raises(BadInput, match="row 3, column Team: the value is empty"):
        read_injury_reports(write_csv([ROW, ROW | {"Team": None}], OFFICIAL), PLAYERS)


def test_a_name_that_is_nobody_s_is_kept_without_an_id_and_reported(write_csv):
    path = write_csv([ROW | {"Player Name": "Body, No"}], OFFICIAL)
    read = read_injury_reports(path, PLAYERS)
    assert [row["player_id"] for row in read.table.to_pylist()] == [None]
    ((name, rows, reason),) = read.unresolved
    assert (name, rows) == ("No Body", 1)
    assert reason.startswith("unknown")


def test_the_team_tells_namesakes_apart(write_csv):
    path = write_csv([ROW | {"Player Name": "Marlow, Ives"}], OFFICIAL)
    assert [row["player_id"] for row in read_injury_reports(path, PLAYERS).table.to_pylist()] == [904]


def test_a_row_that_is_repeated_in_one_report_counts_once(write_csv):
    read = read_injury_reports(write_csv([ROW, ROW], OFFICIAL), PLAYERS)
    assert (read.table.num_rows, read.rows_read, read.duplicates_dropped) == (1, 2, 1)


def test_a_folder_of_reports_keeps_each(tmp_path, write_csv):
    write_csv([ROW], f"reports/{OFFICIAL}")
    write_csv([ROW | {"Current Status": "Available"}], "reports/Injury-Report_2026-01-02_06PM.csv")
    read = read_injury_reports(tmp_path / "reports", PLAYERS)
    assert [row["status"] for row in read.table.to_pylist()] == ["Out", "Available"]


@pytest.mark.parametrize(
    ("cells", "row", "column", "says"),
    [
        ({"Current Status": "Outt"}, 3, "Current Status", "'Outt' is not a status (Out, Doubtful"),
        ({"Current Status": None}, 3, "Current Status", "the value is empty"),
        ({"Player Name": None}, 3, "Player Name", "the value is empty"),
        ({"Game Date": "13/45/2026"}, 3, "Game Date", "is not a date"),
        ({"Game Date": None}, 3, "Game Date", "the value is empty"),
        ({"Matchup": "LAL"}, 3, "Matchup", "'LAL' is not a matchup such as LAL@DEN"),
        ({"Team": "Denver Nugets"}, 3, "Team", "unknown team 'Denver Nugets' (is it 'Denver Nuggets'?)"),
        ({"Team": "Boston Celtics"}, 3, "Team", "BOS does not play in LAL@DEN"),
        ({"Current Status": "Probable"}, 3, "Current Status", "is Probable"),
    ],
)
def test_a_bad_row_is_refused_with_its_row_and_column(write_csv, cells, row, column, says):
    path = write_csv([ROW, ROW | cells], OFFICIAL)
    with pytest.raises(BadInput) as refused:
        read_injury_reports(path, PLAYERS)
    assert says in str(refused.value)
    assert f"row {row}" in str(refused.value)
    assert column in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_report_of_an_unknown_time_is_refused(write_csv):
    with pytest.raises(BadInput, match="nothing says when this report was published"):
        read_injury_reports(write_csv([ROW], "report.csv"), PLAYERS)


def test_a_missing_column_is_named(write_csv):
    row = {name: cell for name, cell in ROW.items() if name != "Current Status"}
    with pytest.raises(BadInput, match="missing column Current Status"):
        read_injury_reports(write_csv([row], OFFICIAL), PLAYERS)

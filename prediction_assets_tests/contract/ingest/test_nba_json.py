"""The NBA's own JSON and tables from files: what is not used may come and go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_logs import read_game_logs
from prediction_assets.ingest.schedule import read_schedule
from prediction_assets_tests.made_up_feeds import listed_game, log_answer, schedule_answer

Write = Callable[..., Path]


def games(path: Path) -> list[tuple[Any, ...]]:
    names = ["game_id", "home_team", "away_team", "team_a", "team_b"]
    return [tuple(row.values()) for row in read_schedule(path).table.select(names).to_pylist()]


def test_game_logs_as_stats_nba_com_answers_are_read_as_their_csv_is(
    box_score, opponent_score, write_json, write_csv
):
    rows = [box_score(), opponent_score(MIN=None)]
    assert read_game_logs(write_json(log_answer(*rows))).table.equals(read_game_logs(write_csv(rows)).table)


@pytest.mark.parametrize("empty", [[], None])
def test_a_kind_of_game_that_was_not_played_yet_holds_up_no_other(box_score, write_json, empty):
    path = write_json(log_answer(box_score()), "season/regular.json")
    nothing = log_answer()
    nothing["resultSets"][0]["rowSet"] = empty
    write_json(nothing, "season/playoffs.json")
    assert read_game_logs(path.parent).rows_read == 1
    with pytest.raises(BadInput, match=r"no game was played yet; has the season begun\?"):
        read_game_logs(path.parent / "playoffs.json")


NO_HEADERS = {"name": "LeagueGameLog", "headers": None, "rowSet": [[1]]}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"Message": "try later"}, "is not of the shape resultSets.*; save the answer of stats.nba.com"),
        ([], "is not of the shape resultSets"),
        ({"resultSets": [{"name": "X", "headers": [], "rowSet": []}]}, "no result set LeagueGameLog; it has: X"),
        (
            {"resultSets": [{"name": "LeagueGameLog", "headers": ["A", "B"], "rowSet": [[1, 2], [1]]}]},
            "row 2: 1 values where there are 2 headers",
        ),
        (
            {"resultSets": [{"name": "LeagueGameLog", "headers": ["A"], "rowSet": [7]}]},
            "row 1: no values where there are 1 headers",
        ),
        (log_answer({"GAME_ID": "0022400061"}), "missing columns PLAYER_ID"),
        (log_answer({"GAME_ID": "0022400061"}) | {"resultSets": [NO_HEADERS]}, "row 1: 1 values where there are 0"),
    ],
)  # fmt: skip
def test_game_logs_of_another_shape_are_refused(write_json, answer, problem):
    with pytest.raises(BadInput, match=problem):
        read_game_logs(write_json(answer))


SEASON = schedule_answer(
    [],
    [listed_game("0012400001", "DEN", "MEL", "2024-10-04"), listed_game("0022400061", "BOS", "NYK")],
    [
        listed_game("0022400147", "WAS", "MIA", "2024-11-04", isNeutral=True),
        listed_game("0042400101", None, None),
    ],
)


def test_a_season_s_schedule_is_read_and_counts_every_date_between(write_json):
    path = write_json(SEASON)
    assert games(path) == [
        ("0022400061", "BOS", "NYK", "BOS", "NYK"), ("0022400147", None, None, "WAS", "MIA"),
    ]  # fmt: skip
    read = read_schedule(path)
    assert [day.day for day in read.dates["game_date"].to_pylist()] == [2, 3, 4]
    assert read.left_out == {"pre-season": 1, "teams not known yet": 1}


def test_two_seasons_in_a_folder_count_no_date_of_the_summer_between(write_json):
    path = write_json(SEASON, "seasons/one.json")
    write_json(schedule_answer([listed_game("0022500001", "BOS", "NYK", "2025-10-21")]), "seasons/two.json")
    read = read_schedule(path.parent)
    assert read.table["season_id"].to_pylist() == [22024, 22024, 22025]
    assert [str(day) for day in read.dates["game_date"].to_pylist()] == [
        "2024-11-02", "2024-11-03", "2024-11-04", "2025-10-21",
    ]  # fmt: skip


@pytest.mark.parametrize("absent", ["gameDateTimeUTC", "postponedStatus", "isNeutral"])
def test_a_field_that_is_not_used_or_not_there_stops_no_schedule(write_json, absent):
    game = listed_game("0022400061", "BOS", "NYK")
    del game[absent]
    assert games(write_json(schedule_answer([game | {"broadcasters": None, "pointsLeaders": []}]))) == [
        ("0022400061", "BOS", "NYK", "BOS", "NYK")
    ]


@pytest.mark.parametrize("absent", ["gameId", "gameDateEst", "homeTeam", "awayTeam"])
@pytest.mark.parametrize("game_id", ["0012400001", "0042400101"])
def test_a_field_that_a_game_without_teams_or_of_another_kind_lacks_stops_no_other_game(
    write_json, game_id, absent
):
    lacking = {
        key: value for key, value in listed_game(game_id, None, None).items() if key != absent or absent == "gameId"
    }  # fmt: skip
    days: list[Any] = [[], [lacking, listed_game("0022400061", "BOS", "NYK")]]
    document = schedule_answer(*days)
    document["leagueSchedule"]["gameDates"] += [{"gameDate": "11/04/2024"}, {"games": None}]
    assert games(write_json(document)) == [("0022400061", "BOS", "NYK", "BOS", "NYK")]


@pytest.mark.parametrize("game_id", [None, "", "none"])
def test_a_game_whose_id_or_date_is_missing_is_named_by_row_and_column(write_json, game_id):
    good, bad = listed_game("0022400061", "BOS", "NYK"), listed_game("0022400062", "LAL", "MIN")
    with pytest.raises(BadInput, match=r"row 2, column game_id: "):
        read_schedule(write_json(schedule_answer([good, bad | {"gameId": game_id}])))
    with pytest.raises(BadInput, match=r"row 2, column game_date: the value is empty"):
        read_schedule(write_json(schedule_answer([good, bad | {"gameDateEst": None}])))


@pytest.mark.parametrize(
    ("cells", "is_off"),
    [
        ({"postponedStatus": "Y"}, True),
        ({"postponedStatus": "Y", "gameStatusText": ""}, True),
        ({"postponedStatus": "Y", "gameStatusText": "TBD"}, True),
        ({"postponedStatus": "A", "gameStatusText": "PPD"}, True),
        ({"gameStatusText": "Postponed"}, True),
        ({"gameStatusText": "Cancelled"}, True),
        ({"postponedStatus": "N", "gameStatusText": "canceled "}, True),
        ({"postponedStatus": "Y", "gameStatusText": "7:30 pm ET"}, False),
        ({"postponedStatus": "Y", "gameStatusText": "Final/OT"}, False),
        ({"postponedStatus": "A", "gameStatusText": None}, False),
    ],
)
def test_a_game_is_called_off_by_its_text_and_without_one_by_its_status(write_json, write_csv, cells, is_off):
    game = listed_game("0022400062", "LAL", "MIN") | cells
    if "postponedStatus" not in cells:
        del game["postponedStatus"]
    read = read_schedule(write_json(schedule_answer([listed_game("0022400061", "BOS", "NYK"), game])))
    assert (read.table.num_rows, read.postponed) == (
        (1, {"0022400062": date(2024, 11, 2)}) if is_off else (2, {})
    )
    rows = [
        {
            "gameId": game["gameId"], "gameDateEst": game["gameDateEst"], "homeTeam_teamTricode": "LAL",
            "awayTeam_teamTricode": "MIN", **cells,
        }
    ]  # fmt: skip
    assert read_schedule(write_csv(rows)).postponed == read.postponed


def test_an_answer_that_postpones_every_game_is_not_believed(write_json):
    off = [listed_game("0022400061", "BOS", "NYK", postponedStatus="Y")]
    with pytest.raises(BadInput, match="every game is listed as postponed, 1 games; that can't be right"):
        read_schedule(write_json(schedule_answer(off)))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"Message": "try later"}, "is not of the shape leagueSchedule.*; save the answer of stats.nba.com"),
        (schedule_answer([{"gameId": "0022400061"}]), "is not of the shape leagueSchedule.*gameDateEst"),
        (schedule_answer(), "no game of a season is listed; has the schedule been published?"),
        (schedule_answer([listed_game("0012400001", "DEN", "LAL")]), "no game of a season is listed"),
        (
            schedule_answer([listed_game("0012400001", "D", "L")], [listed_game("0022400061", "BOS", "BOS")]),
            "row 2: BOS is listed against itself",
        ),
    ],
)
def test_a_schedule_of_another_shape_is_refused(write_json, answer, problem):
    with pytest.raises(BadInput, match=problem):
        read_schedule(write_json(answer))


@pytest.mark.parametrize(
    "headers",
    [
        ("GAME_ID", "GAME_DATE", "HOME_TEAM_ABBREVIATION", "AWAY_TEAM_ABBREVIATION"),
        ("gameId", "gameDateEst", "homeTeam_teamTricode", "awayTeam_teamTricode"),
        ("awayTeam_teamTricode", "gameId", "homeTeam_teamTricode", "gameDateEst"),
        ("game_id", "gameDateEst", "home_team_tricode", "away_team_tricode"),
    ],
)
def test_a_table_with_the_nba_s_own_headers_is_a_schedule(write_csv, headers):
    cells = {"id": "0022400061", "date": "2024-11-02T00:00:00Z", "home": "BOS", "away": "NYK"}
    row = {header: next(cells[one] for one in cells if one in header.lower()) for header in headers}
    assert games(write_csv([row])) == [("0022400061", "BOS", "NYK", "BOS", "NYK")]


def test_a_whole_season_s_table_leaves_out_what_is_no_game_to_predict(write_csv):
    def row(game_id: str, home: str, away: str, **more: str) -> dict[str, str]:
        return {
            "gameDate": "11/02/2024 00:00:00", "gameId": game_id, "gameDateEst": "2024-11-02T00:00:00Z",
            "isNeutral": "False", "postponedStatus": "N", "homeTeam_teamTricode": home, "awayTeam_teamTricode": away,
        } | more  # fmt: skip

    path = write_csv(
        [
            row("0012400001", "DEN", "MEL"), row("0022400061", "BOS", "NYK"), row("42400101", "TBD", ""),
            row("22400147", "WAS", "MIA", isNeutral="True"), row("0022400150", "UTA", "DAL", postponedStatus="Y"),
        ]
    )  # fmt: skip
    assert games(path) == [
        ("0022400061", "BOS", "NYK", "BOS", "NYK"), ("0022400147", None, None, "WAS", "MIA"),
    ]  # fmt: skip
    assert read_schedule(path).left_out == {
        "pre-season": 1, "teams not known yet": 1, "postponed": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "suggested"),
    [
        (("host_team", "guest_team"), r"missing columns home_team .*\(is it 'host_team'\?\), away_team"),
        (("HOME", "VISITOR"), "missing columns home_team .*, away_team .*; columns found: .*HOME, VISITOR"),
    ],
)
def test_teams_under_other_names_are_asked_for_as_home_and_away_first(write_csv, columns, suggested):
    row = {"game_id": "0022400061", "game_date": "2024-11-02", columns[0]: "BOS", columns[1]: "NYK"}
    with pytest.raises(BadInput, match=suggested):
        read_schedule(write_csv([row]))


def test_a_season_with_a_date_of_another_one_is_refused(write_json):
    games = [listed_game("0022400061", "BOS", "NYK"), listed_game("0022400062", "LAL", "MIN", "2034-11-02")]
    with pytest.raises(BadInput, match="has games from 2024-11-02 to 2034-11-02, which is no season"):
        read_schedule(write_json(schedule_answer(games)))

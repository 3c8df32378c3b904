"""The live source: the same validation as files, and clear words when it can't be reached."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_logs import read_game_logs
from prediction_assets.ingest.nba_api_source import (
    LiveSourceError,
    NbaApiGameLogs,
    NbaApiSchedule,
    fetch_game_logs,
    fetch_schedule,
)

Make = Callable[..., dict[str, Any]]


def log_answer(*rows: Mapping[str, Any]) -> dict[str, Any]:
    """Make an answer of LeagueGameLog."""
    result = {
        "name": "LeagueGameLog",
        "headers": list(rows[0]) if rows else ["GAME_ID"],
        "rowSet": [list(row.values()) for row in rows],
    }
    return {"resource": "leaguegamelog", "parameters": {}, "resultSets": [result]}


def game(
    game_id: str, home: str | None, away: str | None, day: str = "2024-11-02", **more: Any
) -> dict[str, Any]:
    """Make a game of ScheduleLeagueV2."""
    return {
        "gameId": game_id, "gameDateEst": f"{day}T00:00:00Z", "gameDateTimeUTC": f"{day}T23:00:00Z",
        "postponedStatus": "A", "isNeutral": False,
        "homeTeam": {"teamId": 1, "teamTricode": home}, "awayTeam": {"teamId": 2, "teamTricode": away},
    } | more  # fmt: skip


def schedule_answer(*days: list[dict[str, Any]]) -> dict[str, Any]:
    """Make an answer of ScheduleLeagueV2."""
    return {"leagueSchedule": {"seasonYear": "2024-25", "gameDates": [{"games": games} for games in days]}}


def test_an_answer_is_read_exactly_as_a_file_is(
    box_score: Make, opponent_score: Make, write_csv: Callable[..., Path]
) -> None:
    rows = [box_score(), opponent_score(MIN=None), box_score()]
    asked: list[tuple[str, str]] = []

    def client(season: str, season_type: str) -> dict[str, Any]:
        asked.append((season, season_type))
        return log_answer(*rows) if season_type == "Regular Season" else log_answer()

    live, file = fetch_game_logs("2024-25", client), read_game_logs(write_csv(rows))
    assert asked == [("2024-25", kind) for kind in ("Regular Season", "IST", "PlayIn", "Playoffs")]
    assert live.table.equals(file.table)
    assert (live.rows_read, live.duplicates_dropped, live.null_minutes, live.files) == (3, 1, 1, ())


def of_season_type(**answers: list[dict[str, Any]]) -> Callable[[str, str], dict[str, Any]]:
    """Make a client that has these rows, and none of the other season types."""
    return lambda season, season_type: log_answer(*answers.get(season_type.replace(" ", ""), []))


def test_a_season_has_the_games_of_the_cup_final_the_play_in_and_the_playoffs(box_score: Make) -> None:
    client = of_season_type(
        RegularSeason=[box_score()],
        IST=[box_score(GAME_ID="0062400001", SEASON_ID="62024", GAME_DATE="2024-12-17")],
        PlayIn=[box_score(GAME_ID="0052400101", SEASON_ID="52024", GAME_DATE="2025-04-15")],
        Playoffs=[box_score(GAME_ID="0042400101", SEASON_ID="42024", GAME_DATE="2025-04-19")],
    )
    read = fetch_game_logs("2024-25", client)
    assert read.rows_read == 4
    assert read.table["season_id"].to_pylist() == [22024, 62024, 52024, 42024]
    assert read.table["game_id"].to_pylist()[1:] == ["0062400001", "0052400101", "0042400101"]


def test_a_game_that_two_season_types_list_is_ingested_once_and_must_be_the_same_in_both(
    box_score: Make,
) -> None:
    twice = of_season_type(RegularSeason=[box_score()], IST=[box_score()])
    read = fetch_game_logs("2024-25", twice)
    assert (read.table.num_rows, read.duplicates_dropped) == (1, 1)
    differing = of_season_type(RegularSeason=[box_score()], IST=[box_score(SEASON_ID="62024")])
    with pytest.raises(BadInput, match=r"season 62024 here and 22024 in .*Regular Season"):
        fetch_game_logs("2024-25", differing)


def test_a_season_is_not_asked_for_what_was_not_played_yet_in_its_year(box_score: Make) -> None:
    asked: list[str] = []

    def client(season: str, season_type: str) -> dict[str, Any]:
        asked.append(season_type)
        return log_answer(box_score()) if season_type == "Regular Season" else log_answer()

    fetch_game_logs("2018-19", client)
    assert asked == ["Regular Season", "Playoffs"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"Message": "try later"}, "is not of the shape resultSets"),
        (
            {"resultSets": [{"name": "Other", "headers": [], "rowSet": []}]},
            "no result set LeagueGameLog; it has: Other",
        ),
        (log_answer(), "the answer has no rows; has the season begun"),
        (
            {"resultSets": [{"name": "LeagueGameLog", "headers": ["A", "B"], "rowSet": [[1, 2], [1]]}]},
            "row 2: 1 values where there are 2 headers",
        ),
        (log_answer({"GAME_ID": "0022400061"}), "missing columns SEASON_ID"),
    ],
)
def test_an_answer_of_another_shape_is_refused(answer: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as refused:
        fetch_game_logs("2024-25", lambda season, season_type: answer)
    assert str(refused.value).startswith("stats.nba.com LeagueGameLog 2024-25 Regular Season")


def test_a_bad_row_of_an_answer_is_named(box_score: Make) -> None:
    answer = log_answer(box_score(), box_score(GAME_ID="0022400062", AST="nine"))
    with pytest.raises(BadInput, match="row 2, column AST: 'nine' is not a whole number"):
        fetch_game_logs("2024-25", client=lambda season, season_type: answer)


@pytest.mark.parametrize("season", ["2024", "2024-26", "24-25", "2024-2025"])
def test_a_season_is_two_years_in_a_row(season: str) -> None:
    with pytest.raises(BadInput, match=f"season: '{season}' is not a season; write it as 2024-25"):
        fetch_game_logs(season, client=lambda season, season_type: log_answer())


def test_a_century_ends_within_a_season() -> None:
    answer = schedule_answer([game("0029900001", "BOS", "NYK", "1999-11-02")])
    assert fetch_schedule("1999-00", lambda season: answer).table["season_id"].to_pylist() == [21999]


def test_a_live_schedule_leaves_out_what_is_no_game_to_predict() -> None:
    answer = schedule_answer(
        [game("0012400001", "DEN", "MEL"), game("0022400061", "BOS", "NYK")],
        [
            game("0022400147", "WAS", "MIA", isNeutral=True),
            game("0022400150", "UTA", "DAL", postponedStatus="Y"),
            game("0032400001", "EST", "WST"),
            game("0042400101", None, None),
            game("0062400001", "OKC", "MIL"),
        ],
    )
    read = fetch_schedule("2024-25", lambda season: answer)
    games = read.table.select(["game_id", "home_team", "team_b", "season_id"]).to_pylist()
    assert [tuple(row.values()) for row in games] == [
        ("0022400061", "BOS", "NYK", 22024),
        ("0022400147", None, "MIA", 22024),
        ("0062400001", "OKC", "MIL", 62024),
    ]
    assert read.left_out == {"pre-season or All-Star": 2, "postponed": 1, "teams not known yet": 1}
    assert read.neutral_games == ("0022400147",)


def test_a_season_says_all_the_games_from_its_first_to_its_last_and_of_a_postponed_game_s_date() -> None:
    answer = schedule_answer(
        [game("0012400001", "DEN", "MEL", "2024-10-04")],
        [game("0022400061", "BOS", "NYK", "2024-10-22"), game("0022400062", "LAL", "MIN", "2024-10-25")],
        [game("0022400070", "UTA", "DAL", "2024-10-27", postponedStatus="Y")],
        [game("0022400071", None, None, "2024-10-29", postponedStatus="Y")],
        [game("0022400072", "IND", "DET", "1900-01-01", postponedStatus="Y")],
    )
    read = fetch_schedule("2024-25", lambda season: answer)
    assert set(read.dates["league"].to_pylist()) == {"NBA"}
    assert [day.isoformat() for day in read.dates["game_date"].to_pylist()] == [
        "2024-10-22", "2024-10-23", "2024-10-24", "2024-10-25", "2024-10-27", "2024-10-29",
    ]  # fmt: skip
    assert read.left_out == {"pre-season or All-Star": 1, "postponed": 2, "postponed, no date": 1}
    assert read.duplicates_dropped == 0


def test_a_season_with_a_date_of_another_one_is_refused() -> None:
    answer = schedule_answer(
        [game("0022400061", "BOS", "NYK"), game("0022400062", "LAL", "MIN", "2034-11-02")]
    )
    with pytest.raises(BadInput, match="has games from 2024-11-02 to 2034-11-02, which is no season"):
        fetch_schedule("2024-25", lambda season: answer)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"Message": "try later"}, "not of the shape leagueSchedule"),
        (schedule_answer([{"gameId": "0022400061"}]), "not of the shape leagueSchedule.*gameDateEst"),
        (schedule_answer([game("0012400001", "DEN", "LAL")]), "no rows"),
        (
            schedule_answer([game("0012400001", "DEN", "LAL")], [game("0022400061", "BOS", "BOS")]),
            "row 2: BOS is listed against itself",
        ),
    ],
)
def test_a_bad_live_schedule_is_refused(answer: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as refused:
        fetch_schedule("2024-25", lambda season: answer)
    assert str(refused.value).startswith("stats.nba.com ScheduleLeagueV2 2024-25")


def pretend_nba_api(monkeypatch: pytest.MonkeyPatch, module: str, name: str, endpoint: Any) -> None:
    """Put a fake endpoint where nba_api's would be imported from."""
    for package in ("nba_api", "nba_api.stats", "nba_api.stats.endpoints"):
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    fake = types.ModuleType(module)
    setattr(fake, name, endpoint)
    monkeypatch.setitem(sys.modules, f"nba_api.stats.endpoints.{module}", fake)


class Endpoint:
    """An nba_api endpoint that fails as often as told before it answers."""

    def __init__(self, failures: int, error: Exception, answer: dict[str, Any]) -> None:
        self.failures, self.error, self.answer = failures, error, answer
        self.asked: list[dict[str, Any]] = []

    def __call__(self, **parameters: Any) -> Endpoint:
        self.asked.append(parameters)
        if len(self.asked) <= self.failures:
            raise self.error
        return self

    def get_dict(self) -> dict[str, Any]:
        return self.answer


@pytest.mark.parametrize("error", [TimeoutError("slow"), ValueError("<html>"), KeyError("resultSets")])
def test_the_default_client_tries_again(
    error: Exception, box_score: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(2, error, log_answer(box_score()))
    pretend_nba_api(monkeypatch, "leaguegamelog", "LeagueGameLog", endpoint)
    waits: list[float] = []
    answer = NbaApiGameLogs(sleep=waits.append)("2024-25", "Playoffs")
    assert answer == log_answer(box_score())
    assert len(waits) == 2
    assert endpoint.asked[-1] == {
        "season": "2024-25",
        "season_type_all_star": "Playoffs",
        "player_or_team_abbreviation": "P",
        "timeout": 30.0,
    }


def test_the_default_client_gives_up_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint(99, TimeoutError("read timed out\nand more"), {})
    pretend_nba_api(monkeypatch, "scheduleleaguev2", "ScheduleLeagueV2", endpoint)
    with pytest.raises(LiveSourceError, match=r"no usable answer in 3 attempts .*read timed out") as refused:
        fetch_schedule("2024-25", NbaApiSchedule(attempts=3, sleep=lambda seconds: None))
    assert len(endpoint.asked) == 3
    assert "\n" not in str(refused.value)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nba_api", None)
    for module in [name for name in sys.modules if name.startswith("nba_api.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(LiveSourceError, match=r"pip install 'prediction-assets\[live\]'"):
        fetch_game_logs("2024-25")


def test_nba_api_still_has_the_arguments_that_are_passed() -> None:
    endpoints = pytest.importorskip("nba_api.stats.endpoints", reason="the extra live isn't installed")
    log = endpoints.LeagueGameLog(
        season="2024-25",
        season_type_all_star="Playoffs",
        player_or_team_abbreviation="P",
        timeout=1,
        get_request=False,
    )
    assert log.parameters["PlayerOrTeam"] == "P"
    assert (
        endpoints.ScheduleLeagueV2(season="2024-25", timeout=1, get_request=False).parameters["Season"]
        == "2024-25"
    )


def test_importing_ingestion_imports_neither_pandas_nor_the_live_extra() -> None:
    script = (
        "import sys; from prediction_assets.ingest import nba_api_source, prop_lines, schedule; "
        "print([name for name in ('pandas', 'nba_api', 'dagster') if name in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == "[]"

"""Live sources against a local server: what is asked, what an answer may lack, who answers when a source fails."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from prediction_assets.errors import (
    BadInput,
    PredictionAssetsError,
    RequestsSpent,
    SourceRefused,
    SourceUnavailable,
)
from prediction_assets.ingest.files import read_json
from prediction_assets.ingest.game_logs import read_game_logs
from prediction_assets.ingest.live.budget import Spent, spent
from prediction_assets.ingest.live.sources import Sources
from prediction_assets.ingest.merging import Merged, merge_game_logs, merge_schedule
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.prop_lines import read_prop_lines
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.stores.sql.tables import INJURY_REPORTS, SCHEDULE
from prediction_assets_tests.contract.ingest.conftest import BOX_SCORE
from prediction_assets_tests.in_memory import InMemoryBatchState, InMemoryWarehouse
from prediction_assets_tests.made_up_feeds import (
    book,
    listed_game,
    log_answer,
    market,
    odds_event,
    outcome,
    schedule_answer,
)
from prediction_assets_tests.made_up_pdf import injury_report
from prediction_assets_tests.source_server import Asked, Reply, SourceServer

KEY = "0123456789abcdef-secret"
NOW = datetime(2024, 12, 31, 20, 7, tzinfo=UTC)  # 15:07 Eastern
PLAYERS = PlayerDirectory.from_rows([(901, "Zoran Brežina", "SAS", date(2025, 1, 2))])
LINE = book(market(outcome("Over", 25.5, -110), outcome("Under", 25.5, -110)))
LOGS, SCHEDULE_PATH = "/stats_nba/stats/leaguegamelog", "/stats_nba/stats/scheduleleaguev2"
CDN = "/cdn_nba/static/json/staticData/scheduleLeagueV2.json"
EVENTS = "/odds_api/v4/sports/basketball_nba/events"
REPORTS = "/official_report/"


ROWS = [
    (
        "12/31/2024",
        "07:00 (ET)",
        "LAC@SAS",
        "San Antonio Spurs",
        "Brezina, Zoran",
        "Out",
        "Left Knee; Soreness",
    )
]


class StoppedClock(Clock):
    def __init__(self, moment: datetime = NOW) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@dataclass
class Asking:
    """Sources that ask a local server, and what they did."""

    server: SourceServer
    settings: Settings
    clock: StoppedClock = field(default_factory=StoppedClock)
    warehouse: InMemoryWarehouse = field(default_factory=InMemoryWarehouse)
    waits: list[float] = field(default_factory=list)

    @property
    def sources(self) -> Sources:
        return Sources(self.settings, self.clock, self.waits.append)

    def logs(self, season: str | None = None) -> Any:
        return self.sources.game_logs(self.warehouse, season)

    def schedule(self, season: str | None = None) -> Any:
        return self.sources.schedule(self.warehouse, season)

    def lines(self) -> Any:
        return self.sources.prop_lines(self.warehouse, PLAYERS)

    def reports(self) -> Any:
        return self.sources.injury_reports(self.warehouse, PLAYERS)

    def fetches(self) -> list[dict[str, Any]]:
        return self.warehouse.query(
            "SELECT * FROM predictions.fetches ORDER BY started_at, fetch_id"
        ).to_pylist()

    def spent(self, source: str) -> Spent:
        return spent(self.warehouse, source, self.clock.now())


@pytest.fixture
def asking(source_server: SourceServer, settings: Settings) -> Callable[..., Asking]:
    """Make sources whose live ones are the local server."""

    def make(**more: Any) -> Asking:
        live = {
            "game_logs_sources": "stats_nba", "schedule_sources": "stats_nba", "prop_lines_sources": "odds_api",
            "injury_reports_sources": "official_report", "odds_api_key": KEY,
        }  # fmt: skip
        return Asking(source_server, source_server.settings(settings, **{**live, **more}))

    return make


def logs_of(**kinds: list[dict[str, Any]]) -> Callable[[Asked], Reply]:
    """Answer LeagueGameLog by the kind of game; a kind that isn't named has no rows."""
    return lambda asked: Reply(log_answer(*kinds.get(asked.parameters["SeasonType"].replace(" ", ""), [])))


def a_list(*events: dict[str, Any]) -> Reply:
    return Reply([{key: value for key, value in event.items() if key != "bookmakers"} for event in events])


# stats.nba.com ----------------------------------------------------------------------------------


def test_a_season_s_logs_of_every_kind_of_game_are_read_as_files_are(
    asking, source_server, box_score, write_json
):
    cup = box_score(GAME_ID="0062400001", SEASON_ID="62024", GAME_DATE="2024-12-17")
    source_server.routes[LOGS] = logs_of(RegularSeason=[box_score()], IST=[cup])
    answer = asking().logs()
    assert answer.read.table.equals(read_game_logs(write_json(log_answer(box_score(), cup))).table)
    assert (answer.source, answer.failed) == ("stats_nba", {})
    assert [asked.parameters["SeasonType"] for asked in source_server.asked] == [
        "Regular Season", "IST", "PlayIn", "Playoffs",
    ]  # fmt: skip
    assert {asked.parameters["Season"] for asked in source_server.asked} == {"2024-25"}
    assert all(asked.headers["Referer"] == "https://www.nba.com/" for asked in source_server.asked)


def test_a_season_is_not_asked_for_kinds_that_were_not_played_in_its_year(asking, source_server, box_score):
    source_server.routes[LOGS] = logs_of(
        RegularSeason=[box_score(SEASON_ID="22018", GAME_ID="0021800061", GAME_DATE="2018-10-22")]
    )
    asking().logs("2018-19")
    assert [asked.parameters["SeasonType"] for asked in source_server.asked] == ["Regular Season", "Playoffs"]


@pytest.mark.parametrize("empty", [[], None])
def test_a_season_without_a_game_yet_is_no_failure(asking, source_server, empty):
    document = log_answer()
    document["resultSets"][0]["rowSet"] = empty
    source_server.routes[LOGS] = Reply(document)
    with_nothing = asking()
    assert with_nothing.logs().read is None
    assert [fetch["outcome"] for fetch in with_nothing.fetches()] == ["nothing"]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"Message": "An error has occurred."}, "is not of the shape resultSets"),
        ({"resultSets": []}, "has no result set LeagueGameLog"),
        ("[1, 2", "not readable as JSON.*is the file cut off"),
        ("", "the file is empty"),
        ("throttled", "not readable as JSON"),
    ],
)
def test_an_answer_of_another_shape_is_not_blamed_on_the_network(asking, source_server, document, problem):
    source_server.routes[LOGS] = Reply(document)
    with_wrong = asking()
    with pytest.raises(BadInput, match=problem) as refused:
        with_wrong.logs()
    assert "network" not in str(refused.value)
    assert "leaguegamelog_2024-25_RegularSeason.json.gz" in str(refused.value), "the recorded answer is named"
    assert with_wrong.waits == [], "the same question would have the same answer"


@pytest.mark.parametrize(
    ("stored", "now", "season"),
    [
        (None, "2024-12-31", "2024-25"),
        (None, "2025-07-31", "2024-25"),
        (None, "2025-08-01", "2025-26"),
        (("0021900974", "2020-10-11"), "2020-09-30", "2019-20"),
        (("0022500001", "2025-10-21"), "2025-10-01", "2025-26"),
        (("0029900001", "1999-11-02"), "1999-11-01", "1999-00"),
    ],
)
def test_the_season_is_the_one_with_games_ahead_or_else_the_calendar_s(asking, stored, now, season):
    some = asking()
    some.clock.moment = datetime.fromisoformat(f"{now}T20:00:00+00:00")
    if stored:
        year = int(stored[0][3:5])
        game = {
            "league": "NBA", "season_id": 20_000 + (1900 if year > 45 else 2000) + year, "game_id": stored[0],
            "game_date": date.fromisoformat(stored[1]), "team_a": "LAL", "team_b": "MIA",
        }  # fmt: skip
        some.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([game]))
    assert some.sources.season(some.warehouse) == season


@pytest.mark.parametrize("said", [None, 2024, "2024", "season of 2024"])
def test_a_season_that_an_answer_spells_in_another_way_is_known_by_its_games(asking, source_server, said):
    document = schedule_answer([listed_game("0022400061", "BOS", "NYK")])
    document["leagueSchedule"]["seasonYear"] = said
    source_server.routes[SCHEDULE_PATH] = Reply(document)
    assert asking().schedule().read.table.num_rows == 1
    with pytest.raises(BadInput, match="has games of 2024-25, 2023-24 was requested"):
        asking().schedule("2023-24")


@pytest.mark.parametrize("key", [None, "", "  "])
def test_the_odds_api_is_not_asked_without_a_key(asking, key):
    with pytest.raises(ValueError, match="odds_api needs PREDICTION_ASSETS_ODDS_API_KEY"):
        asking(odds_api_key=key)


@pytest.mark.parametrize("season", ["2024", "2024-26", "24-25", "2024-2025", "1945-46", "0024-25"])
def test_a_season_is_two_years_in_a_row(asking, season):
    with pytest.raises(BadInput, match=f"season: '{season}' is not a season; write it as 2024-25"):
        asking().logs(season)


def test_importing_the_sources_imports_neither_pandas_nor_the_pdf_reader_nor_dagster():
    script = (
        "import sys; from prediction_assets.ingest.live import sources; "
        "print([name for name in ('pandas', 'pypdf', 'dagster') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Retries, limits and refusals ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        Reply("busy", 503), Reply("slow down", 429, {"Retry-After": "7"}), Reply("", 500), Reply("", 530),
        Reply("late", seconds=3.0), Reply({"a": "b" * 10_000}, cut=True),
        Reply("not gzip", headers={"Content-Encoding": "deflate"}),
    ],
    ids=["503", "429", "500", "530", "late", "cut", "damaged"],
)  # fmt: skip
def test_a_transient_failure_is_tried_again(asking, source_server, trouble):
    good = Reply(schedule_answer([listed_game("0022400061", "BOS", "NYK")]))
    source_server.routes[SCHEDULE_PATH] = [trouble, trouble, good]
    tried = asking(source_timeout=1.0)
    assert tried.schedule().read.table.num_rows == 1
    assert len(tried.waits) == 2
    assert all(wait >= 7 for wait in tried.waits) or trouble.status != 429
    assert tried.spent("stats_nba").day == 3, "each attempt counts"


def test_a_server_that_sends_a_byte_at_a_time_is_given_up_within_the_time_limit(asking, source_server):
    source_server.routes[SCHEDULE_PATH] = Reply("x" * 200_000, drip=0.05)
    patient = asking(source_timeout=0.4)
    begun = datetime.now(UTC)
    with pytest.raises(SourceUnavailable, match="in 4 attempts, at last nothing complete within 0 seconds"):
        patient.schedule()
    assert datetime.now(UTC) - begun < timedelta(seconds=15)


@pytest.mark.parametrize(
    ("reply", "error", "problem"),
    [
        (
            Reply("<HTML>Access Denied</HTML>", 403),
            SourceRefused,
            "answered with status 403 Forbidden in place of",
        ),
        (Reply("<!DOCTYPE html><p>hello"), SourceRefused, "answered with a web page in place of"),
        (Reply("\ufeff\n<!-- edge --><html>"), SourceRefused, "answered with a web page in place of"),
        (
            Reply('<?xml version="1.0"?><Error>'),
            SourceRefused,
            "answered with a web page in place of",
        ),
        (
            Reply("", 302, {"Location": "http://localhost:1/"}),
            SourceRefused,
            "answered with status 302 Found",
        ),
        (
            Reply("late", seconds=3.0),
            SourceUnavailable,
            "in 4 attempts, at last nothing complete within 0 seconds",
        ),
        (
            Reply("no season", 400),
            BadInput,
            "refuses the question for the schedule of .*status 400 .*: no season",
        ),
    ],
)
def test_an_address_that_is_refused_is_told_from_an_answer_that_is_wrong(
    asking, source_server, reply, error, problem
):
    source_server.routes[SCHEDULE_PATH] = reply
    with pytest.raises(error, match=problem) as refused:
        asking(source_timeout=0.3).schedule()
    is_the_address = not isinstance(refused.value, BadInput)
    assert ("addresses of many clouds" in str(refused.value)) is is_the_address
    assert "http" not in str(refused.value).replace("https://stats", "")


def test_a_source_that_nobody_answers_for_is_unavailable(asking, source_server):
    alone = asking(stats_nba_url="http://127.0.0.1:9")
    with pytest.raises(
        SourceUnavailable, match=r"in 4 attempts, at last no connection; stats\.nba\.com refuses addresses"
    ):
        alone.schedule()
    assert alone.fetches()[0]["outcome"] == "failed"


def test_an_answer_of_any_length_is_cut_off(asking, source_server, monkeypatch):
    monkeypatch.setattr("prediction_assets.ingest.live.requesting._LARGEST_ANSWER", 100_000)
    source_server.routes[SCHEDULE_PATH] = Reply("x" * 5_000_000, headers={"Content-Encoding": "gzip"})
    with pytest.raises(BadInput, match="the answer with the schedule of 2024-25 is larger than"):
        asking().schedule()


# Nothing there ------------------------------------------------------------------------------------


def stored_games(some: Asking, *days: date) -> None:
    """Store games of 2024-25 on these dates."""
    rows = [
        {"league": "NBA", "season_id": 22024, "game_id": f"00224{number:05}", "game_date": day, "team_a": "LAC",
         "team_b": "SAS"}
        for number, day in enumerate(days, 1)
    ]  # fmt: skip
    some.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table(rows))


TODAY, YESTERDAY = date(2024, 12, 31), date(2024, 12, 30)
NEXT_SUMMER = datetime(2025, 8, 5, 20, tzinfo=UTC)
LAST_SEASON = Reply(schedule_answer([listed_game("0022400061", "BOS", "NYK")], season="2024-25"))
NO_OFFER = Reply(odds_event())
DENIED, ABSENT = Reply("<HTML>Access Denied", 403), Reply("", 404)


@pytest.mark.parametrize(
    ("facts", "routes", "at", "stored", "problem"),
    [
        pytest.param("logs", {LOGS: Reply(log_answer())}, NOW, [TODAY], None, id="no game was played yet"),
        pytest.param(
            "logs", {LOGS: Reply(log_answer())}, NOW, [YESTERDAY], "no game log of 2024-25, and 1 of its games",
            id="a game was played, and there is no log",
        ),
        pytest.param("schedule", {SCHEDULE_PATH: LAST_SEASON}, NEXT_SUMMER, [], None, id="the last one's, in August"),
        pytest.param("schedule", {SCHEDULE_PATH: ABSENT}, NEXT_SUMMER, [], None, id="404 before its time"),
        pytest.param(
            "schedule", {SCHEDULE_PATH: Reply(schedule_answer([], season="2025-26"))}, NEXT_SUMMER, [], None,
            id="no game, in August",
        ),
        pytest.param(
            "schedule", {SCHEDULE_PATH: LAST_SEASON}, NEXT_SUMMER + timedelta(days=70), [],
            "asked for the schedule of 2025-26 and answered with 2024-25", id="the last one's, in October",
        ),
        pytest.param("schedule", {SCHEDULE_PATH: ABSENT}, NOW, [], "has no answer", id="404 in the season"),
        pytest.param(
            "schedule", {SCHEDULE_PATH: Reply(schedule_answer([], season="2024-25"))}, NOW, [TODAY],
            "lists no game", id="no game, in the season",
        ),
        pytest.param("lines", {EVENTS: Reply([])}, NOW, [], None, id="no event on a day without games"),
        pytest.param("lines", {EVENTS: Reply([])}, NOW, [TODAY], "lists no game", id="no event on a day with games"),
        pytest.param("lines", {EVENTS: ABSENT}, NOW, [TODAY], "lists no game", id="no such sport"),
        pytest.param(
            "lines", {EVENTS: Reply([])}, NOW + timedelta(hours=8), [TODAY], None, id="no event after the last game",
        ),
        pytest.param(
            "lines", {EVENTS: a_list(odds_event()), f"{EVENTS}/": NO_OFFER}, NOW, [TODAY], None,
            id="no line in the afternoon",
        ),
        pytest.param(
            "lines", {EVENTS: a_list(odds_event()), f"{EVENTS}/": NO_OFFER}, NOW + timedelta(hours=4), [TODAY],
            "no line of 1 games", id="no line an hour before the game",
        ),
        pytest.param("reports", {REPORTS: DENIED}, NOW, [], None, id="403 on a day without games"),
        pytest.param("reports", {REPORTS: DENIED}, NOW - timedelta(hours=6), [TODAY], None, id="403 in the morning"),
        pytest.param(
            "reports", {REPORTS: DENIED}, NOW, [TODAY], "403 in place of each report of the last 3 hours",
            id="403 when teams have reported",
        ),
        pytest.param(
            "reports", {REPORTS: ABSENT}, NOW, [TODAY], "no report of the last 3 hours, and teams play tonight",
            id="404 when teams have reported",
        ),
    ],
)  # fmt: skip
def test_what_is_not_published_yet_is_told_from_what_is_owed_and_then_a_second_source_answers(
    asking, source_server, tmp_path, facts, routes, at, stored, problem
):
    source_server.routes.update(routes)
    name = {"logs": "game_logs", "lines": "prop_lines", "reports": "injury_reports"}.get(facts, facts)
    first = {"logs": "stats_nba", "schedule": "stats_nba", "lines": "odds_api", "reports": "official_report"}[
        facts
    ]
    for names in (first, f"{first},files"):
        some = asking(**{f"{name}_sources": names})
        some.clock.moment = at
        stored_games(some, *stored)
        if problem is None:
            assert getattr(some, facts)().read is None
            outcomes = {fetch["outcome"] for fetch in some.fetches()}
            assert "nothing" in outcomes
            assert "failed" not in outcomes
            continue
        with pytest.raises(PredictionAssetsError, match=problem) as failed:
            getattr(some, facts)()
        assert ("no path is named" in str(failed.value)) is ("files" in names), "the second one is asked"
        (said,) = [fetch["problem"] for fetch in some.fetches() if fetch["outcome"] == "failed"]
        assert said in str(failed.value)


def test_a_day_without_a_report_takes_a_request_for_each_that_might_be_there(asking, source_server):
    asking().reports()
    assert len(source_server.asked) == 12


# The answer and the question ----------------------------------------------------------------------


def a_report(at: str, day: str = "12/31/2024", title: str = "12/31/24") -> Reply:
    return Reply(injury_report([(day, *ROWS[0][1:])], title=f"Injury Report: {title} {at}"))


def odds_of(**cells: Any) -> dict[str, Any]:
    return {EVENTS: a_list(odds_event()), f"{EVENTS}/e1/odds": Reply(odds_event(LINE, **cells))}


def logs_with(**cells: Any) -> dict[str, Any]:
    return {LOGS: lambda asked: Reply(log_answer(BOX_SCORE | cells))}


def games_with(game_id: str = "0022400061", season: str = "2024-25", day: str = "2024-11-02") -> Reply:
    return Reply(schedule_answer([listed_game(game_id, "BOS", "NYK", day)], season=season))


def merge_logs_or_games(some: Asking, facts: str) -> Merged:
    if facts == "logs":
        return merge_game_logs(some.warehouse, some.logs().read, "a source", NOW)
    return merge_schedule(some.warehouse, InMemoryBatchState(), some.schedule().read, "a source", NOW)


@pytest.mark.parametrize(
    ("facts", "routes", "problem"),
    [
        pytest.param(
            "logs", logs_with(SEASON_ID="22023", GAME_ID="0022300061", GAME_DATE="2023-10-24"),
            "has games of 2023-24, 2024-25 was requested", id="logs of another season",
        ),
        pytest.param("logs", logs_with(GAME_ID="0022300061"), "the id 0022300061 is .* 2023-24", id="ids"),
        pytest.param("logs", logs_with(GAME_DATE="2023-11-02"), "not a date of 2024-25", id="logs of another date"),
        pytest.param("logs", logs_with(GAME_ID="1022400061"), "WNBA", id="logs of another league"),
        pytest.param("logs", logs_with(GAME_ID="0012400061", SEASON_ID="12024"), "pre-season", id="logs of camp"),
        *(
            pytest.param(facts, {path: answer}, problem, id=f"{facts} from {path[1:4]}: {problem}")
            for facts, path in (("schedule", SCHEDULE_PATH), ("cdn", CDN))
            for answer, problem in (
                (games_with(season="2022-23"), "asked for 2024-25 and answered with 2022-23"),
                (games_with("0022300061"), "has games of 2023-24, 2024-25 was requested"),
                (games_with(day="2023-11-02"), "not a date of 2024-25"),
            )
        ),
        pytest.param("lines", odds_of(id="e2"), "asked for game e1 and answered with e2", id="odds of another game"),
        pytest.param("lines", odds_of(sport_key="basketball_wnba"), "is of basketball_wnba", id="of another league"),
        pytest.param(
            "lines", odds_of(commence_time="2024-01-01T00:10:00Z"), "of 2024-12-31 and answered with one of 2023-12-31",
            id="odds of another season",
        ),
        pytest.param(
            "reports", {REPORTS: a_report("09:00 AM")}, "answered with the report of 2024-12-31T14:00",
            id="a report of another hour",
        ),
        pytest.param(
            "reports", {REPORTS: a_report("03:00 PM", title="12/31/23")}, "answered with the report of 2023-12-31",
            id="a report of another season",
        ),
        pytest.param(
            "reports", {REPORTS: a_report("03:00 PM", "12/31/2023")}, "answered with games of 2023-12-31",
            id="a report about another season's games",
        ),
    ],
)  # fmt: skip
def test_an_answer_to_another_question_is_refused_and_kept(asking, source_server, facts, routes, problem):
    source_server.routes.update(routes)
    wrong = asking(**({"schedule_sources": "cdn_nba"} if facts == "cdn" else {}))
    if "id" in problem or "date" in problem:  # each row against its own id: those rows wait in quarantine
        merged = merge_logs_or_games(wrong, facts)
        assert re.search(problem, "".join(merged.lines()))
        return
    with pytest.raises(BadInput, match=problem):
        wrong.schedule() if facts == "cdn" else getattr(wrong, facts)()
    assert "failed" in {fetch["outcome"] for fetch in wrong.fetches()}
    assert [path for path in wrong.settings.answers_folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("cells", "kept"),
    [({"GAME_ID": "0012400061", "SEASON_ID": "12024"}, "pre-season"), ({"GAME_ID": "1022400061"}, "WNBA")],
)
def test_what_is_of_another_kind_beside_what_was_asked_for_is_left_out_and_counted(
    asking, source_server, box_score, cells, kept
):
    source_server.routes[LOGS] = logs_of(RegularSeason=[box_score(), box_score(**cells)])
    read = asking().logs().read
    assert (read.table.num_rows, dict(read.left_out)) == (1, {kept: 1})


# A second source ----------------------------------------------------------------------------------


def test_a_second_source_takes_over_and_that_is_said(asking, source_server, caplog):
    source_server.routes[SCHEDULE_PATH] = Reply("", 403)
    source_server.routes[CDN] = Reply(schedule_answer([listed_game("0022400061", "BOS", "NYK")]))
    both = asking(schedule_sources="stats_nba,cdn_nba,files")
    with caplog.at_level(logging.WARNING):
        answer = both.schedule()
    assert (answer.source, list(answer.failed)) == ("cdn_nba", ["stats_nba"])
    assert answer.read.table.num_rows == 1
    assert "schedule come from cdn_nba, because stats_nba failed" in caplog.text
    assert {(f["source"], f["outcome"]) for f in both.fetches()} == {
        ("stats_nba", "failed"),
        ("cdn_nba", "answered"),
    }


def test_files_can_be_the_second_source(asking, source_server, box_score, write_csv):
    path = write_csv([box_score()])
    answer = asking(game_logs_sources="stats_nba,files", game_logs=path).logs()
    assert (answer.source, answer.read.rows_read) == (str(path), 1)
    assert "status 404" not in answer.failed["stats_nba"]


def test_when_every_source_fails_each_is_named(asking, source_server):
    source_server.routes[SCHEDULE_PATH] = Reply("", 403)
    source_server.routes[CDN] = Reply({"leagueSchedule": 7})
    with pytest.raises(
        SourceUnavailable, match=r"every source failed: stats_nba: .* 403.*; cdn_nba: .*; files: .*no path"
    ):
        asking(schedule_sources="stats_nba,cdn_nba,files").schedule()


# The official injury report -----------------------------------------------------------------------


def report(at: str) -> Reply:
    return Reply(injury_report(ROWS, title=f"Injury Report: 12/31/24 {at}"))


def test_the_newest_published_report_is_looked_for_backwards(asking, source_server):
    source_server.routes[REPORTS] = Reply("<HTML>Access Denied", 403)
    source_server.routes[f"{REPORTS}Injury-Report_2024-12-31_02_30PM.pdf"] = report("02:30 PM")
    found = asking()
    read = found.reports().read
    assert read.table["reported_at"].to_pylist() == [datetime(2024, 12, 31, 19, 30, tzinfo=UTC)]
    assert (read.players_out, read.table["player_id"].to_pylist()) == (1, [901])
    assert source_server.paths() == [
        f"{REPORTS}Injury-Report_2024-12-31_{slot}PM.pdf" for slot in ("03_00", "02_45", "02_30")
    ]
    assert found.spent("official_report").day == 3


@pytest.mark.parametrize(("stored", "asked"), [("19:30", 2), ("20:00", 0)])
def test_a_report_that_is_stored_is_not_asked_for_again(asking, source_server, stored, asked):
    row = {
        "league": "NBA", "game_date": date(2024, 12, 31), "team": "SAS", "player_name": "",
        "reported_at": datetime.fromisoformat(f"2024-12-31T{stored}:00+00:00"), "status": "Not yet submitted",
    }  # fmt: skip
    again = asking()
    again.warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table([row]))
    assert again.reports().read is None
    assert len(source_server.asked) == asked


def test_a_document_that_is_no_report_is_refused_and_kept(asking, source_server):
    source_server.routes[REPORTS] = Reply(b"%PDF-1.4 broken")
    wrong = asking()
    with pytest.raises(BadInput, match=r"Injury-Report_2024-12-31_03_00PM\.pdf: not a complete PDF"):
        wrong.reports()
    assert list(wrong.settings.answers_folder.rglob("*.pdf"))


# The Odds API -------------------------------------------------------------------------------------


def usage(remaining: int, last: int) -> dict[str, str]:
    return {"x-requests-remaining": str(remaining), "x-requests-used": "1", "x-requests-last": str(last)}


def test_every_book_s_lines_of_the_games_to_come_are_read_in_one_capture_a_book(asking, source_server):
    ladder = market(
        outcome("Over", 30.5, 240), key="player_points_alternate", last_update="2024-12-31T19:00:00Z"
    )
    one = odds_event(
        book(market(outcome("Over", 25.5, -110)), ladder),
        book(market(outcome("Over", 24.5, -105)), key="two"),
    )
    begun = odds_event(id="e0", commence_time="2024-12-31T20:00:00Z")
    far = odds_event(id="e9", commence_time="2025-01-05T20:00:00Z")
    source_server.routes[EVENTS] = Reply(a_list(begun, one, far).body, headers=usage(500, 0))
    source_server.routes[f"{EVENTS}/e1/odds"] = Reply(one, headers=usage(498, 2))
    some = asking()
    table = some.lines().read.table
    assert sorted((row["bookmaker"], float(row["line"])) for row in table.to_pylist()) == [
        ("bookone", 25.5), ("bookone", 30.5), ("two", 24.5),
    ]  # fmt: skip
    assert source_server.paths() == [EVENTS, f"{EVENTS}/e1/odds"]
    asked = source_server.asked[1].parameters
    assert (asked["markets"], asked["oddsFormat"]) == ("player_points,player_points_alternate", "american")
    assert some.spent("odds_api") == Spent(day=2, month=2, remaining=498)


GOOD, BAD = "Los Angeles Clippers at Good Team", "Los Angeles Clippers at Bad Team"


BAD_GAMES = [
    (Reply("", 503), "503 Service Unavailable"), (Reply({"message": "out of credits"}, 401), "401"),
    (Reply("{"), "not readable as JSON"), (Reply(""), "empty"),
    (Reply([1]), "answered with None"), (Reply(odds_event(LINE, id="e7")), "answered with e7"),
    (Reply(odds_event(LINE, id="e0", home_team="")), "has no home_team"),
    (Reply(odds_event(id="e0", bookmakers=[3])), "is not a list of objects"),
    (Reply(odds_event(book(market(outcome("Over", "x", -110))), id="e0")), "x"),
    (Reply(odds_event(LINE, id="e0", sport_key="basketball_wnba")), "basketball_wnba"),
    (Reply("no", 400), "status 400"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "problem", "order"),
    [
        *((*each, ("e0", "e1")) for each in BAD_GAMES),
        *((*each, ("e1", "e0")) for each in BAD_GAMES[:3]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_bad_game_costs_no_other_game_its_lines_is_named_and_is_asked_for_again(
    asking, source_server, bad, problem, order
):
    teams = {"e0": "Bad Team", "e1": "Good Team", "e2": "Third Team"}
    events = {event: odds_event(LINE, id=event, home_team=team) for event, team in teams.items()}
    good = odds_event(LINE, id="e1", home_team="San Antonio Spurs")
    source_server.routes[EVENTS] = a_list(*(events[event] for event in (*order, "e2")))
    source_server.routes[f"{EVENTS}/e0/odds"] = bad
    source_server.routes[f"{EVENTS}/e1/odds"] = Reply(good)
    source_server.routes[f"{EVENTS}/e2/odds"] = Reply("gone", 404)
    some = asking()
    if bad.status == 401 and order[0] == "e0":  # the key is refused: nothing else is asked for
        with pytest.raises(SourceRefused, match="401"):
            some.lines()
        return
    answer = some.lines()
    assert answer.read.table["event_id"].to_pylist() == ["e1"]
    assert BAD in answer.missing
    assert GOOD not in answer.missing
    assert problem in answer.missing[BAD]
    (last,) = [fetch for fetch in some.fetches() if fetch["outcome"] == "partial"]
    assert last["problem"].startswith(f"{BAD}: ")
    assert read_prop_lines(Path(last["answers"]), PLAYERS).table.equals(answer.read.table), (
        "read again by itself"
    )
    source_server.routes[f"{EVENTS}/e0/odds"] = Reply(odds_event(LINE, id="e0"))
    some.clock.moment += timedelta(minutes=15)
    again = some.lines()
    assert (again.read.table.num_rows, dict(again.missing)) == (2, {})


def test_an_event_s_id_is_never_a_path(asking, source_server):
    source_server.routes[EVENTS] = a_list(odds_event(id="../../x"))
    with pytest.raises(BadInput, match="an id is of letters"):
        asking().lines()


@pytest.mark.parametrize("books", [[], [{"key": "bookone", "title": "B", "markets": []}]])
def test_games_without_lines_yet_are_no_failure(asking, source_server, books):
    source_server.routes[EVENTS] = a_list(odds_event())
    source_server.routes[f"{EVENTS}/e1/odds"] = Reply(odds_event(bookmakers=books))
    assert asking().lines().read is None


@pytest.mark.parametrize("reply", [Reply([]), Reply({"message": "Unknown sport"}, 404)])
def test_a_day_without_games_takes_one_free_request(asking, source_server, reply):
    source_server.routes[EVENTS] = reply
    nothing = asking()
    assert nothing.lines().read is None
    assert (len(source_server.asked), nothing.spent("odds_api").day) == (1, 0)


@pytest.mark.parametrize(
    "document", [{"message": "x"}, [{"id": "e1"}], [{"id": "e1", "commence_time": "soon"}], "7"]
)
def test_a_list_of_games_of_another_shape_is_refused(asking, source_server, document):
    source_server.routes[EVENTS] = Reply(document)
    with pytest.raises(BadInput, match=r"the list of games isn't of the shape \[id, commence_time\]"):
        asking().lines()


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"message": "API key is not valid"}, 401), Reply("", 503), Reply("late", seconds=2.0), Reply("", 400),
        Reply("", 302, {"Location": "http://localhost:1/"}), Reply("x" * 5000, cut=True), Reply("{"),
        Reply(f"cannot read /v4/sports?apiKey={KEY}&regions=us", 422),
    ],
    ids=["401", "503", "late", "400", "302", "cut", "shape", "422 that repeats the question"],
)  # fmt: skip
def test_no_error_log_or_recorded_answer_shows_the_key(asking, source_server, reply, caplog):
    source_server.routes[EVENTS] = reply
    secret = asking(source_timeout=0.3)
    with caplog.at_level(logging.DEBUG, "prediction_assets"), pytest.raises(PredictionAssetsError) as failed:
        secret.lines()
    shown = "".join(traceback.format_exception(failed.value)) + caplog.text + repr(secret.settings)
    shown += "".join(map(str, secret.fetches()))
    assert KEY not in shown
    assert source_server.asked[0].parameters["apiKey"] == KEY
    for path in secret.settings.answers_folder.rglob("*"):
        assert KEY not in path.name
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_a_key_that_is_refused_says_which_setting_to_look_at(asking, source_server):
    source_server.routes[EVENTS] = Reply({"message": "API key is not valid"}, 401)
    with pytest.raises(SourceRefused, match=r"status 401 .*; set a valid PREDICTION_ASSETS_ODDS_API_KEY"):
        asking().lines()


# The budget ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "remaining", "problem"),
    [
        ({"odds_api_credits_per_day": 5}, 500, r"take 2 requests, and 1 are left \(4 today of 5,"),
        ({"odds_api_credits_per_month": 4}, 500, r"and 0 are left \(4 today of 1000, 4 this month of 4"),
        ({}, 1, r"and 1 are left .*, 1 by the source\)"),
    ],
)
def test_nothing_is_asked_beyond_the_budget_of_the_day_the_month_or_the_plan(
    asking, source_server, limits, remaining, problem
):
    source_server.routes[EVENTS] = Reply(a_list(odds_event()).body, headers=usage(remaining, 0))
    source_server.routes[f"{EVENTS}/e1/odds"] = Reply(odds_event(LINE), headers=usage(remaining, 2))
    frugal = asking(**limits)
    if remaining > 1:
        for _ in range(2):
            frugal.lines()
    sent = len(source_server.paths(f"{EVENTS}/"))
    with pytest.raises(RequestsSpent, match=problem):
        frugal.lines()
    assert len(source_server.paths(f"{EVENTS}/")) == sent
    assert frugal.spent("odds_api").day == 2 * sent, "what was refused is not counted"


@pytest.mark.parametrize(
    ("said", "remaining", "took"),
    [
        ("", None, 2),
        ("many", None, 2),
        ("nan", None, 2),
        ("1e300", None, 2),
        ("9" * 30, None, 2),
        ("3.0", 3, 3),
    ],
)
def test_a_header_that_is_no_count_says_nothing(asking, source_server, said, remaining, took):
    usage = {"x-requests-remaining": said, "x-requests-last": said}
    source_server.routes[EVENTS] = a_list(odds_event())
    source_server.routes[f"{EVENTS}/e1/odds"] = Reply(odds_event(LINE), headers=usage)
    some = asking()
    answer = some.lines()
    assert answer.read.table.num_rows == 1
    assert (answer.spent.remaining, answer.spent.day) == (remaining, took)


def test_a_source_without_requests_for_a_look_leaves_it_to_the_next_one(asking, source_server, write_json):
    path = write_json(odds_event(LINE))
    both = asking(prop_lines_sources="odds_api,files", prop_lines=path, odds_api_credits_per_day=1)
    stored_games(both, TODAY)
    answer = both.lines()
    assert (answer.source, answer.failed) == (
        str(path),
        {"odds_api": "odds_api has too few requests left for another look"},
    )
    assert source_server.asked == []


def test_a_question_ends_where_the_budget_does(asking, source_server):
    source_server.routes[REPORTS] = DENIED
    few = asking(nba_requests_per_day=5)
    with pytest.raises(RequestsSpent, match="official_report: no request is left for the report"):
        few.reports()
    assert len(source_server.asked) == few.spent("official_report").day == 5
    with pytest.raises(RequestsSpent, match="take 2 requests, and 0 are left"):
        few.reports()


def test_a_budget_begins_anew_each_day_and_each_month(asking, source_server):
    source_server.routes[EVENTS] = Reply(a_list(odds_event()).body)
    source_server.routes[f"{EVENTS}/e1/odds"] = Reply(odds_event(LINE))
    one = asking(odds_api_credits_per_day=2, odds_api_credits_per_month=2)
    one.lines()
    assert one.spent("odds_api") == Spent(2, 2, None), "without a header the documented cost counts"
    one.clock.moment += timedelta(days=1)
    assert one.spent("odds_api") == Spent(0, 0, None)
    one.clock.moment -= timedelta(days=3)
    assert one.spent("odds_api").month == 2


def test_a_process_that_is_killed_while_it_asks_has_counted_all_that_it_might_ask(asking, source_server):
    killed = asking()

    def die(_: Asked) -> Reply:
        raise_in.append(killed.spent("stats_nba").day)
        return Reply("", 500)

    raise_in: list[int] = []
    source_server.routes[SCHEDULE_PATH] = die
    with pytest.raises(SourceUnavailable):
        killed.schedule()
    assert raise_in == [4, 4, 4, 4]
    assert killed.spent("stats_nba").day == 4


# Recorded answers ---------------------------------------------------------------------------------


def test_answers_are_recorded_as_they_came_and_can_be_ingested_again(asking, source_server, box_score):
    source_server.routes[LOGS] = logs_of(RegularSeason=[box_score()])
    recorded = asking()
    read = recorded.logs().read
    folder = Path(recorded.fetches()[0]["answers"])
    assert folder.is_relative_to(recorded.settings.answers_folder / "stats_nba" / "2024-12-31")
    assert read_game_logs(folder).table.equals(read.table)
    assert read_json(folder / "leaguegamelog_2024-25_RegularSeason.json.gz") == log_answer(box_score())

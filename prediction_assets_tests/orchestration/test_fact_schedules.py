"""The schedules that bring the facts, over a stored season and an evening with a budget."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from prediction_assets.errors import WarehouseBusy
from prediction_assets.ingest.live.sources import Sources
from prediction_assets.monitoring.freshness import FEEDS, ages
from prediction_assets.nba.tonight import read_tonight
from prediction_assets.orchestration.fact_schedules import daily_facts, evening_requests, tonights_facts
from prediction_assets.orchestration.schedules import daily_roster
from prediction_assets.settings import Settings, load_settings
from prediction_assets.slate.deadlines import Clock, roster_hour
from prediction_assets.stores.sql.tables import FETCHES, PROP_LINES, SCHEDULE
from prediction_assets_tests.in_memory import InMemoryWarehouse

LIVE = {
    "game_logs_sources": "stats_nba", "schedule_sources": "stats_nba,cdn_nba", "prop_lines_sources": "odds_api",
    "injury_reports_sources": "official_report", "odds_api_key": "a-secret",
}  # fmt: skip
MORNING = datetime(2026, 1, 16, 13, 0, tzinfo=UTC)  # 05:00 in Los Angeles, a Friday
EVENING_BEGINS = datetime(2026, 1, 16, 14, 30, tzinfo=UTC)  # half an hour before 07:00


@dataclass
class Home:
    """An installation with live sources and the games of some dates."""

    settings: Settings
    warehouse: InMemoryWarehouse = field(default_factory=InMemoryWarehouse)

    def games(self, *days: date, each: int = 3) -> None:
        rows = [
            {
                "league": "NBA", "season_id": 22025, "game_id": f"00225{day:%m%d}{number}", "game_date": day,
                "team_a": f"A{number}", "team_b": f"B{number}",
            }
            for day in days
            for number in range(each)
        ]  # fmt: skip
        self.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table(rows))

    def fetched(self, facts: str, at: datetime, outcome: str = "answered", requests: int = 1) -> None:
        source = {"prop_lines": "odds_api", "injury_reports": "official_report"}.get(facts, "stats_nba")
        row = {
            "fetch_id": f"{facts}{at.isoformat()}", "source": source, "facts": facts, "started_at": at,
            "requests": requests, "outcome": outcome, "problem": "", "answers": "",
        }  # fmt: skip
        self.warehouse.upsert(FETCHES, FETCHES.arrow_table([row]))

    def tick(self, schedule: dg.ScheduleDefinition, at: datetime) -> list[str] | str:
        """Return the facts of the runs that a tick requests, or why it requests none."""
        resources: dict[str, Any] = {"warehouse": self.warehouse}
        if schedule.name == "tonights_facts":
            resources["sources"] = Sources(self.settings, Clock())
        with dg.build_schedule_context(scheduled_execution_time=at, resources=resources) as context:
            found = schedule.evaluate_tick(context)
        return wanted(*found.run_requests) if found.run_requests else str(found.skip_message)

    def morning(self, at: datetime = MORNING) -> list[str] | str:
        return self.tick(daily_facts(self.settings), at)

    def evening(self, at: datetime) -> list[str] | str:
        found = evening_requests(self.settings, Sources(self.settings, Clock()), self.warehouse, at)
        return str(found.skip_message) if isinstance(found, dg.SkipReason) else wanted(*found)


def wanted(*requests: dg.RunRequest) -> list[str]:
    return [key.to_user_string() for request in requests for key in request.asset_selection or []]


@pytest.fixture
def home(tmp_path) -> Callable[..., Home]:
    return lambda **more: Home(load_settings(home=tmp_path, **{**LIVE, **more}))


TODAY = date(2026, 1, 16)


def test_the_morning_takes_logs_and_schedule_before_the_roster(home):
    some = home()
    some.games(TODAY)
    assert some.morning() == ["game_logs", "schedule"]
    assert home(game_logs_sources="files").morning() == ["schedule"]
    assert load_settings(home=some.settings.home).facts_cron == "0 5 * * *"


def test_the_first_morning_of_an_installation_knows_no_calendar_and_asks(home):
    assert home().morning() == ["game_logs", "schedule"]


def test_a_warehouse_that_is_busy_in_the_morning_holds_up_no_facts(home, monkeypatch):
    some = home()

    def busy(*_: object) -> None:
        raise WarehouseBusy("busy")

    monkeypatch.setattr(InMemoryWarehouse, "query", busy)
    assert some.morning() == ["game_logs", "schedule"]


@pytest.mark.parametrize(
    ("day", "asked"),
    [
        ("2026-06-20", ["game_logs"]), ("2026-07-20", ["schedule"]), ("2026-07-21", "out of season"),
        ("2026-10-07", ["schedule"]), ("2026-10-21", ["game_logs", "schedule"]),
    ],
)  # fmt: skip
def test_the_summer_is_silent_but_for_a_look_at_the_schedule_each_monday(home, day, asked):
    some = home()
    some.games(date(2026, 6, 19))
    if day >= "2026-08-14":
        some.games(date(2026, 10, 20), date(2026, 10, 21))
    at = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    assert some.morning(at) == asked


@pytest.mark.parametrize(
    ("stored", "today", "opens"),
    [
        ([], "2026-07-21", True),
        (["2026-06-19"], "2026-07-21", False),
        (["2026-06-19", "2026-10-20"], "2026-09-01", False),
        (["2026-06-19", "2026-10-20"], "2026-10-20", True),
        (["2026-01-14"], "2026-01-16", True),
        (["2026-06-19"], "2026-10-21", True),
    ],
)
def test_the_roster_rests_out_of_season_and_fails_loudly_where_a_schedule_is_missing(
    home, stored, today, opens
):
    some = home()
    some.games(*map(date.fromisoformat, stored))
    at = datetime.fromisoformat(f"{today}T14:00:00+00:00")
    with dg.build_schedule_context(
        scheduled_execution_time=at, resources={"warehouse": some.warehouse}
    ) as context:
        found = daily_roster(some.settings).evaluate_tick(context)
    assert bool(found.run_requests) is opens
    assert opens or "is out of season" in str(found.skip_message)


@pytest.mark.parametrize(
    ("today", "morning", "evening", "roster"),
    [
        pytest.param("2026-02-12", ["game_logs", "schedule"], True, True, id="the last day before the break"),
        pytest.param(
            "2026-02-13", ["game_logs", "schedule"], False, True, id="all-star break, last games corrected"
        ),
        pytest.param("2026-02-17", ["schedule"], False, True, id="all-star break"),
        pytest.param("2026-02-19", ["game_logs", "schedule"], True, True, id="the first day after the break"),
        pytest.param("2026-06-19", ["game_logs", "schedule"], True, True, id="the last game of the season"),
        pytest.param("2026-06-20", ["game_logs"], False, False, id="the day after it"),
        pytest.param("2026-06-30", [], False, False, id="June"),
        pytest.param("2026-07-14", [], False, False, id="summer, a Tuesday"),
        pytest.param("2026-07-13", ["schedule"], False, False, id="summer, a Monday"),
        pytest.param("2026-08-18", [], False, False, id="the new schedule is stored"),
        pytest.param("2026-10-06", ["schedule"], False, True, id="two weeks before the new season"),
        pytest.param("2026-10-20", ["game_logs", "schedule"], True, True, id="opening night"),
    ],
)
def test_the_year_of_an_installation(home, today, morning, evening, roster):
    """Nobody does anything but run it: it rests in summer, without a word, and wakes up by itself."""
    some, day = home(), date.fromisoformat(today)
    some.games(
        *(date(2026, 2, 1) + timedelta(days=n) for n in range(12)), date(2026, 2, 19), date(2026, 6, 19)
    )
    if today >= "2026-08-14":
        some.games(date(2026, 10, 20), date(2026, 10, 21))
    at = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=13)
    found = some.morning(at)
    assert (found if isinstance(found, list) else []) == morning
    if isinstance(found, str):
        assert found == "out of season"
    for facts in morning:
        some.fetched(facts, at)
    later = some.evening(at + timedelta(hours=6))
    assert (later == ["prop_lines", "injury_reports"]) is evening
    assert evening or later == f"no games on {today}"
    resources = {"warehouse": some.warehouse}
    with dg.build_schedule_context(scheduled_execution_time=at, resources=resources) as context:
        assert bool(daily_roster(some.settings).evaluate_tick(context).run_requests) is roster
    tonight = read_tonight(some.warehouse, day)
    due = roster_hour(today, some.settings.roster_cron, some.settings.time_zone)
    found = ages(tonight, tuple(FEEDS), due, timedelta(minutes=15), due + timedelta(hours=5))
    assert bool(found) is evening, "without games nothing is stale"


def test_the_evening_begins_half_an_hour_before_the_roster_and_ends_with_the_last_tip_off(home):
    some = home()
    some.games(TODAY)
    for facts in ("game_logs", "schedule"):
        some.fetched(facts, MORNING)
    both = ["prop_lines", "injury_reports"]
    assert some.evening(EVENING_BEGINS - timedelta(minutes=5)).endswith("are taken from 14:30 to 03:30 UTC")
    assert some.evening(EVENING_BEGINS) == both
    assert some.evening(datetime(2026, 1, 17, 3, 30, tzinfo=UTC)) == both
    assert "are taken from" in str(some.evening(datetime(2026, 1, 17, 3, 35, tzinfo=UTC)))
    row = dict.fromkeys(
        ("event_id", "capture", "bookmaker", "player_name", "market", "home_team", "away_team"), "x"
    )
    row |= {"league": "NBA", "game_date": TODAY, "commence_time": datetime(2026, 1, 17, tzinfo=UTC)}
    row |= {"line": Decimal("1.5"), "sequence": 1}
    some.warehouse.upsert(PROP_LINES, PROP_LINES.arrow_table([row]))
    assert "to 00:00 UTC" in str(some.evening(datetime(2026, 1, 17, 1, 0, tzinfo=UTC)))


def test_a_day_without_games_asks_for_neither_lines_nor_reports(home):
    some = home()
    some.games(TODAY - timedelta(days=1), TODAY + timedelta(days=1))
    for facts in ("game_logs", "schedule"):
        some.fetched(facts, MORNING)
    assert some.evening(EVENING_BEGINS) == "no games on 2026-01-16"


def test_each_fact_waits_for_its_own_minutes_since_it_was_asked_for_in_vain_or_not(home):
    some = home(fetch_minutes=15)
    some.games(TODAY)
    for facts in ("game_logs", "schedule"):
        some.fetched(facts, MORNING)
    some.fetched("prop_lines", EVENING_BEGINS)
    some.fetched("injury_reports", EVENING_BEGINS - timedelta(minutes=5), "failed")
    assert some.evening(EVENING_BEGINS + timedelta(minutes=5)) == (
        "prop_lines: every 15 minutes; injury_reports: every 15 minutes"
    )
    assert some.evening(EVENING_BEGINS + timedelta(minutes=10)) == ["injury_reports"]
    assert some.evening(EVENING_BEGINS + timedelta(minutes=15)) == ["prop_lines", "injury_reports"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("odds_api", "prop_lines: odds_api has too few requests left for another look"),
        ("odds_api,files", ["prop_lines"]),
    ],
)
def test_a_second_source_is_reached_when_the_first_has_no_request_left(home, tmp_path, names, expected):
    some = home(
        prop_lines_sources=names,
        prop_lines=tmp_path,
        odds_api_credits_per_day=5,
        injury_reports_sources="files",
    )
    some.games(TODAY)
    for facts in ("game_logs", "schedule"):
        some.fetched(facts, MORNING)
    assert some.evening(EVENING_BEGINS) == expected


def test_a_short_budget_makes_looks_rarer_and_an_empty_one_ends_them(home):
    some = home(odds_api_credits_per_day=60, injury_reports_sources="files")
    some.games(TODAY, each=10)  # 20 credits a look
    for facts in ("game_logs", "schedule"):
        some.fetched(facts, MORNING)
    looks = []
    for tick in range(13 * 4 + 1):
        now = EVENING_BEGINS + tick * timedelta(minutes=15)
        if some.evening(now) == ["prop_lines"]:
            some.fetched("prop_lines", now, requests=20)
            looks.append(now)
    assert len(looks) == 3, "as many as the day's credits pay for"
    assert looks[0] == EVENING_BEGINS
    assert all(later - earlier > timedelta(hours=3) for earlier, later in itertools.pairwise(looks))
    assert some.evening(EVENING_BEGINS + timedelta(hours=8)) == (
        "prop_lines: odds_api has too few requests left for another look"
    )


def test_what_the_morning_s_source_did_not_answer_is_asked_for_again_until_it_does(home):
    some = home()
    some.games(TODAY)
    some.fetched("schedule", MORNING)
    some.fetched("game_logs", MORNING, "failed")
    at = MORNING + timedelta(minutes=15)
    assert some.evening(at) == ["game_logs"]
    some.fetched("game_logs", at, "failed")
    assert "game_logs" not in some.evening(at + timedelta(minutes=10))
    assert some.evening(at + timedelta(minutes=15)) == ["game_logs"]
    some.fetched("game_logs", at + timedelta(minutes=15))
    assert "game_logs" not in some.evening(at + timedelta(minutes=30))


def test_a_morning_that_the_daemon_missed_is_made_up_for(home):
    some = home()
    some.games(TODAY)
    assert some.evening(EVENING_BEGINS) == ["game_logs", "schedule", "prop_lines", "injury_reports"]


def test_a_source_of_the_morning_that_stays_down_keeps_no_lines_and_reports_from_their_own_run(home):
    some = home()
    some.games(TODAY)
    found = evening_requests(some.settings, Sources(some.settings, Clock()), some.warehouse, EVENING_BEGINS)
    assert isinstance(found, list)
    assert [wanted(run) for run in found] == [["game_logs", "schedule"], ["prop_lines", "injury_reports"]]
    assert len({run.run_key for run in found}) == 2


def test_a_folder_is_read_every_so_many_minutes_and_never_twice_for_one_tick(home, tmp_path):
    files = {
        f"{facts}_sources": "files" for facts in ("game_logs", "schedule", "prop_lines", "injury_reports")
    }
    some = home(**files, prop_lines=tmp_path, fetch_minutes=20)
    some.games(TODAY)
    ticks = [EVENING_BEGINS + n * timedelta(minutes=5) for n in range(13)]
    assert [at.minute for at in ticks if some.evening(at) == ["prop_lines"]] == [30, 50, 10, 30]


def test_a_schedule_without_a_source_is_off(tmp_path):
    none = load_settings(home=tmp_path)
    for schedule in (daily_facts(none), tonights_facts(none)):
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    some = load_settings(home=tmp_path, injury_reports=tmp_path)
    assert daily_facts(some).default_status is dg.DefaultScheduleStatus.STOPPED
    assert tonights_facts(some).default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_tick_of_the_evening_requests_a_run_of_the_ingest_job(home):
    some = home()
    some.games(TODAY)
    assert some.tick(tonights_facts(some.settings), EVENING_BEGINS) == [
        "game_logs", "schedule", "prop_lines", "injury_reports",
    ]  # fmt: skip

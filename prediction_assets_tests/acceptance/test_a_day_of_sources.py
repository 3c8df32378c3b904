"""One day from 05:00 to the last tip-off with live sources on this machine, each of which fails in a way of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from prediction_assets.ingest.live.budget import spent
from prediction_assets.ingest.live.sources import Sources
from prediction_assets.monitoring.evidence import SourceFetch
from prediction_assets.monitoring.result_findings import source_failures
from prediction_assets.orchestration.fact_schedules import daily_facts, evening_request
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.deadlines import Clock
from prediction_assets.stores.sql import queries
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

TODAY = "2026-01-16"
FIVE = datetime(2026, 1, 16, 13, 0, tzinfo=UTC)  # in Los Angeles
TIP_OFF = datetime(2026, 1, 17, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEAMS = [
    ("DEN", "Denver Nuggets"),
    ("LAL", "Los Angeles Lakers"),
    ("BOS", "Boston Celtics"),
    ("NYK", "New York Knicks"),
]
GAMES = [(0, 1), (2, 3)]


class MovingClock(Clock):
    def __init__(self) -> None:
        self.moment = FIVE

    def now(self) -> datetime:
        return self.moment


def box_score(season: int = 22025, game: str = "0022500500", day: str = "2026-01-15") -> dict[str, Any]:
    counts = dict.fromkeys(
        ("FGM", "FGA", "FG3M", "FG3A", "FTM", "FTA", "OREB", "DREB", "AST", "STL", "BLK", "TOV", "PF"), 0
    )
    return {
        "SEASON_ID": str(season), "PLAYER_ID": 901, "PLAYER_NAME": "Zoran Brežina", "TEAM_ID": 1610612743,
        "TEAM_ABBREVIATION": "DEN", "TEAM_NAME": "Denver Nuggets", "GAME_ID": game, "GAME_DATE": day,
        "MATCHUP": "DEN vs. LAL", "WL": "W", "MIN": 30, "PTS": 0, "PLUS_MINUS": 1, **counts,
    }  # fmt: skip


@dataclass
class Feeds:
    """What each source answers, by the hours since 05:00."""

    clock: MovingClock

    @property
    def hours(self) -> float:
        return (self.clock.moment - FIVE) / HOUR

    def logs(self, asked: Asked) -> Reply:
        if self.hours < 1:
            return Reply("busy", 503)
        if self.hours < 2:
            return Reply(log_answer(box_score(22024, "0022400500", "2025-01-15")))
        return Reply(log_answer(*[box_score()] * (asked.parameters["SeasonType"] == "Regular Season")))

    def schedule(self, _: Asked) -> Reply:
        listed = [
            listed_game(f"002250060{n}", TEAMS[home][0], TEAMS[away][0], TODAY)
            for n, (home, away) in enumerate(GAMES)
        ]
        return Reply(schedule_answer(listed, season="2025-26"))

    def events(self, _: Asked) -> Reply:
        return Reply([self._event(n) for n in range(len(GAMES))], headers={"x-requests-last": "0"})

    def odds(self, asked: Asked) -> Reply:
        game = int(asked.path.split("/")[-2][1:])
        if self.hours < 3:
            return Reply(odds_event(**self._event(game)))  # no book offers anything yet
        if self.hours < 6 and game == 1:
            return Reply("", 503)
        if 6 <= self.hours < 8:
            return Reply("late", seconds=0.6)
        who = ("Zoran Brezina", "Tadeo Quill")[game]
        sides = [outcome(side, 20.5 + game, -110, who) for side in ("Over", "Under")]
        seen = f"{self.clock.moment:%Y-%m-%dT%H:%M:%SZ}"
        offer = book(market(*sides, last_update=seen))
        return Reply(odds_event(offer, **self._event(game)), headers={"x-requests-last": "2"})

    def report(self, asked: Asked) -> Reply:
        slot = datetime.strptime(asked.path[-22:-4], "%Y-%m-%d_%I_%M%p")
        if slot.minute != 30 or slot.hour < 11:
            return Reply("<HTML>Access Denied", 403)
        title = f"Injury Report: {slot:%m/%d/%y %I:%M %p}"
        if slot.hour == 13:
            return Reply(b"%PDF-1.4 cut")
        status = "Questionable" if slot.hour < 18 else "Out"
        row = (
            "01/16/2026",
            "08:10 (ET)",
            "LAL@DEN",
            "Denver Nuggets",
            "Brezina, Zoran",
            status,
            "Left Knee; Soreness",
        )
        return Reply(injury_report([row], title=title))

    def _event(self, game: int) -> dict[str, Any]:
        home, away = GAMES[game]
        return {
            "id": f"e{game}", "sport_key": "basketball_nba", "commence_time": f"{TIP_OFF:%Y-%m-%dT%H:%M:%SZ}",
            "home_team": TEAMS[home][1], "away_team": TEAMS[away][1],
        }  # fmt: skip


def test_a_day_whose_sources_fail_each_in_its_way_ends_with_every_fact_and_within_its_budget(
    settings, instance, source_server: SourceServer
) -> None:
    clock = MovingClock()
    feeds = Feeds(clock)
    source_server.routes = {
        "/stats_nba/stats/leaguegamelog": feeds.logs,
        "/stats_nba/stats/scheduleleaguev2": Reply("<HTML>Access Denied", 403),
        "/cdn_nba/": feeds.schedule,
        "/odds_api/v4/sports/basketball_nba/events": feeds.events,
        "/odds_api/v4/sports/basketball_nba/events/": feeds.odds,
        "/official_report/": feeds.report,
    }
    live = source_server.settings(
        settings, game_logs_sources="stats_nba", schedule_sources="stats_nba,cdn_nba", prop_lines_sources="odds_api",
        injury_reports_sources="official_report", odds_api_key="a-secret", fetch_minutes=60, source_timeout=0.3,
        odds_api_credits_per_day=40,
    )  # fmt: skip
    sources = Sources(live, clock, lambda _: None)
    run = SlateRun(live, instance, {"sources": sources, "clock": clock})
    warehouse = run.stores.warehouse
    said: list[str] = []
    open_before: set[str] = set()

    def ingest(request: dg.RunRequest) -> None:
        for key in request.asset_selection or []:
            try:
                run.ingest({key.to_user_string(): {}})
            except Exception:  # noqa: BLE001  a run that fails is the point; what it said is below
                continue

    def look() -> None:
        nonlocal open_before
        fetches = warehouse.query(queries.NEWEST_FETCHES, {"since": clock.moment - 24 * HOUR}).to_pylist()
        found = {finding.key for finding in source_failures([SourceFetch(**row) for row in fetches])}
        said.extend(sorted(found - open_before))
        open_before = found

    with dg.build_schedule_context(
        scheduled_execution_time=FIVE, resources={"warehouse": warehouse}
    ) as context:
        for request in daily_facts(live).evaluate_tick(context).run_requests or []:
            ingest(request)
    look()
    while clock.moment < TIP_OFF + HOUR:
        clock.moment += timedelta(minutes=15)
        requested = evening_request(live, sources, warehouse, clock.moment)
        if isinstance(requested, dg.RunRequest):
            ingest(requested)
            look()

    def stored(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in warehouse.query(sql).to_pylist()]

    assert stored("SELECT game_id, season_id FROM facts.game_logs") == [("0022500500", 22025)]
    assert stored("SELECT game_id FROM facts.schedule ORDER BY game_id") == [("0022500600",), ("0022500601",)]
    assert stored("SELECT DISTINCT event_id, line FROM facts.prop_lines ORDER BY event_id") == [
        ("e0", 20.5), ("e1", 21.5),
    ]  # fmt: skip
    newest = "SELECT status FROM facts.injury_reports ORDER BY reported_at DESC LIMIT 1"
    assert stored(newest) == [("Out",)]
    assert not [
        asked for asked in source_server.asked if asked.parameters.get("Season", "2025-26") != "2025-26"
    ]

    counted = spent(warehouse, "odds_api", clock.moment)
    assert 0 < counted.day <= 40
    # Each source that failed is said when it begins to fail, and again only after it had answered in between.
    assert said == [
        "source:game_logs:stats_nba", "source:schedule:stats_nba", "source:injury_reports:official_report",
        "source:prop_lines:odds_api",
    ]  # fmt: skip
    assert open_before == {"source:schedule:stats_nba"}, "the one that is refused all day"

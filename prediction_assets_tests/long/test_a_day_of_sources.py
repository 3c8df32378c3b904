"""One day from 05:00 to the last tip-off with live sources on this machine, each of which fails in ways of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import dagster as dg

from prediction_assets.cli.simulated_sources import SimulatedSources
from prediction_assets.ingest.live.budget import spent
from prediction_assets.ingest.live.sources import Sources
from prediction_assets.ingest.teams import NBA_TEAMS
from prediction_assets.monitoring.evaluate import evaluate
from prediction_assets.monitoring.health_facts import InstanceFacts
from prediction_assets.monitoring.reader import Sources as Health
from prediction_assets.monitoring.reader import read_facts
from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.fact_schedules import daily_facts, evening_requests
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.outcome import Outcome
from prediction_assets.stores.alert import Severity
from prediction_assets_tests.made_up_feeds import log_answer
from prediction_assets_tests.made_up_pdf import injury_report
from prediction_assets_tests.source_server import Asked, Reply, SourceServer

TODAY = date(2026, 1, 16)
FIVE = datetime(2026, 1, 16, 13, 0, tzinfo=UTC)  # in Los Angeles
TIP_OFF = datetime(2026, 1, 17, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLAYERS = 30
EVENTS = "/v4/sports/basketball_nba/events"
DENIED = Reply("<HTML>Access Denied", 403)


class MovingClock(Clock):
    def __init__(self) -> None:
        self.moment = FIVE

    def now(self) -> datetime:
        return self.moment


class League(SimulatedSources):
    """A league whose games begin at an hour of their own."""

    today = TODAY

    def _tip_off(self) -> datetime:
        return TIP_OFF


@dataclass
class Feeds:
    """What each source answers, by the hours since 05:00."""

    clock: MovingClock
    league: League

    @property
    def hours(self) -> float:
        return (self.clock.moment - FIVE) / HOUR

    @cached_property
    def out(self) -> dict[str, Any]:
        """The line of the player who will be out: the highest one of a player with a plain name."""
        named = [row for row in self.league.tonights_lines if row["player_name"].isascii()]
        return max((row for row in named if row["player_name"].count(" ") == 1), key=lambda row: row["line"])

    @cached_property
    def reported(self) -> tuple[str, ...]:
        """The report's row about him, without his status."""
        (game,) = [event for event in self.league.answer(EVENTS, {}) if event["id"] == self.out["event_id"]]
        codes = {name: code for code, name in NBA_TEAMS.items()}
        matchup = f"{codes[game['away_team']]}@{codes[game['home_team']]}"
        played = [row["TEAM_NAME"] for row in self.played if row["PLAYER_ID"] == self.out["player_id"]]
        given, family = self.out["player_name"].split()
        return "01/16/2026", "08:10 (ET)", matchup, played[-1], f"{family}, {given}"

    @cached_property
    def played(self) -> list[dict[str, Any]]:
        """The rows of the game logs."""
        asked = {"Season": "2025-26", "SeasonType": "Regular Season"}
        (result,) = self.league.answer("/stats/leaguegamelog", asked)["resultSets"]
        return [dict(zip(result["headers"], row, strict=True)) for row in result["rowSet"]]

    @cached_property
    def games(self) -> Reply:
        """The schedule; cdn.nba.com's answer has the shape of stats.nba.com's."""
        document = self.league.answer("/stats/scheduleleaguev2", {"Season": "2025-26"})
        return Reply(json.dumps(document))

    def logs(self, asked: Asked) -> Reply:
        if self.hours < 1:
            return Reply("busy", 503)
        if self.hours < 2:
            older = {"SEASON_ID": "22024", "GAME_ID": "0022400500", "GAME_DATE": "2025-01-15"}
            return Reply(log_answer(self.played[0] | older))
        is_empty = self.hours < 3 or asked.parameters["SeasonType"] != "Regular Season"
        return Reply(log_answer(*([] if is_empty else self.played)))

    def schedule(self, _: Asked) -> Reply:
        return self.games

    def events(self, asked: Asked) -> Reply:
        listed = self.league.answer(self._path(asked), {})
        late = 1.3 if 6 <= self.hours < 7 else 0.0
        if 7 <= self.hours < 10:
            return Reply("down for hours", 503)
        return Reply(listed, headers={"x-requests-last": "0"}, seconds=late)

    def odds(self, asked: Asked) -> Reply:
        event = self.league.answer(self._path(asked), {})
        first = self.league.answer(EVENTS, {})[0]["id"]
        if self.hours < 3:
            return Reply(event | {"bookmakers": []})  # no book offers anything yet
        if self.hours < 6 and event["id"] == first:
            return Reply("", 503)
        if self.hours < 11 and event["id"] == first:
            return Reply(event | {"commence_time": "2025-01-17T01:10:00Z"})
        return Reply(event, headers={"x-requests-last": "2", "x-requests-remaining": "300"})

    def report(self, asked: Asked) -> Reply:
        slot = datetime.strptime(asked.path[-22:-4], "%Y-%m-%d_%I_%M%p")
        if slot.minute != 30 or slot.hour < 11:
            return DENIED
        if slot.hour == 13:
            return Reply(b"%PDF-1.4 cut")
        row = (*self.reported, "Questionable" if slot.hour < 18 else "Out", "Left Knee; Soreness")
        return Reply(injury_report([row], title=f"Injury Report: {slot:%m/%d/%y %I:%M %p}"))

    @staticmethod
    def _path(asked: Asked) -> str:
        return asked.path.removeprefix("/odds_api")


def test_a_day_whose_sources_fail_each_in_its_way_ends_with_a_right_slate_and_within_its_budget(
    settings, instance, source_server: SourceServer
) -> None:
    clock = MovingClock()
    feeds = Feeds(clock, League(PLAYERS, clock))
    assert feeds.reported, "made before the day begins: an answer has a second"
    assert feeds.games
    source_server.routes = {
        "/stats_nba/stats/leaguegamelog": feeds.logs,
        "/stats_nba/stats/scheduleleaguev2": DENIED,
        "/cdn_nba/": feeds.schedule,
        f"/odds_api{EVENTS}": feeds.events,
        f"/odds_api{EVENTS}/": feeds.odds,
        "/official_report/": feeds.report,
    }
    live = source_server.settings(
        settings, game_logs_sources="stats_nba", schedule_sources="stats_nba,cdn_nba", prop_lines_sources="odds_api",
        injury_reports_sources="official_report", odds_api_key="a-secret", fetch_minutes=60, source_timeout=1.0,
        odds_api_credits_per_day=60,
    )  # fmt: skip
    sources = Sources(live, clock, lambda _: None)
    run = SlateRun(live, instance, {"sources": sources, "clock": clock})
    warehouse = run.stores.warehouse
    health = Health(run.stores, InstanceFacts((), None, ()), live, clock)
    said: list[str] = []
    open_before: set[str] = set()

    job = build_defs(live, {"sources": sources, "clock": clock}).resolve_job_def("ingest")

    def ingest(request: dg.RunRequest) -> None:
        # As the daemon runs it: a run that fails is the point; what it said is below.
        chosen = [*(request.asset_selection or [])]
        job.execute_in_process(instance=instance, asset_selection=chosen, raise_on_error=False)

    def look() -> None:
        nonlocal open_before
        lines = evaluate(read_facts(health, TODAY.isoformat(), HOUR)).values()
        findings = [
            finding for line in lines for finding in line.findings if finding.severity is not Severity.OK
        ]
        found = {finding.key for finding in findings if finding.kind in {"source", "stale"}}
        said.extend(sorted(found - open_before))
        open_before = found

    with dg.build_schedule_context(
        scheduled_execution_time=FIVE, resources={"warehouse": warehouse}
    ) as context:
        for request in daily_facts(live).evaluate_tick(context).run_requests or []:
            ingest(request)
    look()
    while clock.moment < TIP_OFF:
        clock.moment += timedelta(minutes=15)
        requested = evening_requests(live, sources, warehouse, clock.moment)
        for request in requested if isinstance(requested, list) else []:
            ingest(request)
        if clock.moment.minute in {0, 30}:
            look()

    def stored(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in warehouse.query(sql).to_pylist()]

    assert stored("SELECT DISTINCT season_id FROM facts.game_logs") == [(22025,)]
    assert stored("SELECT COUNT(*) FROM facts.game_logs") == [(len(feeds.played),)]
    assert stored("SELECT COUNT(*) FROM facts.quarantine") == [(0,)]
    events = feeds.league.answer(EVENTS, {})
    assert len(events) > 1
    of_events = "SELECT DISTINCT event_id, game_date FROM facts.prop_lines ORDER BY event_id"
    assert stored(of_events) == [
        (event["id"], TODAY) for event in sorted(events, key=lambda event: event["id"])
    ]

    slate = run.whole(TODAY.isoformat())
    assert slate.receipt is not None
    assert slate.receipt.status == "success"
    assert slate.progress.count(Outcome.STAGED) == len(slate.progress.batch.expected) - 1
    (out,) = [who for who, done in slate.progress.outcomes.items() if done.outcome is Outcome.SKIPPED]
    (skipped,) = slate.progress.batch.players([out])
    assert skipped.player_id == feeds.out["player_id"]

    counted = spent(warehouse, "odds_api", clock.moment)
    assert 0 < counted.day <= 60
    assert counted.remaining == 300
    # Each source that failed is said when it begins to fail, and again only after it had answered in between.
    assert said == [
        "source:game_logs:stats_nba", "source:schedule:stats_nba", "source:prop_lines:odds_api",
        "source:injury_reports:official_report", "stale:prop_lines:2026-01-16",
    ]  # fmt: skip
    assert open_before == {"source:schedule:stats_nba"}, "the one that is refused all day"

"""The schedules that bring the facts: logs and schedule in the morning, lines and injuries until the last tip-off.

A tick decides and requests a run of the ingest job; the assets ask the sources. In a run that asks for both, lines and
reports would not be taken when game logs or schedule fail; so those of the morning and of the evening have runs of
their own. A fact whose only source is files without a path is left to `prediction-assets ingest`.
https://docs.dagster.io/guides/automate/schedules
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from prediction_assets.errors import TransientError
from prediction_assets.ingest.live import timing
from prediction_assets.ingest.live.sources import Sources
from prediction_assets.nba.season import calendar_of
from prediction_assets.nba.tonight import Tonight
from prediction_assets.orchestration.jobs import ingest_job
from prediction_assets.orchestration.sensors.requests import impatient
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import roster_hour, roster_hours_before
from prediction_assets.slate.keys import GAME_TIME_ZONE, slate_key
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

TICK_MINUTES = 5
"""The shortest time between two looks that the settings allow."""

MORNING, EVENING = ("game_logs", "schedule"), ("prop_lines", "injury_reports")


def daily_facts(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule of game logs and schedule, running where a source of theirs is set."""
    named = [facts for facts in MORNING if settings.names(facts)]

    @dg.schedule(
        name="daily_facts",
        job=ingest_job,
        cron_schedule=settings.facts_cron,
        execution_timezone=settings.time_zone,
        default_status=_status(named),
        description="Every morning before the roster: takes game logs and schedule from their sources. In the "
        "off-season only the schedule, once a week.",
    )
    def tick(
        context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time
        try:
            wanted = in_season(settings, impatient(warehouse), now)
        except TransientError:
            wanted = named  # the run waits longer; this tick doesn't come again
        return _run(wanted, now) if wanted else dg.SkipReason(_nothing(named, MORNING, "out of season"))

    return tick


def in_season(settings: Settings, warehouse: Warehouse, now: datetime) -> list[str]:
    """Return the facts of the morning whose sources are set and have something to say on a date."""
    today = now.astimezone(GAME_TIME_ZONE).date()
    calendar = calendar_of(warehouse, today)
    asks = {"game_logs": timing.asks_logs, "schedule": timing.asks_schedule}
    return [facts for facts in MORNING if settings.names(facts) and asks[facts](calendar, today)]


def tonights_facts(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule of prop lines and injury reports, running where any source is set."""
    named = [facts for facts in (*MORNING, *EVENING) if settings.names(facts)]

    @dg.schedule(
        name="tonights_facts",
        job=ingest_job,
        cron_schedule=f"*/{TICK_MINUTES} * * * *",
        execution_timezone=settings.time_zone,
        default_status=_status(named),
        description="On days with games, from half an hour before the roster to the last tip-off: takes prop lines "
        "and injury reports from their sources every fetch_minutes, less often while a budget is short. Also asks "
        "again for what the morning's sources did not answer.",
    )
    def tick(
        context: dg.ScheduleEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        sources: dg.ResourceParam[Sources],
    ) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time
        try:
            return evening_requests(settings, sources, impatient(warehouse), now)
        except TransientError as error:
            return dg.SkipReason(str(error))

    return tick


def evening_requests(
    settings: Settings, sources: Sources, warehouse: Warehouse, now: datetime
) -> list[dg.RunRequest] | dg.SkipReason:
    """Return the runs that take the facts that are due at a moment, or why there is none."""
    fetches = warehouse.query(queries.NEWEST_FETCHES, {"since": now - timedelta(days=1)}).to_pylist()
    unanswered = _unanswered(settings, warehouse, fetches, now)
    due: list[str] = []
    waiting: list[str] = []
    tonight = sources.tonight(warehouse, now)
    slate, end = slate_key(tonight.slate), tonight.last_tip_off
    begin = roster_hour(slate, settings.roster_cron, settings.time_zone) - timing.BEFORE_ROSTER
    if not tonight.games:
        waiting.append(f"no games on {slate}")
    elif not begin <= now <= end:
        waiting.append(f"{slate}: lines and reports are taken from {begin:%H:%M} to {end:%H:%M} UTC")
    else:
        for facts in EVENING:
            if settings.names(facts):
                reason = _why_not_now(facts, settings, sources, warehouse, fetches, now, begin, tonight)
                if reason is None:
                    due.append(facts)
                else:
                    waiting.append(f"{facts}: {reason}")
    runs = [_run(wanted, now) for wanted in (unanswered, due) if wanted]
    return runs or dg.SkipReason("; ".join(waiting) or "no source is set")


def _unanswered(
    settings: Settings, warehouse: Warehouse, fetches: list[dict[str, Any]], now: datetime
) -> list[str]:
    """Return the facts of the morning that live sources were asked for since its hour, in vain, and not just now."""
    hour = next(roster_hours_before(now, settings.facts_cron, settings.time_zone))
    usual = timedelta(minutes=settings.fetch_minutes)
    return [
        facts
        for facts in in_season(settings, warehouse, now)
        if settings.sources(facts) != ("files",)
        and now - hour >= usual
        and not any(
            row["facts"] == facts
            and row["started_at"] >= hour
            and row["outcome"] not in {"running", "failed"}
            for row in fetches
        )
        and timing.is_due(now, _last_asked(fetches, facts), usual)
    ]


def _why_not_now(
    facts: str,
    settings: Settings,
    sources: Sources,
    warehouse: Warehouse,
    fetches: list[dict[str, Any]],
    now: datetime,
    begin: datetime,
    tonight: Tonight,
) -> str | None:
    """Return why one of tonight's facts is not taken now, None when it is.

    The first source with requests left sets the pace: one without any is no reason to leave the next one out.
    """
    usual = timedelta(minutes=settings.fetch_minutes)
    names = settings.sources(facts)
    for source in names:
        if source == "files":
            # Files are asked of nobody, so nothing says when; the ticks are counted from the begin.
            is_tick = (now - begin) % usual < timedelta(minutes=TICK_MINUTES)
            return None if is_tick else f"every {settings.fetch_minutes} minutes"
        every = sources.pause(warehouse, source, tonight, now)
        if every is not None:
            is_due = timing.is_due(now, _last_asked(fetches, facts), every)
            return None if is_due else f"every {every.total_seconds() / 60:.0f} minutes"
    return f"{' and '.join(names)} has too few requests left for another look"


def _last_asked(fetches: list[dict[str, Any]], facts: str) -> datetime | None:
    return max((row["started_at"] for row in fetches if row["facts"] == facts), default=None)


def _run(wanted: list[str], now: datetime) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"facts:{now.isoformat()}:{','.join(wanted)}",
        asset_selection=[dg.AssetKey(facts) for facts in wanted],
    )


def _status(named: list[str]) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if named else dg.DefaultScheduleStatus.STOPPED


def _nothing(named: list[str], facts: tuple[str, ...], otherwise: str) -> str:
    return otherwise if named else f"no source is set for {' and '.join(facts)}"

"""Gathers the facts of one slate from batch state, the warehouse, the outbox and the Dagster instance.

Reads only. Whatever goes wrong while a source is read becomes :class:`Unreadable` in its place; a locked
warehouse is waited for once, not once a question.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import dagster as dg
from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.scheduler.instigation import TickStatus

from prediction_assets import __version__
from prediction_assets.errors import BadInput, one_line
from prediction_assets.logs import first_cause
from prediction_assets.monitoring.evidence import (
    EarlierMerge,
    GamesWithoutLogs,
    HealthFacts,
    InstanceFacts,
    RecentFailure,
    Rules,
    ScheduleFacts,
    TableFacts,
    Unreadable,
    WarehouseFacts,
)
from prediction_assets.nba.forecasting.market import MARKET_AWARE
from prediction_assets.nba.forecasting.systems import SYSTEMS
from prediction_assets.nba.tonight import default_slate
from prediction_assets.orchestration.daemons import last_heard
from prediction_assets.orchestration.run_tags import CODE_VERSION_TAG, slate_of
from prediction_assets.orchestration.runs import failure_of, stage_of
from prediction_assets.settings import MERGES_COMPARED_DAYS, Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import Clock, roster_hour
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE, is_simulated, parse_slate, slate_key
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION
from prediction_assets.stores.protocols import BatchState, DeadLetters, Outbox, Warehouse
from prediction_assets.stores.sql import queries

Read = TypeVar("Read")

DAEMON_SILENCE = timedelta(minutes=5)
"""Ten times the interval in which a daemon reports itself."""

_MERGES = 30
_LOGS_WITHIN = timedelta(days=10)
_LINES_WITHIN = timedelta(days=60)
"""A home without a line for as long has no feed that could be down."""

_A_DAY = timedelta(days=1)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_FAILURES = 50


@dataclass(frozen=True)
class Sources:
    """Where the facts are read.

    Attributes:
        instance: the Dagster instance, or why it can't be opened.
    """

    warehouse: Callable[[], Warehouse]
    batch_state: Callable[[], BatchState]
    dead_letters: Callable[[], DeadLetters]
    outbox: Callable[[], Outbox]
    instance: DagsterInstance | Unreadable
    settings: Settings
    clock: Clock


def read_facts(sources: Sources, slate: str | None, window: timedelta) -> HealthFacts:
    """Gather the facts of a slate.

    Args:
        slate: the slate to look at; None: tonight's, or the newest of a simulated league.
        window: how far back failed runs and ticks are looked for.

    Raises:
        BadInput: the slate isn't a date, or no schedule and no batch knows of it.
    """
    now = sources.clock.now()
    if slate is not None:
        parse_slate(slate)
    chosen = slate or _slate_of_the_morning(sources, now)
    progress = _attempt("batch state", lambda: sources.batch_state().progress(chosen))
    warehouse = _attempt(
        "warehouse", lambda: _warehouse_facts(sources.warehouse(), chosen, now, sources.settings)
    )
    if slate is not None and progress is None and not isinstance(warehouse, Unreadable):
        _require_known(slate, warehouse.schedule)
    simulated = not isinstance(warehouse, Unreadable) and is_simulated(warehouse.schedule.league)
    return HealthFacts(
        slate=chosen,
        now=now,
        window=window,
        roster_due=None
        if simulated
        else roster_hour(chosen, sources.settings.roster_cron, sources.settings.time_zone),
        rules=Rules(
            minimum_staged_share=sources.settings.minimum_staged_share,
            systems=_running_systems(market_aware=sources.settings.market_aware),
            schema_version=PREDICTIONS_SCHEMA_VERSION,
            code_version=__version__,
            ui_url=sources.settings.ui_url.rstrip("/"),
        ),
        progress=progress,
        warehouse=warehouse,
        events=_attempt("outbox", lambda: tuple(sources.outbox().entries(chosen))),
        dead_letters=_attempt("dead letters", lambda: tuple(sources.dead_letters().letters(chosen))),
        instance=sources.instance
        if isinstance(sources.instance, Unreadable)
        else _attempt("Dagster instance", _instance_reader(sources.instance, progress, now, window)),
        named=slate is not None,
    )


def in_words(error: BaseException) -> str:
    """Return an error's text as one line, with its class where it isn't one of ours."""
    text = one_line(str(error)) or "no message"
    ours = type(error).__module__.startswith("prediction_assets.")
    return text if ours else f"{type(error).__name__}: {text}"


def _running_systems(*, market_aware: bool) -> dict[str, str]:
    systems = {system.name: system.version for system in SYSTEMS}
    return {**systems, MARKET_AWARE: SYSTEMS[-1].version} if market_aware else systems


def _attempt(source: str, read: Callable[[], Read]) -> Read | Unreadable:
    try:
        return read()
    except Exception as error:  # noqa: BLE001  whatever it is, the check is red and says so
        return Unreadable(source, in_words(error))


def _slate_of_the_morning(sources: Sources, now: datetime) -> str:
    """Return tonight's slate; of a simulated league, the newest that was opened."""
    today = now.astimezone(GAME_TIME_ZONE).date()
    try:
        warehouse = sources.warehouse()
        slate = default_slate(warehouse, today, tonight=True)
        leagues = warehouse.query(queries.SLATE_GAMES, {"slate": parse_slate(slate)})["league"].to_pylist()
        if not leagues or not is_simulated(leagues[0]):
            return slate
    except Exception:  # noqa: BLE001  a warehouse that can't be read is reported with the slate's facts
        slate = slate_key(today)
    opened = _attempt("batch state", lambda: list(sources.batch_state().recent_slates(_LONG_AGO)))
    return slate if isinstance(opened, Unreadable) or not opened else opened[-1]


def _require_known(slate: str, schedule: ScheduleFacts) -> None:
    if schedule.last_slate is not None and not schedule.covered:
        raise BadInput(
            f"slate {slate}",
            f"was never opened, and no ingested schedule covers this date (the newest ends {schedule.last_slate})",
            hint="name another with --slate, or `prediction-assets ingest --schedule FILE`",
        )


def _warehouse_facts(port: Warehouse, slate: str, now: datetime, settings: Settings) -> WarehouseFacts:
    day = parse_slate(slate)
    schedule = _schedule_facts(port, day)
    table = _table_facts(port, day)
    is_real = schedule.games > 0 and not is_simulated(schedule.league)
    receipts = tuple(port.receipts(slate))
    league = receipts[-1].league if receipts else schedule.league
    merges = port.query(
        queries.EARLIER_MERGES,
        {
            "slate": day,
            "since": day - timedelta(days=MERGES_COMPARED_DAYS),
            "league": league,
            "limit": _MERGES,
        },
    ).to_pylist()
    newest = receipts[-1].receipt_id if receipts else ""
    return WarehouseFacts(
        schedule=schedule,
        without_logs=_games_without_logs(port, schedule.league, day, _last_logged(day, now, settings))
        if is_real
        else GamesWithoutLogs(),
        newest_lines=_newest_lines(port, schedule.league, day)
        if is_real and table.rows and not table.players_with_a_line
        else None,
        receipts=receipts,
        earlier_merges=tuple(
            EarlierMerge(row["merge_ms"], row["rows_staged"], len(json.loads(row["parts"])))
            for row in merges
            if row["receipt_id"] != newest
        ),
        table=table,
        staged=dict(port.parts.staged(slate)),
        other_slates_staged=tuple(other for other in port.parts.slates() if other != slate),
    )


def _schedule_facts(port: Warehouse, day: date) -> ScheduleFacts:
    games = port.query(queries.SLATE_GAMES, {"slate": day}).to_pylist()
    spans = {row["league"]: row for row in port.query(queries.SCHEDULE_SPANS, {"today": day}).to_pylist()}
    if not spans:
        return ScheduleFacts(0, "", None, covered=False)
    league = games[0]["league"] if games else NBA_LEAGUE if NBA_LEAGUE in spans else min(spans)
    return ScheduleFacts(
        games=len(games),
        league=league,
        last_slate=spans[league]["last_slate"],
        covered=any(span["first_slate"] <= day <= span["last_slate"] for span in spans.values()),
    )


def _last_logged(day: date, now: datetime, settings: Settings) -> date:
    """Return the last date before the slate whose logs are due: last night's are by the roster's hour."""
    today = now.astimezone(GAME_TIME_ZONE).date()
    is_morning = now >= roster_hour(slate_key(today), settings.roster_cron, settings.time_zone)
    return min(day, today if is_morning else today - _A_DAY) - _A_DAY


def _games_without_logs(port: Warehouse, league: str, day: date, last: date) -> GamesWithoutLogs:
    dates = {"first": day - _LOGS_WITHIN, "last": last, "slate": day}
    found = port.query(queries.GAMES_WITHOUT_LOGS, {"league": league, **dates}).to_pylist()[0]
    return GamesWithoutLogs(found["games"], found["since"])


def _newest_lines(port: Warehouse, league: str, day: date) -> date | None:
    dates = {"since": day - _LINES_WITHIN, "slate": day}
    found: list[date | None] = port.query(queries.NEWEST_LINES, {"league": league, **dates})[
        "newest"
    ].to_pylist()
    return found[0]


def _table_facts(port: Warehouse, day: date) -> TableFacts:
    counts = port.query(queries.SLATE_TABLE, {"slate": day}).to_pylist()[0]
    versions = port.query(queries.SLATE_VERSIONS, {"slate": day}).to_pylist()
    systems: dict[str, set[str]] = {}
    for row in versions:
        systems.setdefault(row["system"], set()).add(row["system_version"])
    return TableFacts(
        rows=counts["row_count"],
        players=counts["players"],
        players_with_a_line=counts["players_with_a_line"],
        newest=counts["newest"],
        systems={name: tuple(sorted(found)) for name, found in systems.items()},
        schema_versions=tuple(sorted({row["schema_version"] for row in versions})),
        feature_snapshots=tuple(sorted({row["feature_snapshot"] for row in versions})),
    )


def _instance_reader(
    instance: DagsterInstance, progress: Progress | Unreadable | None, now: datetime, window: timedelta
) -> Callable[[], InstanceFacts]:
    def read() -> InstanceFacts:
        failures = [*_failed_runs(instance, now - window), *_failed_ticks(instance, now - window)]
        newest = last_heard(instance)
        return InstanceFacts(
            failures=tuple(sorted(failures, key=lambda failure: failure.at)),
            daemon_silent_since=newest if newest is not None and now - newest > DAEMON_SILENCE else None,
            code_versions=_code_versions(instance, progress) if isinstance(progress, Progress) else (),
        )

    return read


def _failed_runs(instance: DagsterInstance, since: datetime) -> Iterable[RecentFailure]:
    failed = instance.get_run_records(
        RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since), limit=_MOST_FAILURES
    )
    if not failed:
        return
    succeeded: dict[tuple[str, str], datetime] = {}
    for record in instance.get_run_records(
        RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=since)
    ):
        work, at = _work(record.dagster_run), record.update_timestamp.replace(tzinfo=UTC)
        succeeded[work] = max(at, succeeded.get(work, at))
    for record in failed:
        work, at = _work(record.dagster_run), record.update_timestamp.replace(tzinfo=UTC)
        stage, slate = work
        yield RecentFailure(
            what=f"{stage} of {slate}" if slate else stage,
            at=at,
            error=failure_of(instance, record.dagster_run.run_id).error,
            run_id=record.dagster_run.run_id,
            recovered=succeeded.get(work, since) > at,
        )


def _work(run: DagsterRun) -> tuple[str, str]:
    """Return the job that a run stands for, and its slate."""
    return stage_of(run), slate_of(run.tags)


def _failed_ticks(instance: DagsterInstance, since: datetime) -> Iterable[RecentFailure]:
    for state in instance.all_instigator_state():
        origin, selector = state.instigator_origin_id, state.selector_id
        failed = instance.get_ticks(
            origin, selector, after=since.timestamp(), statuses=[TickStatus.FAILURE], limit=_MOST_FAILURES
        )
        if not failed:
            continue
        good = instance.get_ticks(
            origin, selector, statuses=[TickStatus.SUCCESS, TickStatus.SKIPPED], limit=1
        )
        newest_good = good[0].timestamp if good else 0.0
        for tick in failed:
            yield RecentFailure(
                what=f"a tick of {state.instigator_name}",
                at=datetime.fromtimestamp(tick.timestamp, UTC),
                error=first_cause(tick.error) if tick.error else "",
                recovered=newest_good > tick.timestamp,
            )


def _code_versions(instance: DagsterInstance, progress: Progress) -> tuple[str, ...]:
    """Return the package's versions that staged the slate's players; a run has one, its materializations say it."""
    runs = {c.run_id for c in progress.outcomes.values() if c.part is not None}
    found = set()
    for run_id in runs:
        for record in instance.get_records_for_run(
            run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION, limit=1
        ).records:
            materialization = record.asset_materialization
            version = (materialization.tags or {}).get(CODE_VERSION_TAG) if materialization else None
            found.update([version] if version else [])
    return tuple(sorted(found))

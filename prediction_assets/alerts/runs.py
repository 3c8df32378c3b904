"""What Dagster did: runs that finished, ticks, and daemons, kept as alerts.

Finished runs are followed by storage id, oldest first; whoever asks again from an earlier one changes nothing,
because each alert knows the newest event that it was made from. A run that failed because of its checks is not
told beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    EventLogRecord,
    RunStatusChangeRecordsFilter,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.event_api import RunStatusChangeEventType
from dagster._core.scheduler.instigation import InstigatorType, TickStatus

from prediction_assets.alerts.decisions import opened, over, recovered
from prediction_assets.alerts.incidents import (
    CheckResult,
    FinishedRun,
    FinishedTick,
    Pages,
    check_key,
    daemon_incidents,
    failed_checks,
    failed_run,
    failed_tick,
)
from prediction_assets.alerts.port import AlertStore
from prediction_assets.daemons import silent_daemons
from prediction_assets.logs import first_cause
from prediction_assets.run_tags import labels_of
from prediction_assets.runs import failure_of, stage_of

FIRST_LOOK = timedelta(days=1)
"""How far back the first look goes: what is older was somebody's who had no alerts."""

RUNS_AT_ONCE = 50
_TICKS = 20
_ENDS: tuple[RunStatusChangeEventType, ...] = (
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.RUN_SUCCESS,
    DagsterEventType.RUN_CANCELED,
)


@dataclass(frozen=True)
class Followed:
    """How far the finished runs were followed.

    Attributes:
        cursor: storage id of the last one that is done with.
        runs: how many were looked at.
        more: there may be more.
    """

    cursor: int
    runs: int
    more: bool


def follow_runs(
    instance: DagsterInstance, store: AlertStore, cursor: int, now: datetime, pages: Pages
) -> Followed:
    """Keep what the runs tell that finished after the cursor, at most 50 of them, oldest first.

    Everything is stored when this returns; an error leaves the cursor to the caller, who comes again with it.
    """
    records = _finished(instance, cursor, now)
    for record in records:
        run = instance.get_run_by_id(record.run_id)
        if run is not None:
            _keep_run(instance, store, record, run, now, pages)
    reached = records[-1].storage_id if records else cursor
    return Followed(reached, len(records), len(records) == RUNS_AT_ONCE)


def _finished(instance: DagsterInstance, cursor: int, now: datetime) -> list[EventLogRecord]:
    since = None if cursor else (now - FIRST_LOOK).timestamp()
    found: list[EventLogRecord] = []
    for end in _ENDS:
        wanted = RunStatusChangeRecordsFilter(
            end,
            after_storage_id=cursor,
            after_timestamp=since,
        )
        found += instance.fetch_run_status_changes(wanted, limit=RUNS_AT_ONCE, ascending=True).records
    return sorted(found, key=lambda record: record.storage_id)[:RUNS_AT_ONCE]


def _keep_run(
    instance: DagsterInstance,
    store: AlertStore,
    record: EventLogRecord,
    run: DagsterRun,
    now: datetime,
    pages: Pages,
) -> None:
    position = record.storage_id
    checks = list(_checks(instance, run.run_id))
    for check in checks:
        if check.passed:
            store.change(check_key(check), recovered(now, position))
    for incident in failed_checks(checks, position, pages):
        store.change(incident.key, opened(incident, now))
    finished = _finished_run(instance, run, record)
    end = record.event_log_entry.dagster_event_type
    if end is DagsterEventType.RUN_SUCCESS:
        store.change(finished.key, recovered(now, position))
    elif end is DagsterEventType.RUN_FAILURE and all(check.passed or check.warns for check in checks):
        store.change(finished.key, opened(failed_run(finished, pages), now))


def _checks(instance: DagsterInstance, run_id: str) -> Iterator[CheckResult]:
    """Return the newest result of each check that a run evaluated, in order."""
    newest: dict[tuple[str, str, str | None], CheckResult] = {}
    found = instance.get_records_for_run(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
    for record in found.records:
        event = record.event_log_entry.dagster_event
        data = event.event_specific_data if event else None
        if isinstance(data, AssetCheckEvaluation):
            asset = "/".join(data.asset_key.path)
            numbers = ", ".join(
                f"{name} {value.value}" for name, value in data.metadata.items() if "dagster" not in name
            )
            newest[asset, data.check_name, data.partition] = CheckResult(
                asset,
                data.check_name,
                data.partition,
                data.passed,
                data.severity.value == "WARN",
                data.description or numbers,
            )
    yield from newest.values()


def _finished_run(instance: DagsterInstance, run: DagsterRun, record: EventLogRecord) -> FinishedRun:
    slate, stage = labels_of(run.tags).get("slate"), stage_of(run)
    event = record.event_log_entry.dagster_event
    if event is None or not event.is_job_failure:
        return FinishedRun(run.run_id, stage, slate, record.storage_id)
    failure = failure_of(instance, run.run_id)
    return FinishedRun(run.run_id, stage, slate, record.storage_id, failure.step, failure.error)


TICK_KINDS = frozenset({"daemon"})
"""Kinds of incidents that :func:`look_at_automation` judges by what is so now."""


def look_at_automation(
    instance: DagsterInstance, store: AlertStore, now: datetime, pages: Pages, *, leave_out: Collection[str]
) -> None:
    """Keep what ticks and heartbeats tell.

    Args:
        leave_out: sensors whose ticks aren't judged: the one that asks, whose tick hasn't ended.
    """
    for tick in _ticks(instance, now):
        if tick.name in leave_out:
            continue
        if tick.error is None:
            store.change(tick.key, recovered(now, tick.tick_id))
        else:
            store.change(tick.key, opened(failed_tick(tick, pages), now))
    found = daemon_incidents(silent_daemons(instance), pages)
    for incident in found:
        store.change(incident.key, opened(incident, now))
    for key in over(store.unsettled(), {incident.key for incident in found}, TICK_KINDS):
        store.change(key, recovered(now))


def _ticks(instance: DagsterInstance, now: datetime) -> Iterator[FinishedTick]:
    """Return the newest ticks that ended of each sensor and schedule, oldest first."""
    after = (now - FIRST_LOOK).timestamp()
    for state in instance.all_instigator_state():
        kind = "schedules" if state.instigator_type is InstigatorType.SCHEDULE else "sensors"
        location = state.origin.repository_origin.code_location_origin.location_name
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=after, limit=_TICKS)
        for tick in sorted(ticks, key=lambda tick: tick.tick_id):
            if tick.status is TickStatus.STARTED:
                continue
            error = None
            if tick.status is TickStatus.FAILURE:
                error = first_cause(tick.error) if tick.error else "no error was recorded"
            yield FinishedTick(state.instigator_name, kind, location, tick.tick_id, error)

"""Keeps alerts for what Dagster did: finished runs, ticks, and daemons.

Finished runs are followed by storage id, oldest first. Following them again from an earlier id changes nothing, because
each alert keeps the position and the time of its newest event. A run that failed because of its checks raises no alert
beside theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

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

from prediction_assets.logs import first_cause
from prediction_assets.monitoring.alert_lifecycle import opened, over, recovered
from prediction_assets.monitoring.findings import Pages
from prediction_assets.monitoring.run_findings import (
    CheckResult,
    FinishedRun,
    FinishedTick,
    failed_checks,
    failed_run,
    failed_tick,
    silent_daemons,
)
from prediction_assets.monitoring.thresholds import FIRST_LOOK
from prediction_assets.orchestration.daemons import unhealthy_daemons
from prediction_assets.orchestration.following import Cursor, follow
from prediction_assets.orchestration.run_tags import labels_of
from prediction_assets.orchestration.runs import failure_of, stage_of
from prediction_assets.stores.alert import Alert, Change
from prediction_assets.stores.protocols import AlertStore

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
        cursor: the last run that was followed.
        runs: how many were followed.
        more: there may be more.
    """

    cursor: Cursor
    runs: int
    more: bool


def follow_runs(
    instance: DagsterInstance, store: AlertStore, cursor: Cursor, now: datetime, pages: Pages
) -> Followed:
    """Keep the alerts of the runs that finished after the cursor, at most 50 of them, oldest first.

    Everything is stored when this returns. After an error the caller follows again from the same cursor.
    """
    cursor, records = follow(partial(_finished, instance), cursor, limit=RUNS_AT_ONCE, since=now - FIRST_LOOK)
    known = _Known(store) if records else None
    for record in records:
        run = instance.get_run_by_id(record.run_id)
        if run is not None and known is not None:
            _keep_run(instance, known, record, run, now, pages)
    reached = Cursor.at(records[-1]) if records else cursor
    return Followed(reached, len(records), len(records) == RUNS_AT_ONCE)


class _Known:
    """The unsettled alerts, read once: most runs and ticks change none, and a store bills each read."""

    def __init__(self, store: AlertStore) -> None:
        self._store = store
        self._alerts = {alert.key: alert for alert in store.unsettled()}

    @property
    def alerts(self) -> Collection[Alert]:
        """The alerts as they are now."""
        return self._alerts.values()

    def change(self, key: str, change: Change) -> None:
        """Change an alert in the store unless that would change nothing."""
        before = self._alerts.get(key)
        if change(before) is before:
            return
        after = self._store.change(key, change)
        if after is not None:
            self._alerts[key] = after


def _finished(
    instance: DagsterInstance, *, after: int, since: datetime | None, limit: int, ascending: bool
) -> list[EventLogRecord]:
    found: list[EventLogRecord] = []
    for end in _ENDS:
        wanted = RunStatusChangeRecordsFilter(
            end,
            after_storage_id=after,
            after_timestamp=None if since is None else since.timestamp(),
        )
        found += instance.fetch_run_status_changes(wanted, limit=limit, ascending=ascending).records
    return sorted(found, key=lambda record: record.storage_id, reverse=not ascending)[:limit]


def _keep_run(
    instance: DagsterInstance,
    known: _Known,
    record: EventLogRecord,
    run: DagsterRun,
    now: datetime,
    pages: Pages,
) -> None:
    position, at = record.storage_id, datetime.fromtimestamp(record.timestamp, UTC)
    checks = list(_checks(instance, run.run_id))
    for check in checks:
        if check.passed:
            known.change(check.key, recovered(now, position, at))
    for finding in failed_checks(checks, pages):
        known.change(finding.key, opened(finding, now, position, at))
    finished = _finished_run(instance, run, record)
    end = record.event_log_entry.dagster_event_type
    if end is DagsterEventType.RUN_SUCCESS:
        known.change(finished.key, recovered(now, position, at))
    elif end is DagsterEventType.RUN_FAILURE and all(check.passed or check.warns for check in checks):
        known.change(finished.key, opened(failed_run(finished, pages), now, position, at))


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
        return FinishedRun(run.run_id, stage, slate)
    failure = failure_of(instance, run.run_id)
    return FinishedRun(run.run_id, stage, slate, failure.step, failure.error)


def look_at_automation(
    instance: DagsterInstance, store: AlertStore, now: datetime, pages: Pages, *, leave_out: Collection[str]
) -> None:
    """Keep the alerts of failed ticks and silent daemons.

    Args:
        leave_out: sensors whose ticks are left out: the caller's own tick hasn't ended.
    """
    known = _Known(store)
    for tick in _ticks(instance, now):
        if tick.name in leave_out:
            continue
        if tick.error is None:
            known.change(tick.key, recovered(now, tick.tick_id, tick.at))
        else:
            known.change(tick.key, opened(failed_tick(tick, pages), now, tick.tick_id, tick.at))
    found = silent_daemons(unhealthy_daemons(instance), pages)
    for finding in found:
        known.change(finding.key, opened(finding, now))
    for key in over(known.alerts, {finding.key for finding in found}, {"daemon"}):
        known.change(key, recovered(now))


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
            at = datetime.fromtimestamp(tick.timestamp, UTC)
            yield FinishedTick(state.instigator_name, kind, location, tick.tick_id, at, error)

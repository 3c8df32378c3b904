"""Reads what Dagster knows: failed runs and ticks, asset checks, silent daemons, and code versions."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.scheduler.instigation import InstigatorType, TickStatus

from prediction_assets.logs import first_cause
from prediction_assets.monitoring.health_facts import CheckResult, InstanceFacts, RecentFailure
from prediction_assets.monitoring.thresholds import DAEMON_SILENCE
from prediction_assets.orchestration.jobs import ingest_job
from prediction_assets.orchestration.run_tags import CODE_VERSION_TAG, SLATE_TAG, slate_of
from prediction_assets.orchestration.runs import failure_of, stage_of, steps_of
from prediction_assets.slate.audits import AUDITS
from prediction_assets.slate.batch import Progress

_MOST_FAILURES = 50
_AUDITS = frozenset(audit.name for audit in AUDITS if audit.is_blocking)


def read_instance(
    instance: DagsterInstance,
    progress: Progress | None,
    now: datetime,
    window: timedelta,
    checks: Collection[dg.AssetCheckKey] = (),
) -> InstanceFacts:
    """Return the instance's facts.

    Args:
        progress: the slate's batch, whose outcomes name the runs that staged its players; None without one.
        window: how far back failed runs and ticks are looked for.
        checks: the asset checks to read.
    """
    failures = [*_failed_runs(instance, now - window), *_failed_ticks(instance, now - window)]
    return InstanceFacts(
        failures=tuple(sorted(failures, key=lambda failure: failure.at)),
        daemon_silent_since=_daemon_silent_since(instance, now),
        code_versions=() if progress is None else _code_versions(instance, progress),
        checks=tuple(_results(instance, checks)),
    )


def _daemon_silent_since(instance: DagsterInstance, now: datetime) -> datetime | None:
    """Return the newest heartbeat if no daemon beats, else the oldest of the daemons that Dagster itself misses.

    A daemon that never ran here is left out: an installation may do without it.
    """
    beats = instance.get_daemon_heartbeats().values()
    newest = max((datetime.fromtimestamp(beat.timestamp, UTC) for beat in beats), default=None)
    if newest is not None and now - newest > DAEMON_SILENCE:
        return newest
    missed = (
        datetime.fromtimestamp(status.last_heartbeat.timestamp, UTC)
        for status in instance.get_daemon_statuses().values()
        if status.required and not status.healthy and status.last_heartbeat is not None
    )
    return min(missed, default=None)


def _failed_runs(instance: DagsterInstance, since: datetime) -> Iterator[RecentFailure]:
    """Yield the newest failed run of each work: a stage of a slate, or a kind of facts."""
    seen: set[tuple[str, ...]] = set()
    for record in instance.get_run_records(
        RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since), limit=_MOST_FAILURES
    ):
        run, at = record.dagster_run, record.update_timestamp.replace(tzinfo=UTC)
        work = stage_of(run), slate_of(run.tags)
        is_ingest = work[0] == ingest_job.name
        if work in seen and not is_ingest:
            continue
        failure = failure_of(instance, run.run_id)
        if (*work, failure.step) in seen:
            continue
        seen |= {work, (*work, failure.step)}
        yield RecentFailure(
            *work,
            at=at,
            error=failure.error,
            step=failure.step,
            run_id=run.run_id,
            recovered=_succeeded_since(instance, work, failure.step if is_ingest else "", at),
            refused=tuple(_refused(instance, run)),
        )


def _succeeded_since(instance: DagsterInstance, work: tuple[str, str], facts: str, at: datetime) -> bool:
    """Return whether the same work succeeded after a moment; of any slate, if the run failed before it had one.

    Args:
        facts: the kind of facts that failed; a run that ingested others says nothing about it. '': any run counts.
    """
    tags = {SLATE_TAG: work[1]} if work[1] else {}
    later = instance.get_runs(RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=at, tags=tags))
    return any(
        stage_of(run) == work[0]
        and work[1] in ("", slate_of(run.tags))
        and (not facts or facts in steps_of(instance, run.run_id, dg.DagsterEventType.STEP_SUCCESS))
        for run in later
    )


def _refused(instance: DagsterInstance, run: DagsterRun) -> Iterator[tuple[str, str]]:
    """Yield the audits that refused a run's slate, with what they found."""
    found = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    for record in found.records:
        event = record.event_log_entry.dagster_event
        data = event.event_specific_data if event else None
        if isinstance(data, AssetCheckEvaluation) and data.check_name in _AUDITS and not data.passed:
            yield data.check_name, data.description or ""


def _failed_ticks(instance: DagsterInstance, since: datetime) -> Iterator[RecentFailure]:
    """Yield the newest failed tick of each sensor and schedule."""
    for state in instance.all_instigator_state():
        origin, selector = state.instigator_origin_id, state.selector_id
        failed = instance.get_ticks(
            origin, selector, after=since.timestamp(), statuses=[TickStatus.FAILURE], limit=1
        )
        if not failed:
            continue
        good = instance.get_ticks(
            origin, selector, statuses=[TickStatus.SUCCESS, TickStatus.SKIPPED], limit=1
        )
        tick, kind = failed[0], state.instigator_type
        yield RecentFailure(
            work=state.instigator_name,
            slate="",
            at=datetime.fromtimestamp(tick.timestamp, UTC),
            error=first_cause(tick.error) if tick.error else "",
            recovered=bool(good) and good[0].timestamp > tick.timestamp,
            page=(
                state.origin.repository_origin.code_location_origin.location_name,
                "schedules" if kind is InstigatorType.SCHEDULE else "sensors",
                state.instigator_name,
            ),
        )


def _results(instance: DagsterInstance, keys: Collection[dg.AssetCheckKey]) -> Iterator[CheckResult]:
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key([*keys]) if keys else {}
    for key, record in newest.items():
        done = record.evaluation
        if isinstance(done, AssetCheckEvaluation):  # a run that is in progress has planned one
            numbers = ", ".join(
                f"{name} {value.value}" for name, value in done.metadata.items() if "dagster" not in name
            )
            yield CheckResult(
                "/".join(key.asset_key.path),
                key.name,
                done.passed,
                done.severity is dg.AssetCheckSeverity.WARN,
                done.description or numbers,
            )


def _code_versions(instance: DagsterInstance, progress: Progress) -> tuple[str, ...]:
    """Return the package's versions that staged the slate's players; each run's materializations name its version."""
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

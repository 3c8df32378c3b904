"""Reads what Dagster knows of a slate's morning: failed runs and ticks, silent daemons, and code versions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.scheduler.instigation import TickStatus

from prediction_assets.logs import first_cause
from prediction_assets.monitoring.evidence import InstanceFacts, RecentFailure
from prediction_assets.monitoring.thresholds import DAEMON_SILENCE
from prediction_assets.orchestration.daemons import last_heard
from prediction_assets.orchestration.run_tags import CODE_VERSION_TAG, slate_of
from prediction_assets.orchestration.runs import failure_of, stage_of
from prediction_assets.slate.batch import Progress

_MOST_FAILURES = 50


def read_instance(
    instance: DagsterInstance, progress: Progress | None, now: datetime, window: timedelta
) -> InstanceFacts:
    """Return the instance's facts.

    Args:
        progress: the slate's batch, whose outcomes name the runs that staged its players; None without one.
        window: how far back failed runs and ticks are looked for.
    """
    failures = [*_failed_runs(instance, now - window), *_failed_ticks(instance, now - window)]
    newest = last_heard(instance)
    return InstanceFacts(
        failures=tuple(sorted(failures, key=lambda failure: failure.at)),
        daemon_silent_since=newest if newest is not None and now - newest > DAEMON_SILENCE else None,
        code_versions=() if progress is None else _code_versions(instance, progress),
    )


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
    """Return the stage that a run carried out, and its slate."""
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

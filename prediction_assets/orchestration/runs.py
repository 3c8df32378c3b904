"""Runs in the Dagster instance: which stage one is of, whether it may still do its work, and why it failed.

For sensors, alerts, the morning check and pruning. Reads the instance and changes nothing; tags are in
:mod:`.run_tags`. https://docs.dagster.io/deployment/execution/run-monitoring
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

# Dagster exports neither the errors that a failed step and a failed run carry, nor the names of its retry tags.
from dagster._core.events import JobFailureData
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from prediction_assets.errors import one_line
from prediction_assets.logs import first_cause
from prediction_assets.orchestration.jobs import JOB_OF_ASSET
from prediction_assets.orchestration.run_tags import slate_of
from prediction_assets.slate.deadlines import is_recent

_IN_FLIGHT = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

LOST_AFTER = timedelta(minutes=3)
"""A run without an event for so long counts as lost: the longest step, fitting five systems, takes seconds."""


def stage_of(run: DagsterRun) -> str:
    """Return the job that a run counts as; for a run that was started from an asset's page, that asset's job."""
    if not run.job_name.startswith("__"):
        return run.job_name
    names = ("/".join(key.path) for key in run.asset_selection or ())
    return "+".join(sorted({JOB_OF_ASSET.get(name, name) for name in names})) or run.job_name


def steps_of(instance: DagsterInstance, run_id: str, *ends: DagsterEventType) -> set[str | None]:
    """Return the steps of a run that ended so; a command's run doesn't record which assets it selected."""
    logged = instance.all_logs(run_id, of_type=set(ends))
    return {entry.dagster_event.step_key for entry in logged if entry.dagster_event}


def is_lost(instance: DagsterInstance, run: DagsterRun, now: datetime) -> bool:
    """Return whether the process of a run in progress must be gone, because the run has been silent for three minutes.

    A killed process leaves its run in progress for ever, and Dagster's default launcher can't check it. If the run was
    only slow, a second run costs time and nothing else: every step is safe to repeat. A queued run has no process yet.
    """
    return run.status is not DagsterRunStatus.QUEUED and _is_silent(instance, run, now)


def _is_silent(instance: DagsterInstance, run: DagsterRun, now: datetime) -> bool:
    newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return bool(newest) and not is_recent(
        datetime.fromtimestamp(newest[0].event_log_entry.timestamp, UTC), now, LOST_AFTER
    )


def is_pending(instance: DagsterInstance, run: DagsterRun, now: datetime) -> bool:
    """Return whether a run may still do its work: it is in progress, or Dagster is about to retry it."""
    if not run.is_finished:
        return not is_lost(instance, run, now)
    if run.status is not DagsterRunStatus.FAILURE or AUTO_RETRY_RUN_ID_TAG in run.tags:
        return False
    # Dagster tags a failed run a moment after the failure with whether it retries; its daemon then does within seconds.
    undecided = "true" if instance.run_retries_enabled else "false"
    will_be_retried = run.tags.get(WILL_RETRY_TAG, undecided) == "true"
    return will_be_retried and not _is_silent(instance, run, now)


def pending_runs(instance: DagsterInstance, now: datetime) -> list[DagsterRun]:
    """Return the runs that are in progress or about to be retried."""
    failed = RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=now - LOST_AFTER)
    # Failed runs are read first: a retry that is created in between is then found in the second query.
    runs = [*instance.get_runs(failed), *instance.get_runs(RunsFilter(statuses=_IN_FLIGHT))]
    return [run for run in runs if is_pending(instance, run, now)]


def pending_stages(instance: DagsterInstance, now: datetime) -> dict[str, set[str]]:
    """Return the jobs of the pending runs, by slate; a run may be requested by a sensor or started by hand."""
    found: dict[str, set[str]] = {}
    for run in pending_runs(instance, now):
        found.setdefault(slate_of(run.tags), set()).add(stage_of(run))
    return found


@dataclass(frozen=True, slots=True)
class RunFailure:
    """Why a run failed."""

    step: str  # the first step that failed, '' when none did
    error: str  # the first cause, one line


def failure_of(instance: DagsterInstance, run_id: str) -> RunFailure:
    """Return why a run failed: the first cause of its first failed step, or else the run's own message."""
    for kind in (DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE):
        for record in instance.get_records_for_run(run_id, of_type=kind, limit=1).records:
            event = record.event_log_entry.dagster_event
            data = event.event_specific_data if event is not None else None
            if event is not None:
                cause = data.error if isinstance(data, (StepFailureData, JobFailureData)) else None
                text = first_cause(cause) if cause is not None else one_line(event.message or "")
                return RunFailure(event.step_key or "", text)
    return RunFailure("", "")

"""Asking for runs: what some work is, and whether its run is in flight, failed too often, or may be asked for.

Attempts at the same work are counted over the runs that carry its tag. A run that Dagster retries by itself
belongs to the attempt that it retries.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import dagster as dg
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from prediction_assets.assets.staged_predictions import STAGED
from prediction_assets.errors import PredictionAssetsError, TransientError
from prediction_assets.jobs import REQUEST_TAG, SLATE_TAG, staging_job
from prediction_assets.partitions import RANGE_START_TAG

_IN_FLIGHT = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_Asked = TypeVar("_Asked")
_logger = logging.getLogger(__name__)
_PARTITION_TAG = "dagster/partition"

FIRST_PAUSE = timedelta(seconds=30)
"""Pause before a second attempt at the same work, doubled before each further one."""

LOST_AFTER = timedelta(minutes=3)
"""Silence after which a run counts as lost: the longest step, fitting five systems, takes seconds."""


@dataclass(frozen=True)
class Work:
    """One run that a slate needs.

    Attributes:
        name: the same work has the same name; it is counted by it.
        attempts: the most runs to ask for, None for the settings'.
    """

    name: str
    job: str
    slate: str
    partition_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    run_config: Mapping[str, Any] | None = None
    attempts: int | None = None

    def run_request(self, run_key: str, tags: Mapping[str, str]) -> dg.RunRequest:
        """Return the request of its run, with further tags."""
        return dg.RunRequest(
            run_key=run_key,
            job_name=self.job,
            partition_key=self.partition_key,
            run_config=self.run_config,
            tags={SLATE_TAG: self.slate, **self.tags, **tags},
        )


@dataclass(frozen=True)
class Rest:
    """Why nothing is asked for.

    Attributes:
        gave_up: because enough runs didn't settle the work; whoever mends the cause has to ask again.
        problem: the error that kept a slate from being looked at.
    """

    reason: str
    gave_up: bool = False
    problem: PredictionAssetsError | None = None


def is_recent(moment: datetime, now: datetime, span: timedelta) -> bool:
    """Return whether something happened within a span of time.

    A moment that lies further ahead than the span is from before the clock was set back; were it taken for
    recent, work would rest until the clock has caught up with it, for hours.
    """
    return abs(now - moment) <= span


def is_lost(instance: DagsterInstance, run: DagsterRun, now: datetime) -> bool:
    """Return whether a run that says it is in flight has been silent for so long that its process must be gone.

    A killed process leaves its run in flight for ever, and Dagster's default launcher can't ask after it. Every
    step is idempotent, so going on beside a run that was only slow costs work and nothing else. A queued run
    has no process yet.
    """
    return run.status is not DagsterRunStatus.QUEUED and _is_silent(instance, run, now)


def _is_silent(instance: DagsterInstance, run: DagsterRun, now: datetime) -> bool:
    newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return bool(newest) and not is_recent(
        datetime.fromtimestamp(newest[0].event_log_entry.timestamp, UTC), now, LOST_AFTER
    )


def is_pending(instance: DagsterInstance, run: DagsterRun, now: datetime) -> bool:
    """Return whether a run may still do its work: it is in flight, or Dagster is about to retry it.

    Dagster tags a failed run with whether it will be, a moment after it records the failure, and its daemon
    creates the retry within seconds.
    """
    if not run.is_finished:
        return not is_lost(instance, run, now)
    if run.status is not DagsterRunStatus.FAILURE or AUTO_RETRY_RUN_ID_TAG in run.tags:
        return False
    undecided = "true" if instance.run_retries_enabled else "false"
    will_be_retried = run.tags.get(WILL_RETRY_TAG, undecided) == "true"
    return will_be_retried and not _is_silent(instance, run, now)


def is_group_pending(instance: DagsterInstance, run: DagsterRun, now: datetime) -> bool:
    """Return whether a run, or one that retries it, may still do its work."""
    group = instance.get_run_group(run.root_run_id or run.run_id)
    return any(is_pending(instance, each, now) for each in (group[1] if group else [run]))


def pending_runs(instance: DagsterInstance, now: datetime) -> list[DagsterRun]:
    """Return the runs that are in flight or about to be retried."""
    failed = RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=now - LOST_AFTER)
    # The failed ones first: a retry that is created in between is then seen as the one or as the other.
    runs = [*instance.get_runs(failed), *instance.get_runs(RunsFilter(statuses=_IN_FLIGHT))]
    return [run for run in runs if is_pending(instance, run, now)]


def slate_of(run: DagsterRun) -> str:
    """Return the slate that a run is about, ``""`` when its tags name none."""
    key = run.tags.get(SLATE_TAG) or run.tags.get(RANGE_START_TAG) or run.tags.get(_PARTITION_TAG) or ""
    return key.partition(":")[0]


def staging_slates(instance: DagsterInstance, now: datetime) -> set[str]:
    """Return the slates that a run in flight is staging players of, whoever asked for it."""
    return {
        slate_of(run)
        for run in pending_runs(instance, now)
        if (
            STAGED in run.asset_selection
            if run.asset_selection is not None
            else run.job_name == staging_job.name
        )
    }


def request(instance: DagsterInstance, work: Work, attempts: int, now: datetime) -> dg.RunRequest | Rest:
    """Return the request of a run for some work, unless a run for it is in flight or it failed too often."""
    records = instance.get_run_records(RunsFilter(tags={REQUEST_TAG: work.name}))
    runs = [record.dagster_run for record in records]
    if any(is_pending(instance, run, now) for run in runs):
        return Rest(f"{work.name}: a run is in flight")
    tried = sum(run.parent_run_id is None for run in runs)
    if tried >= (work.attempts or attempts):
        return Rest(
            f"{work.name}: {tried} runs didn't settle it; look at the last one ({runs[0].run_id}), mend the "
            "cause and materialize by hand",
            gave_up=True,
        )
    if tried and is_recent(last_update(records), now, FIRST_PAUSE * 2 ** (tried - 1)):
        return Rest(f"{work.name}: the last run failed a moment ago, the next attempt waits")
    return work.run_request(f"{work.name}:{tried}", {REQUEST_TAG: work.name})


def last_update(records: Sequence[dg.RunRecord]) -> datetime:
    """Return when the newest of some runs last changed."""
    return max(record.update_timestamp.replace(tzinfo=UTC) for record in records)


def slate_by_slate(slates: Iterable[str], ask: Callable[[str], Iterable[_Asked]]) -> Iterator[_Asked | Rest]:
    """Yield what is asked for each slate; an error about one of them holds up none of the others.

    Raises:
        TransientError: a store is busy, which is no slate's own.
    """
    for slate in slates:
        try:
            yield from ask(slate)
        except TransientError:
            raise
        except PredictionAssetsError as error:
            yield Rest(f"{slate}: {error}", problem=error)


def sensor_result(outcomes: Iterable[dg.RunRequest | Rest]) -> dg.SensorResult:
    """Return the requests, or else the reasons for there being none.

    Raises:
        PredictionAssetsError: a slate couldn't be looked at, and nothing is asked for. Beside requests the error is
            logged, and told by the next tick that has none: a failed tick is an alert, but it can't ask for runs.
    """
    listed = list(outcomes)
    requests = [outcome for outcome in listed if isinstance(outcome, dg.RunRequest)]
    reasons = [outcome.reason for outcome in listed if isinstance(outcome, Rest)]
    problems = [outcome for outcome in listed if isinstance(outcome, Rest) and outcome.problem is not None]
    if requests:
        for rest in problems:
            _logger.error("%s", rest.reason)
        return dg.SensorResult(run_requests=requests)
    if len(problems) == 1 and problems[0].problem is not None:
        raise problems[0].problem
    if problems:
        raise PredictionAssetsError("; ".join(rest.reason for rest in problems))
    return dg.SensorResult(skip_reason="; ".join(reasons) or "no slate needs it")

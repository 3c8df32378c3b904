"""Asking for runs: what some work is, and whether its run failed too often or may be asked for.

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
from dagster import DagsterInstance, RunsFilter

from prediction_assets.errors import PredictionAssetsError, TransientError
from prediction_assets.orchestration.jobs import STAGED, staging_job
from prediction_assets.orchestration.run_tags import REQUEST_TAG, SLATE_TAG, slate_of
from prediction_assets.orchestration.runs import is_pending, pending_runs
from prediction_assets.slate.deadlines import is_recent

_Asked = TypeVar("_Asked")
_logger = logging.getLogger(__name__)

WAREHOUSE_WAIT_SECONDS = 5.0
"""A tick waits so long for a busy warehouse, then skips: Dagster ends a tick after 60 s and calls it failed."""

FIRST_PAUSE = timedelta(seconds=30)
"""Pause before a second attempt at the same work, doubled before each further one."""


REQUEST_ATTEMPTS = 3
"""Runs that the stage sensors request for the same work before they stop."""


@dataclass(frozen=True)
class RunNeed:
    """One run that a slate needs.

    Attributes:
        name: the same work has the same name; it is counted by it.
        attempts: the most runs that are requested for it.
    """

    name: str
    job: str
    slate: str
    partition_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    run_config: Mapping[str, Any] | None = None
    attempts: int = REQUEST_ATTEMPTS

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
class Skipped:
    """Why nothing is asked for.

    Attributes:
        gave_up: because enough runs didn't settle the work; whoever mends the cause has to ask again.
        problem: the error that kept a slate from being looked at.
    """

    reason: str
    gave_up: bool = False
    problem: PredictionAssetsError | None = None


def staging_slates(instance: DagsterInstance, now: datetime) -> set[str]:
    """Return the slates that a run in flight is staging players of, whoever asked for it."""
    return {
        slate_of(run.tags)
        for run in pending_runs(instance, now)
        if (
            STAGED in run.asset_selection
            if run.asset_selection is not None
            else run.job_name == staging_job.name
        )
    }


def request(instance: DagsterInstance, work: RunNeed, now: datetime) -> dg.RunRequest | Skipped:
    """Return the request of a run for some work, unless a run for it is in flight or it failed too often."""
    records = instance.get_run_records(RunsFilter(tags={REQUEST_TAG: work.name}))
    runs = [record.dagster_run for record in records]
    if any(is_pending(instance, run, now) for run in runs):
        return Skipped(f"{work.name}: a run is in flight")
    tried = sum(run.parent_run_id is None for run in runs)
    if tried >= work.attempts:
        return Skipped(
            f"{work.name}: {tried} runs didn't settle it; look at the last one ({runs[0].run_id}), mend the "
            "cause and materialize by hand",
            gave_up=True,
        )
    if tried and is_recent(last_update(records), now, FIRST_PAUSE * 2 ** (tried - 1)):
        return Skipped(f"{work.name}: the last run failed a moment ago, the next attempt waits")
    return work.run_request(f"{work.name}:{tried}", {REQUEST_TAG: work.name})


def last_update(records: Sequence[dg.RunRecord]) -> datetime:
    """Return when the newest of some runs last changed."""
    return max(record.update_timestamp.replace(tzinfo=UTC) for record in records)


def slate_by_slate(
    slates: Iterable[str], ask: Callable[[str], Iterable[_Asked]]
) -> Iterator[_Asked | Skipped]:
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
            yield Skipped(f"{slate}: {error}", problem=error)


def sensor_result(outcomes: Iterable[dg.RunRequest | Skipped]) -> dg.SensorResult:
    """Return the requests, or else the reasons for there being none.

    Raises:
        PredictionAssetsError: a slate couldn't be looked at, and nothing is asked for. Beside requests the error is
            logged, and told by the next tick that has none: a failed tick is an alert, but it can't ask for runs.
    """
    listed = list(outcomes)
    requests = [outcome for outcome in listed if isinstance(outcome, dg.RunRequest)]
    refused = [outcome for outcome in listed if isinstance(outcome, Skipped)]
    reasons = [each.reason for each in refused]
    problems = [each for each in refused if each.problem is not None]
    if requests:
        for rest in problems:
            _logger.error("%s", rest.reason)
        return dg.SensorResult(run_requests=requests)
    if len(problems) == 1 and problems[0].problem is not None:
        raise problems[0].problem
    if problems:
        raise PredictionAssetsError("; ".join(rest.reason for rest in problems))
    return dg.SensorResult(skip_reason="; ".join(reasons) or "no slate needs it")

"""Requests of runs: which run a slate needs, and whether that run may be requested now.

Attempts at a need are counted over the runs that carry its name as a tag. Dagster's own retries of a run belong to the
attempt that they retry. https://docs.dagster.io/guides/automate/sensors
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
from prediction_assets.orchestration.run_tags import REQUEST_TAG, SLATE_TAG
from prediction_assets.orchestration.runs import is_pending
from prediction_assets.slate.deadlines import is_recent
from prediction_assets.stores.protocols import Warehouse

_Found = TypeVar("_Found")
_logger = logging.getLogger(__name__)

WAREHOUSE_WAIT_SECONDS = 5.0
"""Longest wait of a tick for a busy warehouse: Dagster ends a tick after 60 s and marks it as failed."""

FIRST_PAUSE = timedelta(seconds=30)
"""Pause before the second attempt at a need, doubled before each further one."""

REQUEST_ATTEMPTS = 3
"""Runs that a sensor requests for a need before it stops."""


@dataclass(frozen=True)
class RunNeed:
    """One run that a slate needs."""

    name: str  # identifies the need; attempts are counted by it
    job: str
    slate: str
    partition_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    run_config: Mapping[str, Any] | None = None
    attempts: int = REQUEST_ATTEMPTS  # the most runs to request

    def run_request(self, run_key: str, tags: Mapping[str, str]) -> dg.RunRequest:
        return dg.RunRequest(
            run_key=run_key,
            job_name=self.job,
            partition_key=self.partition_key,
            run_config=self.run_config,
            tags={SLATE_TAG: self.slate, **self.tags, **tags},
        )


@dataclass(frozen=True)
class Skipped:
    """Why no run is requested."""

    reason: str
    # all attempts failed; an operator, or the gap sensor, has to start the next run
    is_exhausted: bool = False
    problem: PredictionAssetsError | None = None  # the error that kept the sensor from reading a slate


@dataclass(frozen=True)
class Gap:
    """Something that should be there and isn't."""

    name: str  # identifies the gap; attempts are counted by it
    slate: str
    # the jobs whose runs for the slate must end before the next attempt, and be followed by a pause
    jobs: tuple[str, ...]
    needs: Sequence[RunNeed]  # the runs that may close it


def impatient(warehouse: Warehouse) -> Warehouse:
    """Return the warehouse for use in a tick: it raises TransientError when it stays busy for five seconds."""
    return warehouse.waiting_at_most(WAREHOUSE_WAIT_SECONDS)


def request(instance: DagsterInstance, need: RunNeed, now: datetime) -> dg.RunRequest | Skipped:
    """Return the request of a needed run, or why it is not requested now."""
    records = instance.get_run_records(RunsFilter(tags={REQUEST_TAG: need.name}))
    runs = [record.dagster_run for record in records]
    if any(is_pending(instance, run, now) for run in runs):
        return Skipped(f"{need.name}: a run is in progress")
    tried = sum(run.parent_run_id is None for run in runs)
    if tried >= need.attempts:
        return Skipped(
            f"{need.name}: {tried} runs didn't settle it; open the last one ({runs[0].run_id}), fix the cause "
            "and materialize by hand",
            is_exhausted=True,
        )
    if tried and is_recent(last_update(records), now, FIRST_PAUSE * 2 ** (tried - 1)):
        return Skipped(f"{need.name}: the last run failed a moment ago, the next attempt waits")
    return need.run_request(f"{need.name}:{tried}", {REQUEST_TAG: need.name})


def last_update(records: Sequence[dg.RunRecord]) -> datetime:
    return max(record.update_timestamp.replace(tzinfo=UTC) for record in records)


def slate_by_slate(
    slates: Iterable[str], find: Callable[[str], Iterable[_Found]]
) -> Iterator[_Found | Skipped]:
    """Yield what is found for each slate; an error about one slate doesn't stop the others.

    Raises:
        TransientError: a store is busy, which concerns every slate.
    """
    for slate in slates:
        try:
            yield from find(slate)
        except TransientError:
            raise
        except PredictionAssetsError as error:
            yield Skipped(f"{slate}: {error}", problem=error)


def sensor_result(outcomes: Iterable[dg.RunRequest | Skipped]) -> dg.SensorResult:
    """Return the requests, or the reasons when there are none.

    Raises:
        PredictionAssetsError: a slate couldn't be read, and no run is requested. The failed tick is an alert.
    """
    listed = list(outcomes)
    requests = [outcome for outcome in listed if isinstance(outcome, dg.RunRequest)]
    skipped = [outcome for outcome in listed if isinstance(outcome, Skipped)]
    problems = [each for each in skipped if each.problem is not None]
    if requests:
        # A failed tick requests no runs: the error is logged now, and raised by the next tick without requests.
        for each in problems:
            _logger.error("%s", each.reason)
        return dg.SensorResult(run_requests=requests)
    if len(problems) == 1 and problems[0].problem is not None:
        raise problems[0].problem
    if problems:
        raise PredictionAssetsError("; ".join(each.reason for each in problems))
    return dg.SensorResult(skip_reason="; ".join(each.reason for each in skipped) or "no slate needs it")

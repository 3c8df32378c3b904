"""Made-up events, and what a process of its own does with a storage."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationPlanned,
)
from dagster._core.events import (
    AssetMaterializationPlannedData,
    AssetObservationData,
    StepMaterializationData,
)

from prediction_assets.orchestration.event_storage import PooledSqliteEventLogStorage

ASSET = dg.AssetKey("staged")
CHECK = "not_empty"


def said(run_id: str, text: str, timestamp: float = 1_700_000_000.0) -> dg.EventLogEntry:
    """Return a line that a run logged."""
    return dg.EventLogEntry(
        error_info=None, level=20, user_message=text, run_id=run_id, timestamp=timestamp, job_name="job"
    )


def happened(run_id: str, event: dg.DagsterEvent, timestamp: float = 1_700_000_000.0) -> dg.EventLogEntry:
    """Return an event of Dagster's as an entry."""
    return dg.EventLogEntry(
        error_info=None,
        level=10,
        user_message="",
        run_id=run_id,
        timestamp=timestamp,
        step_key=event.step_key,
        job_name="job",
        dagster_event=event,
    )


def materialized(run_id: str, partition: str, asset: dg.AssetKey = ASSET) -> dg.EventLogEntry:
    """Return a materialization of one partition."""
    return happened(
        run_id,
        dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name="job",
            step_key="step",
            event_specific_data=StepMaterializationData(
                dg.AssetMaterialization(
                    asset,
                    partition=partition,
                    metadata={"rows": 25},
                    tags={"dagster/data_version": f"version of {partition}"},
                )
            ),
        ),
    )


def materialization_planned(run_id: str, partition: str) -> dg.EventLogEntry:
    """Return the plan to materialize one partition."""
    return happened(
        run_id,
        dg.DagsterEvent.build_asset_materialization_planned_event(
            "job", "step", AssetMaterializationPlannedData(ASSET, partition=partition)
        ),
    )


def observed(run_id: str, partition: str) -> dg.EventLogEntry:
    """Return an observation of one partition."""
    return happened(
        run_id,
        dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_OBSERVATION.value,
            job_name="job",
            step_key="step",
            event_specific_data=AssetObservationData(dg.AssetObservation(ASSET, partition=partition)),
        ),
    )


def check_planned(run_id: str) -> dg.EventLogEntry:
    """Return the plan to evaluate a check."""
    return happened(
        run_id,
        dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
            job_name="job",
            step_key="step",
            event_specific_data=AssetCheckEvaluationPlanned(asset_key=ASSET, check_name=CHECK),
        ),
    )


def check_evaluated(run_id: str, *, passed: bool) -> dg.EventLogEntry:
    """Return a check's evaluation."""
    return happened(
        run_id,
        dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name="job",
            step_key="step",
            event_specific_data=AssetCheckEvaluation(
                asset_key=ASSET, check_name=CHECK, passed=passed, metadata={}
            ),
        ),
    )


def run_started(run_id: str) -> dg.EventLogEntry:
    """Return a run's start."""
    return happened(
        run_id, dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name="job")
    )


def texts(storage: PooledSqliteEventLogStorage, run_id: str) -> list[str]:
    """Return what a run logged, in order."""
    return [entry.user_message for entry in storage.get_logs_for_run(run_id)]


def partitions(records: Iterable[dg.EventLogRecord]) -> list[str | None]:
    """Return the partitions of materializations, in their order."""
    return [record.partition_key for record in records]


@contextmanager
def storage_in(folder: Path, **config: object):
    """Open the pooled storage on a folder, on its own."""
    storage = PooledSqliteEventLogStorage(str(folder), **config)
    try:
        yield storage
    finally:
        storage.dispose()


def main(arguments: Sequence[str]) -> None:
    """Store events from a process of its own, saying each number once it is stored.

    Arguments: the folder, the run, the first number and how many (0: until killed).
    """
    folder, run_id, first, count = arguments
    with storage_in(Path(folder)) as storage:
        number, last = int(first), int(first) + int(count)
        while number < last or int(count) == 0:
            storage.store_event(said(run_id, str(number)))
            storage.store_event(materialized(run_id, str(number)))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            number += 1


if __name__ == "__main__":
    main(sys.argv[1:])

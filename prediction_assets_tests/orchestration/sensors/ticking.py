"""Tick a sensor as the daemon does, and leave runs as a failing step, a killed worker or the daemon leaves them."""

from __future__ import annotations

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.storage.tags import (
    AUTO_RETRY_RUN_ID_TAG,
    PARENT_RUN_ID_TAG,
    RETRY_NUMBER_TAG,
    ROOT_RUN_ID_TAG,
)

from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.steps import failpoints


def tick(run: SlateRun, name: str, cursor: str | None = None) -> dg.SensorResult:
    """Evaluate a sensor once and return what it decided."""
    repository = run._defs.get_repository_def()
    sensor = repository.get_sensor_def(name)
    needed = {key: run._defs.resources[key] for key in sensor.required_resource_keys}
    context = dg.build_sensor_context(
        instance=run._instance, cursor=cursor, repository_def=repository, resources=needed
    )
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def requested(result: dg.SensorResult) -> list[dg.RunRequest]:
    """Return the runs that a tick requested."""
    return list(result.run_requests or [])


def leave_run(run: SlateRun, request: dg.RunRequest) -> str:
    """Leave the record of a run that a request led to, not started yet, and return its id."""
    job = run._defs.resolve_job_def(request.job_name or "consolidation")
    return run._instance.create_run_for_job(job_def=job, tags=dict(request.tags)).run_id


def open_without_features(run: SlateRun, slate: str) -> None:
    """Leave a slate as a roster run leaves it that stopped before it pinned the features."""

    def stop(name: str) -> None:
        if name == "features_written":
            raise OSError(5, "injected")

    failpoints.install(stop)
    try:
        done = run._defs.resolve_job_def("roster").execute_in_process(
            run_config={"ops": {"slate_roster": {"config": {"slate": slate}}}},
            instance=run._instance,
            raise_on_error=False,
        )
    finally:
        failpoints.install(failpoints._go_on)
    assert not done.success


def fail(run: SlateRun, run_id: str) -> None:
    """Leave a run as an error in one of its steps leaves it."""
    data = JobFailureData(error=None, failure_reason=RunFailureReason.STEP_FAILURE)
    run._instance.report_run_failed(run._instance.get_run_by_id(run_id), job_failure_data=data)


def kill(run: SlateRun, run_id: str) -> None:
    """Leave a run as the code server leaves it when the run's process is gone."""
    run._instance.report_run_failed(run._instance.get_run_by_id(run_id))


def retry(run: SlateRun, run_id: str) -> str:
    """Leave the retry of a killed run as Dagster's daemon creates it, and return its id."""
    killed = run._instance.get_run_by_id(run_id)
    root = killed.root_run_id or run_id
    family = {PARENT_RUN_ID_TAG: run_id, ROOT_RUN_ID_TAG: root, RETRY_NUMBER_TAG: "1"}
    retried = run._instance.create_run_for_job(
        job_def=run._defs.resolve_job_def(killed.job_name),
        tags={**killed.tags, **family},
        parent_run_id=run_id,
        root_run_id=root,
    )
    run._instance.add_run_tags(run_id, {AUTO_RETRY_RUN_ID_TAG: retried.run_id})
    return retried.run_id

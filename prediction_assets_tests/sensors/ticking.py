"""Tick a sensor as the daemon does, on a real instance."""

from __future__ import annotations

import dagster as dg

from prediction_assets.slate_run import SlateRun


def tick(run: SlateRun, name: str, cursor: str | None = None) -> dg.SensorResult:
    """Evaluate a sensor once and return what it decided."""
    repository = run._defs.get_repository_def()
    context = dg.build_sensor_context(
        instance=run._instance, cursor=cursor, repository_def=repository, resources=run._resources
    )
    result = repository.get_sensor_def(name)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def requested(result: dg.SensorResult) -> list[dg.RunRequest]:
    """Return the runs that a tick asked for."""
    return list(result.run_requests or [])

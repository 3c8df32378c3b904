"""A deployment merges one slate at a time: BigQuery cancels transactions that change one table at once."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import yaml
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from prediction_assets.orchestration.build import build_defs
from prediction_assets.settings import load_settings

DEPLOYED = Path(__file__).parents[2] / "deploy" / "dagster.yaml"
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("prediction_assets"), "__repository__"),
    "consolidation",
)
FIRST = "2025-12-31"
SLATES = [f"2026-01-0{day}" for day in range(1, 7)]


def test_of_six_consolidations_that_are_requested_at_once_each_starts_when_the_one_before_has_ended(tmp_path):
    config = yaml.safe_load(DEPLOYED.read_text("utf-8"))
    kept = {name: config[name] for name in ("concurrency", "run_coordinator", "telemetry")}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(kept))
    job = build_defs(load_settings(home=tmp_path / "home")).resolve_job_def("consolidation")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:

        def at(run: dg.DagsterRun, event: dg.DagsterEventType) -> None:
            instance.report_dagster_event(dg.DagsterEvent(event.value, job.name), run.run_id)

        def due() -> list[dg.DagsterRun]:
            daemon = QueuedRunCoordinatorDaemon(1)
            return list(daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None))

        def request(slate: str) -> None:
            instance.create_run_for_job(
                job,
                tags={"dagster/partition": slate},
                status=dg.DagsterRunStatus.QUEUED,
                remote_job_origin=ORIGIN,
            )

        def carry_on() -> list[str]:
            """Run what is due until nothing is, and return the slates in the order of their turns."""
            done = []
            while found := due():
                (run,) = found
                at(run, dg.DagsterEventType.RUN_START)
                assert due() == []
                at(run, dg.DagsterEventType.RUN_SUCCESS)
                done.append(run.tags["dagster/partition"])
            return done

        # Dagster learns of a pool when its first run is due; that very run isn't limited yet.
        request(FIRST)
        assert carry_on() == [FIRST]
        for slate in SLATES:
            request(slate)
        assert carry_on() == SLATES

"""A code location in one file with its code server, whose jobs are launched as the daemon launches them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget


@dataclass(frozen=True)
class CodeLocation:
    """A served code location and the instance that its runs are recorded in."""

    instance: dg.DagsterInstance
    context: WorkspaceProcessContext

    def launch(self, job_name: str) -> str:
        """Record a run of a job, hand it to the instance's run launcher, and return its id."""
        workspace = self.context.create_request_context()
        repository = workspace.get_code_location("code").get_repository("__repository__")
        job = repository.get_full_job(job_name)
        run = create_run_for_test(
            self.instance,
            job_name=job.name,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
            asset_graph=repository.asset_graph,
        )
        self.instance.launch_run(run.run_id, workspace)
        return run.run_id

    def run(self, run_id: str) -> dg.DagsterRun:
        """Return a run as it is recorded now."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run


@contextmanager
def serving(home: Path, code: Path) -> Iterator[CodeLocation]:
    """Serve a file's definitions to the instance of a folder that has a ``dagster.yaml``."""
    target = PythonFileTarget(str(code), None, str(code.parent), "code")
    with (
        dg.DagsterInstance.from_config(str(home)) as instance,
        WorkspaceProcessContext(instance, target) as context,
    ):
        yield CodeLocation(instance, context)

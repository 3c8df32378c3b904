"""The run launcher of ``deploy/dagster.yaml``: run monitoring notices within minutes that a run's worker is gone.

Dagster's default launcher starts a run as a process of the code server and can't check it afterwards. When the code
server is killed with its workers, their runs keep their places in the queue until ``max_runtime_seconds``. On
Kubernetes, the launcher of ``dagster-k8s`` checks pods instead.
https://docs.dagster.io/deployment/execution/run-monitoring
"""

from __future__ import annotations

import dagster as dg

# A launcher is an extension point of dagster.yaml, but its base class and the code server's API are not exported.
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, with a check of a run's worker for run monitoring."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may call :meth:`check_run_worker_health`."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the code server that started a run still has its worker.

        When the code server doesn't answer, the worker may still be there: it counts as running, and run monitoring
        checks it again later. Run monitoring fails a run whose worker isn't running.
        """
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # the run has finished, or another launcher started it
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its code server isn't known")
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=10)
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its code server doesn't answer")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, "its code server was restarted and has no worker for it"
        )

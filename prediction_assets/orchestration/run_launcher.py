"""Runs as processes beside their code server, watched: a run whose worker is gone is noticed within minutes.

Dagster's default launcher starts a run in the code server and can't say afterwards whether it is still there. A code
server that is killed together with its workers then leaves runs that hold their places in the queue until
``max_runtime_seconds``. What ``deploy/dagster.yaml`` names as ``run_launcher``; on Kubernetes the launcher of
``dagster-k8s`` does the same with pods. https://docs.dagster.io/deployment/execution/run-monitoring
"""

from __future__ import annotations

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, which run monitoring can ask after a run's worker."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask :meth:`check_run_worker_health`."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the code server that started a run still has its worker.

        A code server that doesn't answer is no sign that the worker is gone: it counts as running, and is asked
        again. Run monitoring fails whatever is neither running nor done.
        """
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # finished by now, or launched by something else
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

"""A run launcher for one machine: a run's worker is forked from a process that has imported the code already.

A stock run starts a Python process that imports Dagster, the definitions and their libraries: seconds of processor
time for each run. Select it in ``dagster.yaml``; no code location needs to know it:

.. code-block:: yaml

    run_launcher:
      module: prediction_assets.orchestration.warm_launcher
      class: WarmRunLauncher
      config:
        preload: [duckdb, numpy]    # modules that your assets import when they run

Each run is still a process of its own, started by the daemon's machine with the daemon's environment. It can be
killed, cancelled, monitored and retried. A new code server (a reload) gets a new warm process. Where a fork isn't
possible, the run starts as Dagster's default launcher starts it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import dagster as dg
from dagster import _check as check

# A launcher is an extension point of dagster.yaml, but its base classes and the types of its calls are not exported.
from dagster._config import UserConfigSchema
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, serialize_value

from prediction_assets.orchestration import warm_process
from prediction_assets.orchestration.run_launcher import WatchedRunLauncher

_log = logging.getLogger(__name__)

SOCKET_TAG = ".dagster/warm_socket"
"""Hidden tag of a run: the socket of the process that its worker was forked from."""

_PATIENCE_SECONDS = 10.0
"""An answer comes within milliseconds, or the process is stopped."""


NO_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""NumPy's OpenBLAS and PyArrow's jemalloc would start threads when they are imported; a fork copies none."""


@dataclass(frozen=True)
class _Warm:
    server_id: str
    socket: Path
    process: subprocess.Popen[bytes]

    @property
    def input(self) -> IO[bytes]:
        return check.not_none(self.process.stdin)

    def retire(self) -> None:
        """Let it end after its workers; it removes its folder, unless it was killed."""
        with suppress(OSError):
            self.input.close()
        if self.process.poll() is not None:
            shutil.rmtree(self.socket.parent, ignore_errors=True)


class WarmRunLauncher(WatchedRunLauncher):
    """Forks each run's worker from a process that has imported the code location.

    Args:
        inst_data: from ``dagster.yaml``.
        preload: modules to import before the first fork, beside the code location's own.
        preload_seconds: how long the first run waits for that; later it starts as a stock run.
    """

    def __init__(
        self,
        inst_data: ConfigurableClassData | None = None,
        *,
        preload: Sequence[str],
        preload_seconds: float,
    ) -> None:
        super().__init__(inst_data)
        self._preload = list(preload)
        self._preload_seconds = preload_seconds
        self._warm: dict[str, _Warm] = {}
        self._lock = threading.Lock()

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {
            "preload": dg.Field([str], is_required=False, default_value=[]),
            "preload_seconds": dg.Field(float, is_required=False, default_value=60.0),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Fork a run's worker, or start it as a stock run where no warm process can be had.

        Raises:
            DagsterLaunchFailedError: the warm process took the request and didn't answer. A worker of it that comes
                late finds its run failed, and does nothing.
        """
        warm = self._warm_process(context)
        if warm is None:
            super().launch_run(context)
            return
        run = context.dagster_run
        self._instance.add_run_tags(run.run_id, {SOCKET_TAG: str(warm.socket)})
        arguments = ExecuteRunArgs(
            job_origin=_origin(context),
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        try:
            answer = _ask(warm.socket, {"run": run.run_id, "arguments": serialize_value(arguments)})
        except ConnectionRefusedError:
            answer = {"refused": "it was killed"}
        except (OSError, ValueError) as error:
            self._forget(warm)
            why = f"the warm process {warm.process.pid} doesn't answer: {error}"
            raise DagsterLaunchFailedError(why) from error  # type: ignore[no-untyped-call]
        if "refused" in answer:
            self._forget(warm)
            self._instance.add_run_tags(run.run_id, {SOCKET_TAG: ""})
            self._instance.report_engine_event(
                f"Not forked from the warm process {warm.process.pid}: {answer['refused']}. Started as a stock run.",
                run,
            )
            super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run's worker; False if it has ended or isn't known."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or not run.tags.get(SOCKET_TAG):
            return super().terminate(run_id)  # type: ignore[no-untyped-call,no-any-return]
        self._instance.report_run_canceling(run)
        try:
            return bool(_ask(Path(run.tags[SOCKET_TAG]), {"cancel": run_id})["cancelled"])
        except (OSError, ValueError):
            return False

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether a run's worker is alive; a warm process that doesn't answer in time counts as running."""
        path = run.tags.get(SOCKET_TAG)
        if not path:
            return super().check_run_worker_health(run)
        try:
            answer = _ask(Path(path), {"check": run.run_id})
        except (ConnectionRefusedError, FileNotFoundError):
            return CheckRunHealthResult(
                WorkerStatus.NOT_FOUND, "its warm process has ended, and its workers with it"
            )
        except (OSError, ValueError):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its warm process doesn't answer")
        if answer["state"] == "running":
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if answer["exit_code"] == 0:
            return CheckRunHealthResult(WorkerStatus.SUCCESS)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its worker ended with {answer['exit_code']}")

    def dispose(self) -> None:
        """Let the warm processes end after their workers."""
        with self._lock:
            for warm in self._warm.values():
                warm.retire()
            self._warm.clear()

    def _warm_process(self, context: LaunchRunContext) -> _Warm | None:
        """Return a ready process of the run's code server, started if need be; None if there can be none."""
        if (
            sys.platform != "linux"
            or context.workspace is None
            or context.dagster_run.remote_job_origin is None
        ):
            return None
        name = context.dagster_run.remote_job_origin.repository_origin.code_location_origin.location_name
        location = context.workspace.get_code_location(name)
        if not isinstance(location, GrpcServerCodeLocation) or not _is_here(location):
            return None
        with self._lock:
            warm = self._warm.get(name)
            if warm is not None and (warm.server_id != location.server_id or warm.process.poll() is not None):
                warm.retire()
                warm = None
            if warm is None:
                warm = self._warm[name] = self._start(location.server_id, _origin(context))
        deadline = time.monotonic() + self._preload_seconds
        while not warm.socket.exists():
            if warm.process.poll() is not None or time.monotonic() > deadline:
                _log.warning(
                    "the warm process %s of %s %s; the run starts as a stock run",
                    warm.process.pid,
                    name,
                    "is still importing"
                    if warm.process.poll() is None
                    else f"ended with {warm.process.poll()}",
                )
                return None
            time.sleep(0.02)
        return warm

    def _start(self, server_id: str, origin: JobPythonOrigin) -> _Warm:
        path = Path(tempfile.mkdtemp(prefix="warm-")) / "socket"  # only its owner may enter the folder
        process = subprocess.Popen(  # noqa: S603  the interpreter and module are constants
            [origin.executable_path or sys.executable, "-m", warm_process.__name__, str(path)],
            stdin=subprocess.PIPE,
            env={**NO_THREADS, **os.environ},
        )
        asked = {"origin": serialize_value(origin), "modules": self._preload}
        warm = _Warm(server_id, path, process)
        with suppress(BrokenPipeError):
            warm.input.write(json.dumps(asked).encode() + b"\n")
            warm.input.flush()
        return warm

    def _forget(self, warm: _Warm) -> None:
        with self._lock:
            warm.retire()
            for name in [name for name, known in self._warm.items() if known is warm]:
                del self._warm[name]


def _origin(context: LaunchRunContext) -> JobPythonOrigin:
    return check.not_none(context.job_code_origin)


def _is_here(location: GrpcServerCodeLocation) -> bool:
    """Return whether a code server runs on this machine and with this process's user: it may have other code."""
    return location.socket is not None or location.host in ("localhost", "127.0.0.1")


def _ask(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of a warm process.

    Raises:
        ConnectionRefusedError, FileNotFoundError: the process has ended.
        OSError, ValueError: it doesn't answer, or not with a whole line.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        connection.connect(os.fspath(path))
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as lines:
            answer: dict[str, Any] = json.loads(lines.readline())
    return answer

"""A process that has imported a code location and forks a worker for each run: ``python -m ...warm_process SOCKET``.

:class:`~prediction_assets.orchestration.warm_launcher.WarmRunLauncher` starts it. It opens no instance, no connection
and no thread, so that a fork of it starts clean. It takes one request per connection: a line of JSON, answered by one.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import logging
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

REQUEST_SECONDS = 10.0
"""A client has this long to send its line."""

_PR_SET_PDEATHSIG = 1
"""From ``<linux/prctl.h>``: the signal that a process gets when its parent ends."""

_KEPT = 1000
"""Ended runs whose exit code is kept."""

_OF_A_RUN = (
    "dagster._cli.api",
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.migration",
    "dagster._core.storage.root",
    "dagster._core.system_config.composite_descent",
    "upath.implementations.local",
    "watchdog.observers.polling",
)
"""What Dagster imports only when a run starts."""


class Workers:
    """The runs that were forked from this process, and how they ended."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self._ended: dict[str, int] = {}

    def answer(self, request: Mapping[str, Any], to_close: tuple[socket.socket, ...]) -> dict[str, Any]:
        """Do what a request says and return the answer to it.

        Args:
            request: ``{"run": id, "arguments": ...}`` forks a worker, ``{"check": id}`` says how a run is,
                ``{"cancel": id}`` interrupts it.
            to_close: the sockets of this process, which a worker doesn't keep.
        """
        if "run" in request:
            run_id = request["run"]
            if run_id not in self.running and run_id not in self._ended:
                if why := why_not_fork():
                    return {"refused": why}
                self.running[run_id] = _fork(request["arguments"], to_close)
            return {"pid": self.running.get(run_id)}
        if "check" in request:
            run_id = request["check"]
            state = "running" if run_id in self.running else "ended" if run_id in self._ended else "unknown"
            return {"state": state, "exit_code": self._ended.get(run_id)}
        pid = self.running.get(request["cancel"])
        if pid is not None:
            os.kill(pid, signal.SIGINT)
        return {"cancelled": pid is not None}

    def reap(self) -> None:
        for run_id, pid in list(self.running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self.running[run_id]
                self._ended[run_id] = os.waitstatus_to_exitcode(status)
        while len(self._ended) > _KEPT:
            del self._ended[next(iter(self._ended))]


def why_not_fork() -> str | None:
    """Return why a fork of this process would not start clean; None if it would."""
    if threading.active_count() > 1:
        return f"threads: {', '.join(sorted(thread.name for thread in threading.enumerate()))}"
    tasks = len(list(Path("/proc/self/task").iterdir()))  # also those that a C library started
    return f"{tasks} threads of libraries" if tasks > 1 else None


def _fork(arguments: str, to_close: tuple[socket.socket, ...]) -> int:
    parent = os.getpid()
    # Pages that nobody writes stay shared between the workers.
    gc.collect()
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        _work(parent, arguments, to_close)
    return pid


def _work(parent: int, arguments: str, to_close: tuple[socket.socket, ...]) -> NoReturn:
    """Execute one run as ``dagster api execute_run`` does, and end this process."""
    code = 1
    try:
        # Without its parent nobody could say any more whether a worker is alive.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for each in to_close:
            each.close()
        from dagster._cli.api import api_cli

        code = api_cli.main(["execute_run", arguments], standalone_mode=False) or 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        logging.getLogger(__name__).exception("a run's worker ended with an error")
    finally:
        logging.shutdown()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit: the rest of this stack belongs to the parent.
        os._exit(code)


def preload(origin: str, modules: list[str]) -> None:
    """Import a code location, what a run's worker imports, and further modules."""
    from dagster._core.origin import JobPythonOrigin
    from dagster._serdes import deserialize_value
    from dagster._utils.hosted_user_process import recon_repository_from_origin

    repository = deserialize_value(origin, JobPythonOrigin).repository_origin
    recon_repository_from_origin(repository).get_definition().get_all_jobs()
    for name in [*_OF_A_RUN, *modules]:
        importlib.import_module(name)


def serve(listener: socket.socket) -> None:
    """Answer requests until the standard input ends, then wait for the workers.

    The launcher holds the other end of the standard input: it ends with the launcher's process.
    """
    workers = Workers()
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    # Ctrl-C in a terminal reaches the workers by themselves, and this process ends with its launcher.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with selectors.DefaultSelector() as ready:
        ready.register(listener, selectors.EVENT_READ)
        ready.register(woken, selectors.EVENT_READ)
        ready.register(sys.stdin, selectors.EVENT_READ)
        is_wanted = True
        while is_wanted or workers.running:
            for key, _ in ready.select():
                if key.fileobj is listener:
                    connection, _address = listener.accept()
                    with connection:
                        _converse(connection, workers, (listener, connection, woken, waker))
                elif key.fileobj is woken:
                    with suppress(BlockingIOError):
                        woken.recv(4096)
                elif not os.read(sys.stdin.fileno(), 4096):
                    is_wanted = False
                    ready.unregister(sys.stdin)
            workers.reap()


def _converse(connection: socket.socket, workers: Workers, to_close: tuple[socket.socket, ...]) -> None:
    connection.settimeout(REQUEST_SECONDS)
    # A client that went away, or sent no whole line, gets no answer.
    with suppress(OSError, ValueError):
        with connection.makefile("rb") as lines:
            request = json.loads(lines.readline())
        workers.reap()
        connection.sendall(json.dumps(workers.answer(request, to_close)).encode() + b"\n")


def main() -> None:
    """Preload, listen, and serve. The standard input's first line is JSON with ``origin`` and ``modules``."""
    path = Path(sys.argv[1])
    first = b""
    while not first.endswith(b"\n"):
        read = os.read(sys.stdin.fileno(), 65_536)
        if not read:
            return
        first += read
    asked = json.loads(first)
    preload(asked["origin"], asked["modules"])
    with socket.socket(socket.AF_UNIX) as listener:
        # It appears under its name once it answers.
        starting = path.with_name("starting")
        listener.bind(str(starting))
        listener.listen(64)
        starting.rename(path)
        try:
            serve(listener)
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()


if __name__ == "__main__":
    main()

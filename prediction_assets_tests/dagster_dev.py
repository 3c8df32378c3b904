"""A Dagster UI with its daemon, code server and run workers, started for a test and stopped with all of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from prediction_assets_tests.emulators import free_port

_START_SECONDS = 600.0
_STOP_SECONDS = 120.0
_PATIENCE_SECONDS = 900

PREDICTION_ASSETS_DEV = (sys.executable, "-m", "prediction_assets.cli", "dev", "--port")
"""`prediction-assets dev`, but for its port."""

LOADED = """{ workspaceOrError { ... on Workspace { locationEntries {
    loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } } }"""


@contextmanager
def dev_server(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str], folder: Path | None = None
) -> Iterator[str]:
    """Run a command that serves a Dagster UI, and yield the address once its code location is loaded.

    Nothing of it outlives the block: it is asked to stop as Ctrl-C asks, then made to.

    Args:
        command: the command line up to the port, which is added.
        log: where its output goes.
        environment: the whole environment of the processes.
        folder: where it is started; the current folder when not given.

    Raises:
        AssertionError: it ended, or didn't answer in time, or its code location can't be loaded, or it had to be
            killed.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=dict(environment),
            cwd=folder,
        )
        try:
            await_location(server, address, log)
            yield address
        finally:
            stopped = _stop(server)
        assert stopped, f"{server.args} didn't stop within {_STOP_SECONDS:g} s: {_tail(log)}"


def until(condition: Callable[[], bool], what: str, log: Path, look_every: float = 0.5) -> None:
    """Wait for a condition while processes work; fail with the end of their log when it doesn't come true."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {_PATIENCE_SECONDS} s; the log ends with:\n{_tail(log)}")
        pause.wait(look_every)


class QueryFailed(Exception):
    """The webserver's answer to a query has errors."""


def graphql(address: str, query: str, variables: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Return the data that a Dagster webserver answers with.

    Raises:
        OSError: it doesn't answer.
        QueryFailed: it answers with errors.
    """
    body = json.dumps({"query": query, "variables": variables or {}}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/graphql", body, headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
    if "errors" in answer:
        raise QueryFailed(str(answer["errors"]))
    data: dict[str, Any] = answer["data"]
    return data


def await_location(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Wait until a UI answers and has loaded its code location.

    Raises:
        AssertionError: it ended, or didn't answer in time, or its code location can't be loaded.
    """
    deadline, pause = time.monotonic() + _START_SECONDS, threading.Event()
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise AssertionError(f"{server.args} ended with {server.returncode}: {_tail(log)}")
        entries: list[dict[str, Any]] = []
        with suppress(urllib.error.URLError, OSError):
            entries = graphql(address, LOADED)["workspaceOrError"].get("locationEntries", [])
        if entries and all(entry["loadStatus"] == "LOADED" for entry in entries):
            failed = [e for e in entries if e["locationOrLoadError"]["__typename"] == "PythonError"]
            assert not failed, failed
            return
        pause.wait(0.2)
    raise AssertionError(f"{server.args} loaded nothing within {_START_SECONDS:g} s: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text("utf-8", errors="replace")[-3000:]


def processes_of(home: Path) -> list[int]:
    """Return the processes that were given this home in their environment, whoever started them."""
    wanted = f"PREDICTION_ASSETS_HOME={home}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return [pid for pid in found if pid != os.getpid()]


def _stop(server: subprocess.Popen[bytes]) -> bool:
    """Interrupt a server as a terminal does, then kill its session; return whether it ended by itself."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGINT)
    try:
        server.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    else:
        return True
    finally:
        for pid in _session(server.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.wait()


def _session(leader: int) -> list[int]:
    """Return the processes of a session, also those in groups of their own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
    return found

"""Run a server with all its children in a process group, and end the whole group on SIGINT, SIGTERM or SIGHUP.

It imports the standard library only: this process lives as long as the server, and stays small.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

STOP_SECONDS = 10.0
"""The group has this long to end by itself after a signal. SIGKILL ends what is left."""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def exec_server(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process, with all that it has imported, by one that serves a command."""
    os.execve(sys.executable, [sys.executable, "-P", __file__, *command], environment)  # noqa: S606  no shell


def serve(command: Sequence[str], environment: Mapping[str, str], stop_seconds: float = STOP_SECONDS) -> int:
    """Run a command until it ends or this process gets a stop signal; no process of its group is left then.

    Returns:
        0 after a stop signal, else the command's exit code.
    """
    group: int | None = None
    is_stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal is_stopping
        if not is_stopping and group is not None:
            _signal_group(group, signal.SIGINT)
            signal.setitimer(signal.ITIMER_REAL, stop_seconds)
        is_stopping = True

    def kill(_signal: int, _frame: FrameType | None) -> None:
        if group is not None:
            _signal_group(group, signal.SIGKILL)

    # A shell's background job ignores SIGINT; Dagster then ignores SIGTERM too, and its children inherit both. A signal
    # that has a handler here has its default effect in a child.
    for each in _STOP_SIGNALS:
        signal.signal(each, stop)
    signal.signal(signal.SIGALRM, kill)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_STOP_SIGNALS, signal.SIGALRM})
    # Its own group: a script's background job shares its group with the script.
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, process_group=0)  # noqa: S603
    group = process.pid
    if is_stopping:  # the signal came before the group was known
        is_stopping = False
        stop(signal.SIGINT, None)
    ended = process.wait()
    signal.setitimer(signal.ITIMER_REAL, 0)
    _end_group(group, stop_seconds)
    return 0 if is_stopping else ended


def _end_group(group: int, stop_seconds: float) -> None:
    """Wait for the rest of a group whose first process has ended, then kill it."""
    deadline = time.monotonic() + stop_seconds
    while time.monotonic() < deadline:
        if not _signal_group(group, 0):
            return
        time.sleep(0.1)
    _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Signal a group and return whether it still has a process."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:], os.environ))

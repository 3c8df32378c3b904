"""A process of our own that stops where a test wants it to, says so through a pipe, and goes on or is killed.

The child's code calls ``stop(name)``; the parent waits for that with :meth:`StoppedProcess.until` and answers
with :meth:`StoppedProcess.go_on` or :meth:`StoppedProcess.kill`. Nobody sleeps, nothing depends on speed.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 300.0

_PREAMBLE = """
import sys

def stop(name):
    print("at " + name, flush=True)
    if sys.stdin.readline() != "go on\\n":
        raise SystemExit("the test is over")

def say(what):
    print("says " + str(what), flush=True)

"""


class StoppedProcess:
    """A child that runs until it stops somewhere."""

    def __init__(self, code: str, *arguments: object, preexec: Callable[[], None] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PREAMBLE + code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            preexec_fn=preexec,
        )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def until(self, name: str) -> None:
        """Wait until the child stops there."""
        assert self._line() == f"at {name}"

    def said(self) -> str:
        """Return the next thing that the child says."""
        line = self._line()
        assert line.startswith("says "), line
        return line.removeprefix("says ")

    def go_on(self) -> None:
        """Let the child go on from where it stopped."""
        assert self._process.stdin is not None
        self._process.stdin.write("go on\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End the child with SIGKILL, where it stands."""
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(PATIENCE_SECONDS) == -signal.SIGKILL

    def ended(self, code: int = 0) -> None:
        """Wait for the child to end, well or with an exit code."""
        _, errors = self._process.communicate(timeout=PATIENCE_SECONDS)
        assert self._process.returncode == code, errors

    def close(self) -> None:
        """End the child, whatever it is doing."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with selectors.DefaultSelector() as selector:  # takes file descriptors of any number
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE_SECONDS), "the child neither stopped nor ended"
        line = self._process.stdout.readline().rstrip("\n")
        if not line:
            raise AssertionError(f"the child ended: {self._process.stderr.read()}")
        return line


@contextmanager
def running(
    code: str, *arguments: object, preexec: Callable[[], None] | None = None
) -> Iterator[StoppedProcess]:
    """Run a child for the length of a block; it calls ``preexec`` before its code."""
    child = StoppedProcess(code, *arguments, preexec=preexec)
    try:
        yield child
    finally:
        child.close()

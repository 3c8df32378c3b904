"""What `dev` serves with ends when it is told to, with all its children; ``long/`` stops a whole `dev`."""

from __future__ import annotations

import os
import signal

import pytest

from prediction_assets_tests.stopped import running

SERVING = """
import os
from prediction_assets.cli.process_group import serve
raise SystemExit(serve([sys.executable, "-c", sys.argv[1]], os.environ, stop_seconds=1))
"""
ENDS = "import signal; print('says ready', flush=True); signal.pause()"
IGNORES = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('says ready', flush=True); "
    "signal.pause()"
)
LEAVES_A_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IGNORES!r}])"


def ignore_interrupts() -> None:
    """Do what a shell does to its background job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("server", "stop"),
    [(ENDS, signal.SIGINT), (IGNORES, signal.SIGTERM), (ENDS, signal.SIGHUP)],
    ids=["SIGINT", "SIGTERM, ignored", "SIGHUP"],
)
def test_a_server_that_was_started_with_interrupts_ignored_ends_on_every_stop_signal(server, stop):
    with running(SERVING, server, preexec=ignore_interrupts) as child:
        assert child.said() == "ready"
        os.kill(child.pid, stop)
        child.ended()


def test_a_child_that_outlives_its_server_is_ended_too():
    with running(SERVING, LEAVES_A_CHILD) as child:
        assert child.said() == "ready"
        child.ended()  # the child's end closes the output


def test_a_server_s_exit_code_is_the_command_s():
    with running(SERVING, "raise SystemExit(3)") as child:
        child.ended(3)

"""`prediction-assets dev` ends when it is told to, with every process that it started, whatever it inherited."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from prediction_assets.cli.process_group import STOP_SECONDS
from prediction_assets_tests.dagster_dev import PREDICTION_ASSETS_DEV, await_location, processes_of
from prediction_assets_tests.emulators import free_port
from prediction_assets_tests.stopped import running

ENDING_SECONDS = 2 * STOP_SECONDS + 10  # its patience with its group, twice, and this machine's with it

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


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("server", [ENDS, IGNORES], ids=["ends by itself", "ignores it"])
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


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes through /proc")
def test_dev_that_was_started_with_interrupts_ignored_ends_on_sigterm_with_all_its_children(
    ingested_home, tmp_path
):
    home, log, port = tmp_path / "home", tmp_path / "dev.log", free_port()
    shutil.copytree(ingested_home, home)
    with log.open("wb") as output:
        dev = subprocess.Popen(
            [*PREDICTION_ASSETS_DEV, str(port)],
            env={**os.environ, "PREDICTION_ASSETS_HOME": str(home)},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=ignore_interrupts,
        )  # fmt: skip
    try:
        await_location(dev, f"http://127.0.0.1:{port}", log)
        assert len(processes_of(home)) > 3, "webserver, daemon and code server"
        dev.terminate()
        assert dev.wait(ENDING_SECONDS) == 0
        assert processes_of(home) == []
    finally:
        for pid in processes_of(home):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        dev.wait()

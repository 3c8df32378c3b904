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
from prediction_assets_tests.acceptance.test_dev_stopped import ignore_interrupts
from prediction_assets_tests.dagster_dev import PREDICTION_ASSETS_DEV, await_location, processes_of
from prediction_assets_tests.emulators import free_port

ENDING_SECONDS = 2 * STOP_SECONDS + 10  # its patience with its group, twice, and this machine's with it


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

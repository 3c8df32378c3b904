"""The whole of `prediction-assets dev` is killed in the middle of a slate, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets_tests.dagster_dev import processes_of, until
from prediction_assets_tests.emulators import free_port

EXPECTED = 60
SLATE = simulated_slate(EXPECTED).isoformat()


@contextmanager
def dev(home: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run webserver, daemon, code server and run workers; end with SIGKILL of all of them."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prediction_assets.cli", "dev", "--port", str(free_port())],
            env={
                **os.environ,
                "PREDICTION_ASSETS_HOME": str(home),
                "PREDICTION_ASSETS_SENSOR_INTERVAL_SECONDS": "2",
                "PREDICTION_ASSETS_STAGING_THREADS": "1",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        while left := processes_of(home):  # again for what one of them started in its last moment
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes through /proc")
def test_a_killed_dagster_dev_that_is_started_again_completes_the_slate_unaided(tmp_path):
    home, log = tmp_path / "home", tmp_path / "dev.log"
    settings = load_settings(home=home)
    with open_instance(settings) as instance:
        run = SlateRun(settings, instance)
        run.ingest(simulated_facts(EXPECTED))
        run.roster(SLATE)

        def is_in_the_middle() -> bool:
            progress = run.stores.batch_state.progress(SLATE)
            return bool(progress and progress.outcomes)

        def is_over() -> bool:
            return any(event.delivery_id is not None for event in run.stores.outbox.entries(SLATE))

        log.touch()
        with dev(home, log):
            until(is_in_the_middle, "players being staged", log, look_every=0.02)
        assert not is_over()
        assert processes_of(home) == []
        with dev(home, log):
            until(is_over, "an announced slate", log)
            until(
                lambda: not dict(run.stores.warehouse.parts.staged(SLATE)),
                "a staging area without parts",
                log,
            )
        (event,) = run.stores.outbox.entries(SLATE)
        assert (event.message["status"], event.message["rows"]) == ("success", EXPECTED * 25)
        assert len(list((home / "outbox").glob("*.json"))) == 1

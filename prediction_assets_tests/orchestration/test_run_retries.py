"""A run worker is killed under a real daemon: Dagster starts the run again, and nothing is doubled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets_tests.homes import PLAYERS, SIMULATED

ROWS = "SELECT player_id, system, line, content_hash, is_active FROM predictions.player_prop_predictions ORDER BY ALL"
PATIENCE_SECONDS = 900


def until(condition: Callable[[], bool], what: str, log: Path, look_every: float = 0.5) -> None:
    """Wait for a condition, at the most so long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(
                f"{what}: not within {PATIENCE_SECONDS} s; the daemon said:\n{log.read_text()[-4000:]}"
            )
        pause.wait(look_every)


@contextmanager
def daemon(home: Path, log: Path, **environment: str) -> Iterator[None]:
    """Run Dagster's daemon, which starts a code server and run workers, and end all of them."""
    command = [
        Path(sys.executable).with_name("dagster-daemon"),
        "run",
        "-m",
        "prediction_assets_tests.killed_location",
    ]
    variables = {
        **os.environ,
        "DAGSTER_HOME": str(home / "dagster"),
        "PREDICTION_ASSETS_HOME": str(home),
        "PREDICTION_ASSETS_SENSOR_INTERVAL_SECONDS": "2",
        **environment,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=variables, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("job", "point", "times"),
    [("staging", "events_stored", 1), ("consolidation", "merge_committed", 1)],
)
def test_a_killed_worker_s_run_is_retried_by_dagster_and_the_slate_is_announced_once(
    ingested_home, finished_home, tmp_path, job, point, times
):
    home, log, killed = tmp_path / "home", tmp_path / "daemon.log", tmp_path / "killed"
    shutil.copytree(ingested_home, home)
    with open_instance(load_settings(home=finished_home)) as other:
        undisturbed = (
            SlateRun(load_settings(home=finished_home), other).stores.warehouse.query(ROWS).to_pylist()
        )
    settings = load_settings(home=home)
    with open_instance(settings) as instance:
        run = SlateRun(settings, instance)
        run.roster(SIMULATED)

        def is_over() -> bool:
            runs, progress = instance.get_runs(), run.stores.batch_state.progress(SIMULATED)
            return (
                any(event.delivery_id is not None for event in run.stores.outbox.entries(SIMULATED))
                and any(each.parent_run_id for each in runs)
                and all(each.is_finished for each in runs)
                and next_step(progress, Clock().now()) is Step.NOTHING
            )

        with daemon(home, log, KILL_AT=f"{point}:{times}", KILLED=str(killed)):
            until(is_over, "an announced slate with a retried run", log)

        assert killed.exists()
        # A machine that starts a worker too slowly has other runs retried, too.
        retried = [each for each in instance.get_runs() if each.parent_run_id and each.job_name == job]
        assert [instance.get_run_by_id(each.parent_run_id).is_failure for each in retried].count(True) >= 1
        assert any(each.is_success for each in retried)
        assert run.stores.warehouse.query(ROWS).to_pylist() == undisturbed
        assert len(undisturbed) == PLAYERS * 25
        assert [event.message["revision"] for event in run.stores.outbox.entries(SIMULATED)] == [1]
        assert len(list((home / "outbox").glob("*.json"))) == 1
        assert run.stores.warehouse.parts.staged(SIMULATED) == {}

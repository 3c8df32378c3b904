"""Runs that are forked from a warm process end like stock runs; ``long/`` kills and pauses the warm process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus

from prediction_assets.orchestration import warm_process
from prediction_assets_tests.code_location import CodeLocation, serving

DEFINITIONS = """
import os, signal, sys, threading
from pathlib import Path
import dagster as dg

HERE = Path(__file__).parent

@dg.asset
def parent(context):
    (HERE / context.run_id).write_text(str(os.getppid()))

@dg.asset
def killed():
    os.kill(os.getpid(), signal.SIGKILL)

@dg.asset
def failing():
    raise ValueError("as asked")

@dg.asset
def waiting(context):
    (HERE / context.run_id).write_text(str(os.getpid()))
    threading.Event().wait(300)

names = ("parent", "killed", "failing", "waiting")
defs = dg.Definitions(
    assets=[parent, killed, failing, waiting],
    jobs=[dg.define_asset_job(f"{name}_job", [name]) for name in names],
    executor=dg.in_process_executor,
)
"""

INSTANCE = """
telemetry: {enabled: false}
run_launcher:
  module: prediction_assets.orchestration.warm_launcher
  class: WarmRunLauncher
  config: {preload: [decimal]}
"""


class Runs(CodeLocation):
    """A code location whose instance has the launcher."""

    @property
    def folder(self) -> Path:
        """Where its assets write."""
        return Path(self.instance.root_directory).parent

    def finished(self, run_id: str) -> dg.DagsterRunStatus:
        until(lambda: self.run(run_id).is_finished)
        return self.run(run_id).status

    def health(self, run_id: str) -> WorkerStatus:
        return self.instance.run_launcher.check_run_worker_health(self.run(run_id)).status

    def written(self, run_id: str) -> int:
        """Return the process id that an asset wrote."""
        path = self.folder / run_id
        until(lambda: path.exists() and path.read_text() != "")
        return int(path.read_text())

    @property
    def warm(self) -> Any:
        (warm,) = self.instance.run_launcher._warm.values()
        return warm


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it never came true")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("warm")
    (folder / "code.py").write_text(DEFINITIONS)
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(INSTANCE)
    with serving(home, folder / "code.py") as location:
        yield Runs(location.instance, location.context)


def test_runs_are_forked_from_one_process_and_end_like_stock_runs(runs):
    first, second, failing = runs.launch("parent_job"), runs.launch("parent_job"), runs.launch("failing_job")
    assert [runs.finished(run) for run in (first, second, failing)] == [
        dg.DagsterRunStatus.SUCCESS,
        dg.DagsterRunStatus.SUCCESS,
        dg.DagsterRunStatus.FAILURE,
    ]
    assert runs.written(first) == runs.written(second) == runs.warm.process.pid
    until(lambda: runs.health(first) == WorkerStatus.SUCCESS)
    until(lambda: runs.health(failing) == WorkerStatus.FAILED)


def test_run_monitoring_learns_of_a_killed_worker(runs):
    run = runs.launch("killed_job")
    until(lambda: runs.health(run) == WorkerStatus.FAILED)


def test_a_cancelled_run_is_interrupted(runs):
    run = runs.launch("waiting_job")
    runs.written(run)
    assert runs.health(run) == WorkerStatus.RUNNING
    assert runs.instance.run_launcher.terminate(run)
    assert runs.finished(run) == dg.DagsterRunStatus.CANCELED
    assert not runs.instance.run_launcher.terminate(run)


def test_a_process_with_a_second_thread_is_not_forked():
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="a-pool-of-connections")
    thread.start()
    try:
        assert "a-pool-of-connections" in str(warm_process.why_not_fork())
        answer = warm_process.Workers().answer({"run": "r", "arguments": "{}"}, ())
        assert "a-pool-of-connections" in answer["refused"]
    finally:
        release.set()
        thread.join()

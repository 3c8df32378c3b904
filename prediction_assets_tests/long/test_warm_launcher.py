"""The warm process that runs are forked from is killed, paused or replaced: the runs end as they should."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher import WorkerStatus

from prediction_assets.orchestration import warm_launcher
from prediction_assets.orchestration.warm_launcher import SOCKET_TAG
from prediction_assets_tests.orchestration.test_warm_launcher import runs, until

__all__ = ["runs"]  # a fixture


def test_workers_end_with_a_killed_warm_process_and_the_next_run_gets_another(runs):
    run = runs.launch("waiting_job")
    worker, killed = runs.written(run), runs.warm.process
    killed.kill()
    killed.wait()
    until(lambda: not is_alive(worker))
    assert runs.health(run) == WorkerStatus.NOT_FOUND
    following = runs.launch("parent_job")
    assert runs.finished(following) == dg.DagsterRunStatus.SUCCESS
    assert runs.written(following) == runs.warm.process.pid != killed.pid


def test_a_worker_that_a_paused_warm_process_forks_late_does_nothing(runs, monkeypatch):
    runs.finished(runs.launch("parent_job"))
    paused = runs.warm.process
    with stopped(paused.pid), monkeypatch.context() as patch:
        patch.setattr(warm_launcher, "_PATIENCE_SECONDS", 0.2)
        with pytest.raises(DagsterLaunchFailedError, match="doesn't answer"):
            runs.launch("waiting_job")
    (late,) = runs.instance.get_runs(limit=1)
    assert runs.finished(late.run_id) == dg.DagsterRunStatus.FAILURE
    assert paused.wait(60) == 0  # it was retired, and ends after its worker
    assert not (runs.folder / late.run_id).exists()
    following = runs.launch("parent_job")
    assert runs.finished(following) == dg.DagsterRunStatus.SUCCESS


def test_reloaded_code_gets_another_warm_process_and_the_old_one_ends_after_its_workers(runs):
    run = runs.launch("waiting_job")
    worker, old = runs.written(run), runs.warm.process
    runs.context.reload_code_location("code")
    following = runs.launch("parent_job")
    assert runs.finished(following) == dg.DagsterRunStatus.SUCCESS
    assert runs.written(following) == runs.warm.process.pid != old.pid
    assert is_alive(worker)
    assert runs.health(run) == WorkerStatus.RUNNING
    assert runs.instance.run_launcher.terminate(run)
    assert old.wait(60) == 0


def test_a_run_whose_warm_process_cannot_import_starts_as_a_stock_run(runs, monkeypatch, caplog):
    monkeypatch.setattr(runs.instance.run_launcher, "_preload", ["no.such.module"])
    runs.instance.run_launcher.dispose()
    run = runs.launch("parent_job")
    assert runs.finished(run) == dg.DagsterRunStatus.SUCCESS
    assert SOCKET_TAG not in runs.run(run).tags
    assert "ended with 1; the run starts as a stock run" in caplog.text


def is_alive(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)

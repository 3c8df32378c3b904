"""While another process holds DuckDB's lock: a sensor's tick ends within seconds, skipped and not failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.deadlines import Clock
from prediction_assets.stores.local.locks import locked
from prediction_assets_tests.homes import SIMULATED, OpenHome
from prediction_assets_tests.orchestration.sensors.ticking import requested, tick

HELD = "another process has held this lock for 0.1 s"


@pytest.fixture
def busy(open_home: OpenHome, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], SlateRun]:
    """Open a home whose steps wait a minute for the warehouse, and whose sensors wait a tenth of a second."""
    monkeypatch.setattr("prediction_assets.orchestration.sensors.requests.WAREHOUSE_WAIT_SECONDS", 0.1)
    return lambda home: open_home(home, call_timeout=60.0)


@contextmanager
def held(run: SlateRun) -> Iterator[None]:
    """Hold the lock as another process would, and see that nobody waits for it as long as a step does."""
    with locked(run._settings.home / "warehouse.lock", exclusive=True, timeout_seconds=5):
        began = time.monotonic()
        yield
        assert time.monotonic() - began < 55


@pytest.mark.parametrize("sensor", ["consolidation_sensor", "gap_sensor", "grading_sensor"])
def test_a_busy_warehouse_is_a_reason_to_skip_and_no_failure(busy, staged_home: Path, sensor: str):
    run = busy(staged_home)
    with held(run):
        result = tick(run, sensor)
    assert HELD in result.skip_reason.skip_message
    assert requested(result) == []


def test_the_slates_are_looked_at_while_the_warehouse_is_busy(busy, ingested_home: Path, monkeypatch):
    run = busy(ingested_home)
    after_the_rosters_hour = datetime.fromisoformat(f"{SIMULATED}T23:00:00+00:00")
    monkeypatch.setattr(Clock, "now", lambda _: after_the_rosters_hour)
    with held(run):
        assert "0 alerts open" in tick(run, "alerts_sensor").skip_reason.skip_message
    assert "1 alerts open" in tick(run, "alerts_sensor").skip_reason.skip_message

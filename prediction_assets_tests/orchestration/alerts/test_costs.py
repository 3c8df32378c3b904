"""What a look asks of the store of alerts: in Firestore each question is billed, and sensors look every minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.error import SerializableErrorInfo

from prediction_assets.monitoring.findings import Pages
from prediction_assets.orchestration.following import Cursor
from prediction_assets.orchestration.run_alerts import follow_runs, look_at_automation
from prediction_assets.stores.alert import Alert, Change
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets_tests.made_up import NOW

PAGES = Pages("http://ui")
SENSORS, TICKS = 3, 25


class Counted(SqliteAlertStore):
    """A store that counts what it is asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: Counter[str] = Counter()

    def change(self, key: str, change: Change) -> Alert | None:
        self.asked["change"] += 1
        return super().change(key, change)

    def unsettled(self) -> Sequence[Alert]:
        self.asked["unsettled"] += 1
        return super().unsettled()


@pytest.fixture
def store(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "state.sqlite")


def origin(name: str) -> RemoteInstigatorOrigin:
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="m"), "here")
    return RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)


def ticked(instance: dg.DagsterInstance, name: str, second: int, error: str | None = None) -> None:
    made = origin(name)
    state = InstigatorState(made, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData())
    if instance.get_instigator_state(made.get_id(), state.selector_id) is None:
        instance.add_instigator_state(state)
    instance.create_tick(
        TickData(
            made.get_id(), name, InstigatorType.SENSOR,
            TickStatus.SKIPPED if error is None else TickStatus.FAILURE,
            (NOW + timedelta(seconds=second)).timestamp(), selector_id=state.selector_id,
            error=None if error is None else SerializableErrorInfo(error, [], "BadInput"),
        )
    )  # fmt: skip


def look(instance: dg.DagsterInstance, store: Counted) -> Counter[str]:
    """Return what a look at the ticks asked of the store."""
    store.asked.clear()
    look_at_automation(instance, store, NOW + timedelta(minutes=10), PAGES, leave_out=())
    return store.asked


def states(store: Counted) -> list[tuple[str, bool]]:
    return [(alert.key, alert.is_open) for alert in store.unsettled()]


def test_a_look_at_healthy_sensors_asks_the_store_once(instance, store):
    for second in range(TICKS):
        for n in range(SENSORS):
            ticked(instance, f"sensor_{n}", second)
    assert look(instance, store) == {"unsettled": 1}


def test_a_failing_sensor_is_an_alert_and_then_costs_a_change_only_for_what_is_new(instance, store):
    for second in range(TICKS):
        ticked(instance, "sensor_1", second, error="no good")
        ticked(instance, "sensor_2", second)
    assert look(instance, store)["change"] <= 20
    assert states(store) == [("tick:sensor_1", True)]
    assert look(instance, store) == {"unsettled": 1}
    ticked(instance, "sensor_1", TICKS, error="still no good")
    assert look(instance, store) == {"unsettled": 1, "change": 1}
    ticked(instance, "sensor_1", TICKS + 1)
    assert look(instance, store) == {"unsettled": 1, "change": 1}
    assert states(store) == [("tick:sensor_1", False)]
    assert look(instance, store) == {"unsettled": 1}


def test_a_failure_that_is_over_within_one_look_is_seen_as_such(instance, store):
    ticked(instance, "sensor_1", 1, error="no good")
    ticked(instance, "sensor_1", 2)
    assert look(instance, store) == {"unsettled": 1, "change": 2}
    assert states(store) == [("tick:sensor_1", False)]


@dg.job
def fine_job():
    """Succeed."""

    @dg.op
    def step() -> None:
        pass

    step()


def test_runs_that_succeed_and_have_no_alert_cost_nothing_each(instance, store):
    for _ in range(3):
        fine_job.execute_in_process(instance=instance)
    followed = follow_runs(instance, store, Cursor(), datetime.now(UTC), PAGES)
    assert (followed.runs, store.asked) == (3, {"unsettled": 1})
    store.asked.clear()
    assert follow_runs(instance, store, followed.cursor, datetime.now(UTC), PAGES).runs == 0
    assert not store.asked

"""Trouble with one slate holds up no other, and somebody hears of it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta

import dagster as dg
import pyarrow as pa
import pytest

from prediction_assets.errors import BadInput, PredictionAssetsError, TransientError
from prediction_assets.monitoring.health_facts import InstanceFacts
from prediction_assets.monitoring.reader import Sources
from prediction_assets.orchestration.run_tags import SLATE_TAG
from prediction_assets.orchestration.sensors.alerts import look_or_raise
from prediction_assets.orchestration.sensors.requests import Skipped, sensor_result, slate_by_slate
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import player_key
from prediction_assets.stores.local.state_file import StateUnreadable
from prediction_assets_tests.made_up import batch
from prediction_assets_tests.orchestration.sensors.ticking import fail, leave_run, requested, tick

STAGING, CONSOLIDATION, GAPS = "staging_sensor", "consolidation_sensor", "gap_sensor"
YESTERDAY, TODAY = (date.today() - timedelta(days=1)).isoformat(), date.today().isoformat()


@pytest.fixture
def two_slates(slate_run: SlateRun, monkeypatch: pytest.MonkeyPatch) -> SlateRun:
    """Two slates whose players wait to be staged."""
    monkeypatch.setattr("prediction_assets.orchestration.sensors.requests.FIRST_PAUSE", timedelta(0))
    state, instance, now = slate_run.stores.batch_state, slate_run._instance, Clock().now()
    for minutes, slate in enumerate((YESTERDAY, TODAY)):
        opened = replace(
            batch(3, slate),
            opened_at=now - timedelta(minutes=10 - minutes),
            deadline=now + timedelta(minutes=20),
        )
        state.open(opened)
        features = pa.table({"player_id": [101, 102, 103]})
        snapshot_id = slate_run.stores.warehouse.snapshots.write(slate, features, features)
        state.pin_features(slate, snapshot_id, fence=1, facts_version=1)
        instance.add_dynamic_partitions("slates", [slate])
        instance.add_dynamic_partitions(
            "slate_players", [player_key(slate, player.slug) for player in opened.expected]
        )
    return slate_run


def damage(run: SlateRun, slate: str) -> None:
    """Write an outcome of a slate that there isn't."""
    with closing(sqlite3.connect(run._settings.home / "state.sqlite")) as connection, connection:
        connection.execute(
            "INSERT INTO outcomes (slate, batch_id, player_slug, outcome, reason, run_id, recorded_at, "
            "fence, facts_version) "
            "VALUES (?, (SELECT batch_id FROM batches WHERE slate = ?), 'player-1', 'nonsense', '', 'run', ?, 1, 1)",
            (slate, slate, Clock().now().isoformat()),
        )


def slates_of(result: dg.SensorResult) -> list[str]:
    return [request.tags[SLATE_TAG] for request in requested(result)]


def test_a_slate_whose_partition_key_was_deleted_by_hand_holds_up_no_other(two_slates, caplog):
    assert slates_of(tick(two_slates, STAGING)) == [YESTERDAY, TODAY]
    two_slates._instance.delete_dynamic_partition("slate_players", player_key(YESTERDAY, "player-2"))
    with caplog.at_level(logging.ERROR):
        result = tick(two_slates, STAGING)
    assert slates_of(result) == [TODAY]
    assert f"{YESTERDAY}:player-2 is not registered" in caplog.text
    run_id = leave_run(two_slates, requested(result)[0])
    for _ in range(2):  # there is nothing left to request, so the tick fails, which is an alert
        with pytest.raises(
            BadInput, match=f"{YESTERDAY}:player-2 is not registered; materialize slate_roster"
        ):
            tick(two_slates, STAGING)
    with pytest.raises(BadInput, match=f"{YESTERDAY}:player-2 is not registered"):
        tick(two_slates, GAPS)
    fail(two_slates, run_id)
    assert slates_of(tick(two_slates, STAGING)) == [TODAY]


@pytest.mark.parametrize("sensor", [STAGING, CONSOLIDATION, GAPS])
def test_a_damaged_batch_fails_a_tick_that_asks_for_nothing_else_and_names_its_slate(two_slates, sensor):
    damage(two_slates, YESTERDAY)
    if sensor == STAGING:
        assert slates_of(tick(two_slates, STAGING)) == [TODAY]
        leave_run(two_slates, requested(tick(two_slates, STAGING))[0])
    with pytest.raises(StateUnreadable, match=f"slate {YESTERDAY}: .*nonsense"):
        tick(two_slates, sensor)


def test_of_several_damaged_batches_each_is_named(two_slates):
    damage(two_slates, YESTERDAY)
    damage(two_slates, TODAY)
    with pytest.raises(PredictionAssetsError, match=f"{YESTERDAY}: .*; {TODAY}: "):
        tick(two_slates, STAGING)


def test_a_store_that_is_busy_is_no_slate_s_own_trouble():
    def busy(_: str) -> list[Skipped]:
        raise TransientError("the warehouse is busy")

    with pytest.raises(TransientError):
        sensor_result(slate_by_slate([TODAY], busy))


def test_what_other_slates_lack_is_an_alert_beside_one_that_can_not_be_read(two_slates):
    stores, settings = two_slates.stores, two_slates._settings
    store = stores.alerts
    late = Clock().now() + timedelta(hours=1)
    clock = Clock()
    clock.now = lambda: late  # type: ignore[method-assign]
    sources = Sources(stores, lambda *_: InstanceFacts((), None, ()), settings, clock)
    look_or_raise(sources, store, two_slates._instance, leave_out=set())
    both = [f"no_receipt:{slate}" for slate in (YESTERDAY, TODAY)]
    assert [alert.key for alert in store.unsettled() if alert.is_open] == both
    damage(two_slates, YESTERDAY)
    with pytest.raises(StateUnreadable, match=YESTERDAY):
        look_or_raise(sources, store, two_slates._instance, leave_out=set())
    assert [alert.key for alert in store.unsettled() if alert.is_open] == both  # neither is over
    with closing(sqlite3.connect(settings.home / "state.sqlite")) as connection, connection:
        connection.execute("DELETE FROM alerts WHERE key = ?", (both[1],))
    with pytest.raises(StateUnreadable, match=YESTERDAY):
        look_or_raise(sources, store, two_slates._instance, leave_out=set())
    assert sorted(alert.key for alert in store.unsettled() if alert.is_open) == both

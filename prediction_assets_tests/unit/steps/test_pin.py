"""Pin: a slate's features are those of the run that read the newest facts."""

from __future__ import annotations

import logging

import pyarrow as pa
import pytest

from prediction_assets.errors import BatchNotOpen
from prediction_assets.steps import failpoints, pin
from prediction_assets.steps.pin import pin_features
from prediction_assets.stores.sql.tables import SCHEDULE
from prediction_assets_tests.made_up import SLATE, batch


def ingest(stores, game_id: str) -> None:
    row = dict.fromkeys(SCHEDULE.column_names) | {
        "league": "simulated-3", "game_id": game_id, "game_date": batch().opened_at.date(),
        "team_a": "S01", "team_b": "S02",
    }  # fmt: skip
    stores.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([row]))


@pytest.fixture(autouse=True)
def _features_are_the_games_that_the_warehouse_knows(monkeypatch):
    """Make features of nothing else."""

    def games(warehouse, *_):
        found = warehouse.query("SELECT game_id FROM facts.schedule ORDER BY game_id")
        return found, pa.table({"player_id": pa.array([], pa.int64())})

    monkeypatch.setattr(pin, "slate_features", games)
    monkeypatch.setattr(pin, "choose_model", lambda *_: "model")


@pytest.fixture
def paused_at():
    """Does something else when a failpoint is reached for the first time."""

    def install(point: str, meanwhile) -> None:
        def hook(reached: str) -> None:
            if reached == point:
                failpoints.install(failpoints._go_on)
                meanwhile()

        failpoints.install(hook)

    yield install
    failpoints.install(failpoints._go_on)


def test_a_slate_s_features_name_the_facts_version_that_they_were_made_from(stores):
    stores.batch_state.open(batch(1))
    ingest(stores, "1")
    pinned = pin_features(SLATE, stores.warehouse, stores.batch_state)
    progress = stores.batch_state.progress(SLATE)
    assert (pinned.facts_version, pinned.batch) == (1, progress.batch)
    assert (progress.feature_snapshot, progress.features_version) == (pinned.snapshot_id, 1)


@pytest.mark.parametrize("point", ["fence_claimed", "features_written"])
def test_a_run_that_was_paused_does_not_replace_the_features_of_newer_facts(stores, paused_at, caplog, point):
    def meanwhile() -> None:
        ingest(stores, "2")
        newer.append(pin_features(SLATE, stores.warehouse, stores.batch_state))

    newer = []
    stores.batch_state.open(batch(1))
    ingest(stores, "1")
    paused_at(point, meanwhile)
    with caplog.at_level(logging.WARNING):
        pin_features(SLATE, stores.warehouse, stores.batch_state)
    progress = stores.batch_state.progress(SLATE)
    assert (progress.feature_snapshot, progress.features_version) == (newer[0].snapshot_id, 2)
    assert "is not pinned: another run pinned later ones" in caplog.text


def test_features_of_players_from_before_a_reopening_are_not_pinned(stores, paused_at):
    stores.batch_state.open(batch(2))
    ingest(stores, "1")
    paused_at("features_written", lambda: stores.batch_state.reopen(batch(3)))
    pin_features(SLATE, stores.warehouse, stores.batch_state)
    assert stores.batch_state.progress(SLATE).feature_snapshot is None


def test_a_slate_without_a_batch_has_no_features(stores):
    with pytest.raises(BatchNotOpen):
        pin_features(SLATE, stores.warehouse, stores.batch_state)

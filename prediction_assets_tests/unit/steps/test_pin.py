"""Pin: a slate's features are those of the run that read the newest facts."""

from __future__ import annotations

import logging

import pyarrow as pa
import pytest

from prediction_assets.errors import BatchNotOpen
from prediction_assets.nba import forecast
from prediction_assets.steps import failpoints, pin
from prediction_assets.steps.pin import keep_pinned, pin_features
from prediction_assets.stores.sql.tables import FACTS_VERSIONS, GAME_LOGS, PROP_LINES, SCHEDULE, Table
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


# Whether pinning again would change anything


def change(stores, table: Table) -> None:
    """Record a change of a table of facts, as an ingestion does."""
    from prediction_assets.stores.local.warehouse import (
        _raise_facts_version,  # imports DuckDB: not when tests are collected
    )

    with stores.warehouse._connect(write=True) as connection:
        _raise_facts_version(connection, table)


def is_current(stores, markets: tuple[str, ...] = ()) -> bool:
    return keep_pinned(SLATE, stores.warehouse, stores.batch_state, markets)


@pytest.fixture
def pinned(stores):
    stores.batch_state.open(batch(2))
    ingest(stores, "1")
    change(stores, GAME_LOGS)
    assert not is_current(stores), "nothing is pinned yet"
    pin_features(SLATE, stores.warehouse, stores.batch_state)
    assert is_current(stores)
    return stores


def without_a_player(stores, _patch) -> None:
    stores.batch_state.reopen(batch(1))
    assert stores.batch_state.progress(SLATE).feature_snapshot is not None


def restored_and_changed(stores, _patch) -> None:
    """Give the newest change the number that it had, but another moment."""
    with stores.warehouse._connect(write=True) as connection:
        newest = f"(SELECT MAX(version) FROM {FACTS_VERSIONS.qualified_name})"
        connection.execute(f"DELETE FROM {FACTS_VERSIONS.qualified_name} WHERE version = {newest}")
    change(stores, GAME_LOGS)


@pytest.mark.parametrize(
    "since",
    [
        pytest.param(lambda stores, _: change(stores, GAME_LOGS), id="game logs"),
        pytest.param(lambda stores, _: change(stores, SCHEDULE), id="schedule"),
        pytest.param(restored_and_changed, id="a restored warehouse that changed as often"),
        pytest.param(without_a_player, id="a player less"),
        pytest.param(lambda _, patch: patch.setattr(pin, "choose_model", lambda *_: "newer"), id="model"),
        pytest.param(lambda _, patch: patch.setattr(forecast, "__version__", "9.9"), id="version"),
        pytest.param(lambda _, patch: patch.setattr(forecast, "FEATURES_SQL", "SELECT 1"), id="statement"),
        pytest.param(lambda _, patch: patch.setattr(pin, "HISTORY_DAYS", 3), id="days of history"),
        pytest.param(
            lambda stores, _: stores.warehouse.snapshots.drop(
                SLATE, stores.batch_state.progress(SLATE).feature_snapshot
            ),
            id="the snapshot is gone",
        ),
        pytest.param(
            lambda stores, _: stores.batch_state.pin_features(SLATE, "other", fence=9, facts_version=1),
            id="others, of which nothing is said",
        ),
        pytest.param(
            lambda stores, _: stores.batch_state.pin_features(
                SLATE,
                "other",
                fence=9,
                facts_version=1,
                made_from=stores.batch_state.progress(SLATE).features_made_from,
            ),
            id="others, of which is said what was said of the earlier ones",
        ),
    ],
)
def test_features_are_pinned_again_after_a_change_of_what_they_were_made_from(pinned, monkeypatch, since):
    since(pinned, monkeypatch)
    assert not is_current(pinned)


def test_features_stay_when_only_facts_changed_that_they_are_not_made_from(pinned):
    before = pinned.batch_state.progress(SLATE)
    change(pinned, PROP_LINES)
    assert is_current(pinned)
    after = pinned.batch_state.progress(SLATE)
    assert after.feature_snapshot == before.feature_snapshot
    assert (before.features_version, after.features_version) == (2, 3), "they are those of the facts of now"


def test_features_that_another_run_pinned_meanwhile_from_newer_facts_stay(pinned, paused_at):
    def meanwhile() -> None:
        ingest(pinned, "2")
        newer.append(pin_features(SLATE, pinned.warehouse, pinned.batch_state))

    newer = []
    paused_at("fence_claimed", meanwhile)
    assert is_current(pinned)
    progress = pinned.batch_state.progress(SLATE)
    assert (progress.feature_snapshot, progress.features_version) == (newer[0].snapshot_id, 3)


def test_another_market_asks_for_features_of_its_own(pinned):
    assert is_current(pinned, ("player_points",))
    assert not is_current(pinned, ("player_points", "player_rebounds"))

"""450 processes complete twice at once, a process for each player of the largest slate: none lost, none aborted."""

from __future__ import annotations

import pytest

from prediction_assets_tests.contract.batch_state.conftest import Store, store
from prediction_assets_tests.contract.batch_state.crowd import rush_of_processes, shuffled_twice
from prediction_assets_tests.contract.batch_state.test_contention import require_each_once, work
from prediction_assets_tests.emulator_fixtures import firestore_client, firestore_emulator, project
from prediction_assets_tests.made_up import batch

__all__ = ["firestore_client", "firestore_emulator", "project", "store"]  # fixtures

WORKERS = 450


@pytest.mark.parametrize("store", ["sqlite", "firestore"], indirect=True)
def test_450_processes_that_complete_twice_at_once_lose_nothing_and_none_is_aborted(store: Store) -> None:
    state = store.opened()
    state.open(batch(WORKERS))
    rush = rush_of_processes(store.recorder, store.where, shuffled_twice(work(WORKERS), seed=WORKERS))
    assert rush.errors == ()
    require_each_once(state, work(WORKERS))

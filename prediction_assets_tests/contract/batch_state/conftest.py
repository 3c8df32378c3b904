"""Batch state under test: every implementation of the port, empty, behind one fixture."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.cloud import firestore

from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.protocols import BatchState
from prediction_assets_tests.contract.batch_state import crowd
from prediction_assets_tests.emulator_fixtures import firestore_client, firestore_emulator, project
from prediction_assets_tests.in_memory import InMemoryBatchState

__all__ = ["firestore_client", "firestore_emulator", "project"]


@dataclass(frozen=True)
class Store:
    """An implementation under test.

    Attributes:
        recorder: names the function with which another process records into the same store, for ``where``; both
            are ``""`` in memory, which no other process reaches.
        opened: returns the store's state anew, as another process would.
    """

    recorder: str
    where: str
    opened: Callable[[], BatchState]


@pytest.fixture(params=["sqlite", "in_memory", "firestore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "in_memory":
        state = InMemoryBatchState()
        return Store("", "", lambda: state)
    if request.param == "sqlite":
        file = tmp_path / "state.sqlite"
        return Store(f"{crowd.__name__}:to_sqlite", str(file), lambda: SqliteBatchState(file))
    client = request.getfixturevalue("firestore_client")
    return Store(
        f"{crowd.__name__}:to_firestore",
        client.project,
        lambda: FirestoreBatchState(FirestoreCalls(client)),
    )


@pytest.fixture
def state(store: Store) -> BatchState:
    """An empty batch state."""
    return store.opened()


@pytest.fixture
def firestore_state(firestore_client: firestore.Client) -> FirestoreBatchState:
    """An empty batch state in Firestore, for what only Firestore has."""
    return FirestoreBatchState(FirestoreCalls(firestore_client))


@pytest.fixture(scope="module")
def firestore_history(firestore_emulator: str) -> Iterator[FirestoreBatchState]:
    """One state for all examples of a property, which brings each back to nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
        client = firestore.Client(project=f"test-{uuid.uuid4().hex[:20]}")
        yield FirestoreBatchState(FirestoreCalls(client))
        client.close()

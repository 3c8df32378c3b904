"""Dead letters under test: every implementation of the port, empty, behind one fixture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prediction_assets.stores.gcp.dead_letters import FirestoreDeadLetters
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.local.dead_letters import SqliteDeadLetters
from prediction_assets.stores.protocols import DeadLetters
from prediction_assets_tests.emulator_fixtures import firestore_client, firestore_emulator, project
from prediction_assets_tests.in_memory import InMemoryDeadLetters

__all__ = ["firestore_client", "firestore_emulator", "project"]


@pytest.fixture(params=["sqlite", "in_memory", "firestore"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], DeadLetters]:
    """Return one store's dead letters anew with each call, as another process would."""
    if request.param == "sqlite":
        return lambda: SqliteDeadLetters(tmp_path / "state.sqlite")
    if request.param == "in_memory":
        letters = InMemoryDeadLetters()
        return lambda: letters
    client = request.getfixturevalue("firestore_client")
    return lambda: FirestoreDeadLetters(FirestoreCalls(client))

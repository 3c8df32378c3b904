"""Alerting under test: a local webhook and every store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prediction_assets.stores.gcp.alerts import FirestoreAlertStore
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets.stores.protocols import AlertStore
from prediction_assets_tests.emulator_fixtures import firestore_client, firestore_emulator, project
from prediction_assets_tests.in_memory import InMemoryAlertStore
from prediction_assets_tests.webhooks import webhook

__all__ = ["firestore_client", "firestore_emulator", "project", "webhook"]

OpenStore = Callable[[], AlertStore]


@pytest.fixture(params=["sqlite", "in_memory", "firestore"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Return a store anew with each call, as another process would."""
    if request.param == "sqlite":
        return lambda: SqliteAlertStore(tmp_path / "state.sqlite")
    if request.param == "in_memory":
        store = InMemoryAlertStore()
        return lambda: store
    client = request.getfixturevalue("firestore_client")
    return lambda: FirestoreAlertStore(FirestoreCalls(client))

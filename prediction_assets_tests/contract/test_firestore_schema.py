"""The version of the documents in Firestore: recorded at the first use, and a later one is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from google.cloud import firestore

from prediction_assets.errors import SchemaTooNew
from prediction_assets.settings import load_settings
from prediction_assets.stores.gcp import firestore_schema
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.firestore_schema import DOCUMENTS_VERSION, FirestoreDocuments
from prediction_assets.stores.gcp.stores import GcpStores
from prediction_assets_tests.emulator_fixtures import firestore_client, firestore_emulator, project
from prediction_assets_tests.made_up import batch

__all__ = ["firestore_client", "firestore_emulator", "project"]


def recorded(client: firestore.Client) -> dict[str, object]:
    return client.collection("schema").document("documents").get().to_dict() or {}


def test_the_version_is_recorded_once_however_many_begin_at_the_same_time(firestore_client):
    documents = FirestoreDocuments(FirestoreCalls(firestore_client))
    assert documents.schema().found is None
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: FirestoreDocuments(FirestoreCalls(firestore_client)).migrate(), range(4)))
    first = recorded(firestore_client)
    assert first["version"] == DOCUMENTS_VERSION
    assert documents.migrate().is_current
    assert recorded(firestore_client) == first


def test_the_next_release_raises_the_version_and_this_one_refuses_it_untouched(firestore_client, monkeypatch):
    documents = FirestoreDocuments(FirestoreCalls(firestore_client))
    documents.migrate()
    with monkeypatch.context() as next_release:
        next_release.setattr(firestore_schema, "DOCUMENTS_VERSION", DOCUMENTS_VERSION + 1)
        assert documents.migrate().found == DOCUMENTS_VERSION
        assert documents.schema().is_current
    later = recorded(firestore_client)
    assert later["version"] == DOCUMENTS_VERSION + 1
    for look in (documents.schema, documents.migrate):
        with pytest.raises(SchemaTooNew, match=r"docs/runbook\.md"):
            look()
    assert recorded(firestore_client) == later


def test_no_store_of_the_gcp_profile_opens_documents_of_a_later_version(firestore_client, project):
    settings = load_settings(profile="gcp", gcp_project=project)
    stores = GcpStores(settings)
    stores.batch_state.open(batch())
    firestore_client.collection("schema").document("documents").set({"version": DOCUMENTS_VERSION + 1})
    stores = GcpStores(settings)
    for open_store in (
        lambda: stores.batch_state,
        lambda: stores.dead_letters,
        lambda: stores.alerts,
        lambda: stores.outbox,
    ):
        with pytest.raises(SchemaTooNew):
            open_store()

"""The version of the documents in Firestore: one document that says it.

Firestore has no schema, so there is nothing to add: readers take what an earlier version left out as absent. The
version is recorded so that an earlier version of the code refuses documents that it might misread.
"""

from __future__ import annotations

from typing import Any

from google.cloud import firestore

from prediction_assets import __version__
from prediction_assets.firestore_calls import FirestoreCalls
from prediction_assets.schema_versions import StoreSchema, require_known

DOCUMENTS_VERSION = 3
"""1: batch state and the outbox. 2: dead letters, and the receipts' seal. 3: alerts. Recorded since 3."""


class FirestoreDocuments:
    """An installation's documents as a :class:`~prediction_assets.schema_versions.VersionedStore`.

    Args:
        collection: the collection of the document that says the version.
        timeout_seconds: deadline of each call, its retries included.
    """

    def __init__(
        self, client: firestore.Client, collection: str = "schema", timeout_seconds: float = 30
    ) -> None:
        self._client = client
        self._document = client.collection(collection).document("documents")
        self._calls = FirestoreCalls(client, timeout_seconds)

    @property
    def _name(self) -> str:
        return f"Firestore {self._document.path} of project {self._client.project}"

    def schema(self) -> StoreSchema:
        """Look at the version; one read, nothing is changed."""
        with self._calls.clear_errors("schema version"):
            stored = self._document.get(**self._calls.arguments)
        return self._found(stored)

    def migrate(self) -> StoreSchema:
        """Record the version unless it is recorded; one read where it is."""

        def record() -> StoreSchema:
            stored = self._document.get(**self._calls.arguments)
            found = self._found(stored)
            fields = {
                "version": DOCUMENTS_VERSION,
                "code_version": __version__,
                "migrated_at": firestore.SERVER_TIMESTAMP,
            }
            if not stored.exists:
                self._document.create(fields, **self._calls.arguments)
            elif not found.is_current:
                unchanged = self._client.write_option(last_update_time=stored.update_time)
                self._document.update(fields, option=unchanged, **self._calls.arguments)
            return found

        with self._calls.clear_errors("schema version"):
            done: StoreSchema = self._calls.until_uncontended(record)()
        return done

    def _found(self, stored: firestore.DocumentSnapshot[Any]) -> StoreSchema:
        version = int(stored.get("version")) if stored.exists else None
        require_known(self._name, version, DOCUMENTS_VERSION)
        return StoreSchema(self._name, version, DOCUMENTS_VERSION)

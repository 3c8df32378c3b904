"""The version of the documents in Firestore, in one document.

Firestore has no schema, so a migration adds nothing: a field that a later version adds is absent in earlier documents,
and its reader gives it a default. The version lets earlier code refuse documents that it might misread.
"""

from __future__ import annotations

from typing import Any

from google.cloud import firestore

from prediction_assets import __version__
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.versions import StoreSchema, require_known

DOCUMENTS_VERSION = 1
"""To be raised with each change after which earlier code would misread a document (docs/extending.md)."""


class FirestoreDocuments:
    """An installation's documents as a :class:`~prediction_assets.stores.versions.VersionedStore`."""

    def __init__(self, calls: FirestoreCalls, collection: str = "schema") -> None:
        self._calls = calls
        self._document = calls.client.collection(collection).document("documents")

    @property
    def _name(self) -> str:
        return f"Firestore {self._document.path} of project {self._calls.client.project}"

    def schema(self) -> StoreSchema:
        with self._calls.service.clear_errors("schema version"):
            stored = self._document.get(**self._calls.arguments)
        return self._found(stored)

    def migrate(self) -> StoreSchema:
        def record() -> StoreSchema:
            stored = self._document.get(**self._calls.arguments)
            found = self._found(stored)
            if not found.is_current:
                fields = {
                    "version": DOCUMENTS_VERSION,
                    "code_version": __version__,
                    "migrated_at": firestore.SERVER_TIMESTAMP,
                }
                self._calls.write_over(stored, fields)
            return found

        return self._calls.until_uncontended("schema version", record)

    def _found(self, stored: firestore.DocumentSnapshot[Any]) -> StoreSchema:
        version = int(stored.get("version")) if stored.exists else None
        require_known(self._name, version, DOCUMENTS_VERSION)
        return StoreSchema(self._name, version, DOCUMENTS_VERSION)

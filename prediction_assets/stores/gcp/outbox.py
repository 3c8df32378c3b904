"""The outbox in Firestore: one document per event, ``outbox/{event_id}``.

An event is created if absent, so the first text of an id stands; a delivery is recorded only on the version
that was read, so the first message id stands. The text is kept as it was enqueued, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from google.cloud import firestore

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.stores.gcp.firestore_calls import (
    FirestoreCalls,
    document_id,
    moment,
    of_slate,
    undamaged,
)


class FirestoreOutbox:
    """An :class:`~prediction_assets.stores.protocols.Outbox` in Firestore (Native mode).

    Args:
        collection: the collection of events.

    Every method raises :class:`~prediction_assets.stores.local.state_file.StateUnreadable` when Firestore refuses or doesn't
    answer.
    """

    def __init__(self, calls: FirestoreCalls, collection: str = "outbox") -> None:
        self._calls = calls
        self._events = calls.client.collection(collection)

    def enqueue(self, entry: OutboxEntry) -> OutboxEntry:
        """Store an event and return it; an id that is there already keeps its first entry."""
        document = self._document(entry.event_id)
        fields = {
            "slate": entry.slate,
            "receipt_id": entry.receipt_id,
            "message": json.dumps(entry.message),
            "message_id": None,
            "published_at": None,
        }
        with self._calls.clear_errors(f"event {entry.event_id}"):
            self._calls.create_once(document, fields)
            return _entry(document.get(**self._calls.arguments))

    def mark_published(self, event_id: str, message_id: str, published_at: datetime) -> OutboxEntry:
        """Record a delivery and return the entry.

        Raises:
            PredictionAssetsError: there is no such event.
        """
        document = self._document(event_id)

        def mark() -> None:
            stored = document.get(**self._calls.arguments)
            if _entry(stored).message_id is None:
                delivery = {"message_id": message_id, "published_at": published_at.astimezone(UTC)}
                self._calls.write_over(stored, delivery)

        self._calls.until_uncontended(f"event {event_id}", mark)
        with self._calls.clear_errors(f"event {event_id}"):
            return _entry(document.get(**self._calls.arguments))

    def entries(self, slate: str | None = None) -> Sequence[OutboxEntry]:
        """Return the events, oldest first, of one slate or of all."""
        with self._calls.clear_errors(f"events of {slate or 'all slates'}"):
            stored = of_slate(self._events, slate).get(**self._calls.arguments)
        # The server's own creation times, which a query can't sort by; events are a few per slate.
        return [_entry(event) for event in sorted(stored, key=lambda e: (e.create_time, e.id))]

    def drop_delivered(self, event_ids: Sequence[str]) -> int:
        """Delete these events and return how many there were; one that wasn't delivered stays."""
        documents = [self._document(event_id) for event_id in event_ids]
        with self._calls.clear_errors("pruning delivered events"):
            # A delivered event never becomes undelivered, so looking first is safe.
            stored = self._calls.client.get_all(documents, **self._calls.arguments)
            dropped = [
                each.reference for each in stored if each.exists and each.get("message_id") is not None
            ]
            self._calls.delete(dropped)
        return len(dropped)

    def _document(self, event_id: str) -> firestore.DocumentReference:
        return self._events.document(document_id(event_id, "event"))


def _entry(stored: firestore.DocumentSnapshot[Any]) -> OutboxEntry:
    values = stored.to_dict()
    if values is None:
        raise PredictionAssetsError(f"event {stored.id} is not in the outbox; publish its receipt again")
    with undamaged(stored.reference):
        return OutboxEntry(
            event_id=stored.id,
            slate=values["slate"],
            receipt_id=values["receipt_id"],
            message=json.loads(values["message"]),
            message_id=values["message_id"],
            published_at=None if values["published_at"] is None else moment(values["published_at"]),
        )

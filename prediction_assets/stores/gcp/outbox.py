"""The outbox in Firestore: one document per event, ``outbox/{message_id}``.

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

    Every method raises :class:`~prediction_assets.errors.StateUnreadable` when Firestore refuses or doesn't
    answer.
    """

    def __init__(self, calls: FirestoreCalls, collection: str = "outbox") -> None:
        self._calls = calls
        self._events = calls.client.collection(collection)

    def enqueue(self, entry: OutboxEntry) -> OutboxEntry:
        """Store an event and return it; an id that is there already keeps its first entry."""
        document = self._document(entry.message_id)
        fields = {
            "slate": entry.slate,
            "receipt_id": entry.receipt_id,
            "message": json.dumps(entry.message),
            "delivery_id": None,
            "delivered_at": None,
        }
        with self._calls.clear_errors(f"event {entry.message_id}"):
            self._calls.create_once(document, fields)
            return _entry(document.get(**self._calls.arguments))

    def mark_delivered(self, message_id: str, delivery_id: str, delivered_at: datetime) -> OutboxEntry:
        """Record a delivery and return the entry.

        Raises:
            PredictionAssetsError: there is no such event.
        """
        document = self._document(message_id)

        def mark() -> None:
            stored = document.get(**self._calls.arguments)
            if _entry(stored).delivery_id is None:
                delivery = {"delivery_id": delivery_id, "delivered_at": delivered_at.astimezone(UTC)}
                self._calls.write_over(stored, delivery)

        self._calls.until_uncontended(f"event {message_id}", mark)
        with self._calls.clear_errors(f"event {message_id}"):
            return _entry(document.get(**self._calls.arguments))

    def entries(self, slate: str | None = None) -> Sequence[OutboxEntry]:
        """Return the events, oldest first, of one slate or of all."""
        with self._calls.clear_errors(f"events of {slate or 'all slates'}"):
            stored = of_slate(self._events, slate).get(**self._calls.arguments)
        # The server's own creation times, which a query can't sort by; events are a few per slate.
        return [_entry(event) for event in sorted(stored, key=lambda e: (e.create_time, e.id))]

    def drop_delivered(self, message_ids: Sequence[str]) -> int:
        """Delete these events and return how many there were; one that wasn't delivered stays."""
        documents = [self._document(message_id) for message_id in message_ids]
        with self._calls.clear_errors("pruning delivered events"):
            # A delivered event never becomes undelivered, so looking first is safe.
            stored = self._calls.client.get_all(documents, **self._calls.arguments)
            dropped = [
                each.reference for each in stored if each.exists and each.get("delivery_id") is not None
            ]
            self._calls.delete(dropped)
        return len(dropped)

    def _document(self, message_id: str) -> firestore.DocumentReference:
        return self._events.document(document_id(message_id, "event"))


def _entry(stored: firestore.DocumentSnapshot[Any]) -> OutboxEntry:
    values = stored.to_dict()
    if values is None:
        raise PredictionAssetsError(
            f"completion message {stored.id} is not in the outbox; materialize phase5_completion for its slate again"
        )
    with undamaged(stored.reference):
        return OutboxEntry(
            message_id=stored.id,
            slate=values["slate"],
            receipt_id=values["receipt_id"],
            message=json.loads(values["message"]),
            delivery_id=values["delivery_id"],
            delivered_at=None if values["delivered_at"] is None else moment(values["delivered_at"]),
        )

"""The outbox in Firestore: one document per completion message, ``outbox/{message_id}``.

A message is created if absent, so the first text of an id stands. A delivery is recorded only on the version that was
read, so the first delivery id stands. The text is kept byte for byte.
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
        collection: the collection of completion messages.
    """

    def __init__(self, calls: FirestoreCalls, collection: str = "outbox") -> None:
        self._calls = calls
        self._messages = calls.client.collection(collection)

    def enqueue(self, entry: OutboxEntry) -> OutboxEntry:
        document = self._document(entry.message_id)
        fields = {
            "slate": entry.slate,
            "receipt_id": entry.receipt_id,
            "message": json.dumps(entry.message),
            "delivery_id": None,
            "delivered_at": None,
        }
        with self._calls.service.clear_errors(f"completion message {entry.message_id}"):
            self._calls.create_once(document, fields)
            return _entry(document.get(**self._calls.arguments))

    def mark_delivered(self, message_id: str, delivery_id: str, delivered_at: datetime) -> OutboxEntry:
        document = self._document(message_id)

        def mark() -> None:
            stored = document.get(**self._calls.arguments)
            if _entry(stored).delivery_id is None:
                delivery = {"delivery_id": delivery_id, "delivered_at": delivered_at.astimezone(UTC)}
                self._calls.write_over(stored, delivery)

        self._calls.until_uncontended(f"completion message {message_id}", mark)
        with self._calls.service.clear_errors(f"completion message {message_id}"):
            return _entry(document.get(**self._calls.arguments))

    def entries(self, slate: str | None = None) -> Sequence[OutboxEntry]:
        with self._calls.service.clear_errors(f"completion messages of {slate or 'all slates'}"):
            stored = of_slate(self._messages, slate).get(**self._calls.arguments)
        # A query can't sort by the server's creation times; a slate has few messages.
        return [_entry(each) for each in sorted(stored, key=lambda each: (each.create_time, each.id))]

    def drop_delivered(self, message_ids: Sequence[str]) -> int:
        documents = [self._document(message_id) for message_id in message_ids]
        with self._calls.service.clear_errors("pruning delivered completion messages"):
            # A delivered message never becomes undelivered, so looking first is safe.
            stored = self._calls.client.get_all(documents, **self._calls.arguments)
            dropped = [
                each.reference for each in stored if each.exists and each.get("delivery_id") is not None
            ]
            self._calls.delete(dropped)
        return len(dropped)

    def _document(self, message_id: str) -> firestore.DocumentReference:
        return self._messages.document(document_id(message_id, "completion message"))


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

"""The outbox in Firestore: one document per completion message, ``outbox/{message_id}``.

A message is created if absent, so the first text of an id stands. A delivery is recorded only on the version that was
read, so the first delivery id stands. The text is kept byte for byte. ``outbox_newest/{slate}`` holds a slate's newest
revision: a message is stored only while that document is as it was read, so messages of a slate are stored one by one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    """An :class:`~prediction_assets.stores.protocols.Outbox` in Firestore (Native mode)."""

    def __init__(self, calls: FirestoreCalls, collection: str = "outbox") -> None:
        self._calls = calls
        self._messages = calls.client.collection(collection)
        self._newest = calls.client.collection(f"{collection}_newest")

    def enqueue(self, entry: OutboxEntry) -> OutboxEntry:
        document, newest = (
            self._document(entry.message_id),
            self._newest.document(document_id(entry.slate, "slate")),
        )
        fields = {
            "slate": entry.slate,
            "receipt_id": entry.receipt_id,
            "revision": entry.revision,
            "message": json.dumps(entry.message),
            "delivery_id": None,
            "delivered_at": None,
            "replaced_by": None,
            "acknowledged_at": None,
        }

        def store() -> None:
            # First: what is stored after this read is then noticed.
            head = newest.get(**self._calls.arguments)
            stored = list(of_slate(self._messages, entry.slate).get(**self._calls.arguments))
            there = {each.id: _entry(each) for each in stored}
            entry.refuse_if_older(there.values())
            older = [each for each in stored if each.id != entry.message_id and there[each.id].is_pending]
            if entry.message_id in there and not older:
                return
            writes = self._calls.client.batch()
            if head.exists:
                writes.update(newest, {"revision": entry.revision}, option=self._calls.unchanged(head))
            else:
                writes.create(newest, {"revision": entry.revision})
            if entry.message_id not in there:
                writes.create(document, fields)
            for each in older:
                replaced = {"replaced_by": entry.message_id}
                writes.update(each.reference, replaced, option=self._calls.unchanged(each))
            writes.commit(**self._calls.arguments)

        self._calls.until_uncontended(f"completion message {entry.message_id}", store)
        with self._calls.service.clear_errors(f"completion message {entry.message_id}"):
            return _entry(document.get(**self._calls.arguments))

    def mark_delivered(self, message_id: str, delivery_id: str, delivered_at: datetime) -> OutboxEntry:
        return self._mark(
            message_id, {"delivery_id": delivery_id, "delivered_at": delivered_at.astimezone(UTC)}
        )

    def mark_acknowledged(self, message_id: str, acknowledged_at: datetime) -> OutboxEntry:
        return self._mark(message_id, {"acknowledged_at": acknowledged_at.astimezone(UTC)})

    def _mark(self, message_id: str, fields: Mapping[str, Any]) -> OutboxEntry:
        """Set the fields of a message that has no value in the first of them yet, and return the entry."""
        document, first = self._document(message_id), next(iter(fields))

        def mark() -> None:
            stored = document.get(**self._calls.arguments)
            if getattr(_entry(stored), first) is None:
                self._calls.write_over(stored, fields)

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
            # A message that isn't pending never becomes pending, so looking first is safe.
            stored = self._calls.client.get_all(documents, **self._calls.arguments)
            dropped = [each.reference for each in stored if each.exists and not _entry(each).is_pending]
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
            revision=values["revision"],
            message=json.loads(values["message"]),
            delivery_id=values["delivery_id"],
            delivered_at=None if values["delivered_at"] is None else moment(values["delivered_at"]),
            replaced_by=values["replaced_by"],
            acknowledged_at=None if values["acknowledged_at"] is None else moment(values["acknowledged_at"]),
        )

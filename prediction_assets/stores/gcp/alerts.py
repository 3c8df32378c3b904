"""Alerts in Firestore: one document per key, replaced only if it is the one that was read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from google.cloud import firestore

from prediction_assets.stores.alert import Alert, Change, from_text, to_text
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls, document_id, undamaged


class FirestoreAlertStore:
    """An :class:`~prediction_assets.stores.protocols.AlertStore` in Firestore (Native mode)."""

    def __init__(self, calls: FirestoreCalls, collection: str = "alerts") -> None:
        self._calls = calls
        self._alerts = calls.client.collection(collection)

    def change(self, key: str, change: Change) -> Alert | None:
        document = self._alerts.document(document_id(key, "alert"))

        def replace() -> Alert | None:
            stored = document.get(**self._calls.arguments)
            before = _alert(stored) if stored.exists else None
            after = change(before)
            if after is None or after is before:
                return before
            fields = {
                "opened_at": after.opened_at.astimezone(UTC),
                "settled": after.settled_at is not None,
                "alert": to_text(after),
            }
            self._calls.write_over(stored, fields)
            return after

        return self._calls.until_uncontended(f"alert {key}", replace)

    def unsettled(self) -> Sequence[Alert]:
        return self._found(firestore.FieldFilter("settled", "==", False), "alerts that last")

    def since(self, moment: datetime) -> Sequence[Alert]:
        filtered = firestore.FieldFilter("opened_at", ">=", moment.astimezone(UTC))
        return self._found(filtered, f"alerts since {moment:%Y-%m-%d}")

    def settled_before(self, moment: datetime) -> Sequence[Alert]:
        # Reads all alerts that were opened before then: a query by both fields would need an index of its own.
        filtered = firestore.FieldFilter("opened_at", "<", moment.astimezone(UTC))
        opened = self._found(filtered, f"alerts before {moment:%Y-%m-%d}")
        return [alert for alert in opened if alert.settled_at is not None and alert.settled_at < moment]

    def drop_settled(self, keys: Sequence[str]) -> int:
        dropped = 0
        for key in keys:
            document = self._alerts.document(document_id(key, "alert"))
            dropped += self._calls.until_uncontended(f"alert {key}", partial(self._drop_settled, document))
        return dropped

    def _drop_settled(self, document: firestore.DocumentReference) -> bool:
        stored = document.get(**self._calls.arguments)
        if not stored.exists or not stored.get("settled"):
            return False
        document.delete(option=self._calls.unchanged(stored), **self._calls.arguments)
        return True

    def _found(self, filtered: firestore.FieldFilter, what: str) -> list[Alert]:
        with self._calls.service.clear_errors(what):
            stored = self._alerts.where(filter=filtered).get(**self._calls.arguments)
        alerts = [_alert(document) for document in stored]
        return sorted(alerts, key=lambda alert: (alert.opened_at, alert.key))


def _alert(stored: firestore.DocumentSnapshot[Any]) -> Alert:
    with undamaged(stored.reference):
        return from_text(stored.get("alert"))

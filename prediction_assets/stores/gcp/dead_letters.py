"""Dead letters in Firestore: one document per player and run that failed, created if absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Any

from google.cloud import firestore

from prediction_assets.slate.dead_letter import Closing, DeadLetter, Failure, letters_of
from prediction_assets.stores.gcp.firestore_calls import (
    FirestoreCalls,
    document_id,
    moment,
    of_slate,
    undamaged,
)


class FirestoreDeadLetters:
    """:class:`~prediction_assets.stores.protocols.DeadLetters` in Firestore (Native mode)."""

    def __init__(self, calls: FirestoreCalls, collection: str = "dead_letters") -> None:
        self._calls = calls
        self._failures = calls.client.collection(collection)

    def add(self, failures: Sequence[Failure]) -> None:
        for failure in failures:
            name = document_id(f"{failure.slate}:{failure.player_slug}:{failure.run_id}", "dead letter")
            fields = {
                **asdict(failure),
                "payload": dict(failure.payload),
                "failed_at": failure.failed_at.astimezone(UTC),
                "closed": None,
            }
            with self._calls.service.clear_errors(
                f"slate {failure.slate}: dead letter of {failure.player_slug}"
            ):
                self._calls.create_once(self._failures.document(name), fields)

    def letters(self, slate: str | None = None, *, include_closed: bool = False) -> Sequence[DeadLetter]:
        # Reads a document per open failure, and then one per failure of the slates that have open ones.
        with self._calls.service.clear_errors(f"dead letters of {slate or 'all slates'}"):
            if include_closed:
                return letters_of(map(_failure, of_slate(self._failures, slate).get(**self._calls.arguments)))
            found = letters_of(map(_failure, self._open(slate).get(**self._calls.arguments)))
            wanted = {(letter.slate, letter.player_slug) for letter in found}
            slates = sorted({letter.slate for letter in found})
            return letters_of(
                failure
                for each in slates
                for failure in map(_failure, of_slate(self._failures, each).get(**self._calls.arguments))
                if (failure.slate, failure.player_slug) in wanted
            )

    def close(self, slate: str, up_to: Mapping[str, int], how: Closing) -> int:
        with self._calls.service.clear_errors(f"slate {slate}: closing dead letters"):
            closing = [
                stored
                for stored in self._open(slate).get(**self._calls.arguments)
                if stored.get("fence") <= up_to.get(stored.get("player_slug"), -1)
            ]
            self._calls.write_each(
                [stored.reference for stored in closing],
                lambda writes, letter: writes.update(letter, {"closed": how.value}),
            )
        return len({stored.get("player_slug") for stored in closing})

    def drop_closed(self, slate: str, player_slugs: Iterable[str]) -> int:
        slugs = set(player_slugs)
        with self._calls.service.clear_errors(f"slate {slate}: pruning dead letters"):
            dropped = [
                stored.reference
                for stored in of_slate(self._failures, slate).get(**self._calls.arguments)
                if stored.get("player_slug") in slugs and stored.get("closed") is not None
            ]
            self._calls.delete(dropped)
        return len(dropped)

    def _open(self, slate: str | None) -> Any:
        return of_slate(self._failures, slate).where(filter=firestore.FieldFilter("closed", "==", None))


def _failure(stored: firestore.DocumentSnapshot[Any]) -> Failure:
    values = stored.to_dict() or {}
    with undamaged(stored.reference):
        return Failure(
            **{
                **values,
                "failed_at": moment(values["failed_at"]),
                "closed": None if values["closed"] is None else Closing(values["closed"]),
            }
        )

"""Batch state in Firestore: a document per batch, and below it one per player's outcome, written blindly.

- An outcome is one set of ``batches/{slate}/outcomes/{slug}@{fence}``: no read, no transaction, so nothing contends. A
  reader takes each player's highest fence.
- A fence is claimed once per run, by a write of the batch document on the condition that it is unchanged.
- The expected players are committed together with the batch document that names their list.
- A reopened batch or a newer receipt is written only if the document is still the one that was read.
- A reader reads everything as of one moment, so it sees all of a list or nothing of it.
- Each outcome has Firestore's own time of its write. While the newest is the same, a process doesn't read the others
  again: of a slate on which nothing happens a sensor reads three documents, however many players it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from google.api_core import exceptions
from google.cloud import firestore

from prediction_assets.errors import BatchNotOpen, StateUnreadable
from prediction_assets.slate.basis import Basis
from prediction_assets.slate.batch import Batch, ExpectedPlayer, Progress
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.receipt import LISTS, Receipt, unaltered
from prediction_assets.slate.records import as_row
from prediction_assets.slate.roster_freeze import require_same_work, unchanged
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls, document_id, moment, undamaged
from prediction_assets.stores.gcp.kept_lists import forget_list, keep_list, read_list
from prediction_assets.stores.gcp.remembered import Remembered

_EXPECTED = "expected"
_OUTCOMES = "outcomes"
_ORDERING = ("player_slug", "batch_id", "fence")
"""The fields of an outcome that say whether it counts."""
_RECEIPTS = "receipts"
_NEWEST = "newest"
_RECEIPT_LISTS = ("parts", "missing")
_WRITTEN_AT = "written_at"

_ASKED = 30
"""Players that one query names, at most: https://cloud.google.com/firestore/docs/query-data/queries#in_not-in_and_array-contains-any"""

_SETTLED = timedelta(minutes=1)
"""So long after the newest outcome they are remembered. Firestore's servers don't share one clock: a later write may
have an earlier time, but not by this."""

_outcomes: Remembered[Mapping[str, PlayerOutcome]] = Remembered(8)
"""Of a slate, those that count, at its newest write."""


class FirestoreBatchState:
    """A :class:`~prediction_assets.stores.protocols.BatchState` in Firestore (Native mode)."""

    def __init__(self, calls: FirestoreCalls, collection: str = "batches") -> None:
        self._calls = calls
        self._batches = calls.client.collection(collection)

    def open(self, batch: Batch) -> Batch:
        with self._calls.service.clear_errors(f"slate {batch.slate}"):
            writes = self._calls.client.batch()
            writes.create(self._document(batch.slate), self._batch_fields(writes, batch))
            try:
                writes.commit(**self._calls.arguments)
            except exceptions.AlreadyExists:
                head = self._document(batch.slate).get(**self._calls.arguments)
                return require_same_work(self._batch(head, head.read_time), batch)
        return batch

    def reopen(self, batch: Batch) -> Batch:
        document = self._document(batch.slate)

        def replace() -> None:
            earlier = document.get(**self._calls.arguments)
            outcomes = list(document.collection(_OUTCOMES).select(_ORDERING).get(**self._calls.arguments))
            batch_id = earlier.get("batch_id") if earlier.exists else batch.batch_id
            counted, stay = _highest(outcomes, batch_id), self._unchanged(earlier, batch)
            writes = self._calls.client.batch()
            fields = self._batch_fields(writes, batch)
            if earlier.exists:
                fields |= _carried_over(earlier, keeps_features=len(stay) == len(batch.expected))
                writes.update(document, fields, option=self._calls.unchanged(earlier))
                forget_list(
                    writes, document.collection(_EXPECTED), earlier.get("expected"), fields["expected"]
                )
            else:
                writes.create(document, fields)
            kept = {counted[slug].id for slug in stay & counted.keys()}
            for outcome in outcomes:
                if outcome.id in kept:
                    mine, is_same = {"batch_id": batch.batch_id}, self._calls.unchanged(outcome)
                    writes.update(outcome.reference, mine, option=is_same)
                else:
                    writes.delete(outcome.reference)
            writes.commit(**self._calls.arguments)

        self._calls.until_uncontended(f"slate {batch.slate}", replace)
        return batch

    def _unchanged(self, earlier: firestore.DocumentSnapshot[Any], batch: Batch) -> frozenset[str]:
        """Return the slugs of the players who stay as they were; none, if the earlier players can't be read."""
        try:
            return unchanged(self._batch(earlier, earlier.read_time) if earlier.exists else None, batch)
        except StateUnreadable:
            return frozenset()

    def claim_fence(self, slate: str, above: int = 0) -> int:
        def claim() -> int:
            head = self._opened(slate)
            with undamaged(head.reference):
                fence = max(int(head.get("fence")), above) + 1
            head.reference.update(
                {"fence": fence}, option=self._calls.unchanged(head), **self._calls.arguments
            )
            return fence

        return self._calls.until_uncontended(f"slate {slate}: claiming a fence", claim)

    def pin_features(
        self, slate: str, snapshot_id: str, *, fence: int, facts_version: int, made_from: str = ""
    ) -> bool:
        fields = {
            "feature_snapshot": snapshot_id,
            "features_fence": fence,
            "features_version": facts_version,
            "features_made_from": made_from,
        }

        def pin() -> bool:
            head = self._opened(slate)
            with undamaged(head.reference):
                if head.get("features_fence") > fence:
                    return False
            head.reference.update(fields, option=self._calls.unchanged(head), **self._calls.arguments)
            return True

        return self._calls.until_uncontended(f"slate {slate}: pinning features", pin)

    def record(self, outcomes: Sequence[PlayerOutcome]) -> None:
        # Groups are committed in one order in all processes, so that they can't deadlock. After a failed commit the
        # earlier ones stand, and recording all of them again is safe.
        newest = {(c.slate, c.player_slug, c.fence): c for c in outcomes}
        documents = {self._outcome(newest[key]): _outcome_fields(newest[key]) for key in sorted(newest)}
        slates = sorted({c.slate for c in outcomes})
        with self._calls.service.clear_errors(f"slate {', '.join(slates)}: {len(documents)} outcomes"):
            self._calls.write_each(
                list(documents), lambda writes, document: writes.set(document, documents[document])
            )

    def progress(self, slate: str, only: Collection[str] | None = None) -> Progress | None:
        # Reads 2 documents and the newest outcome, all as of one moment; of what isn't remembered also the chunks of 3
        # lists and a document per outcome, those of lower fences too until they are pruned. With `only`, the outcomes
        # of these players in place of the newest one and the others.
        document = self._document(slate)
        with self._calls.service.clear_errors(f"slate {slate}"):
            newest = self._newest(slate)
            heads = {
                head.reference.path: head
                for head in self._calls.client.get_all([document, newest], **self._calls.arguments)
            }
            batch, receipt = heads[document.path], heads[newest.path]
            if not batch.exists:
                return None
            as_of = max(batch.read_time, receipt.read_time)
            opened = self._batch(batch, as_of)
            return Progress(
                batch=opened,
                outcomes=self._counted(opened, as_of, only),
                feature_snapshot=batch.get("feature_snapshot"),
                features_version=batch.get("features_version"),
                features_made_from=_made_from(batch),
                receipt=self._copy(receipt, as_of),
            )

    def _counted(
        self, opened: Batch, as_of: datetime, only: Collection[str] | None
    ) -> dict[str, PlayerOutcome]:
        """Return the outcome of each expected player that counts, or at least of those who are asked for."""
        outcomes = self._document(opened.slate).collection(_OUTCOMES)
        expected = {player.slug for player in opened.expected}

        def those_that_count(stored: Iterable[firestore.DocumentSnapshot[Any]]) -> dict[str, PlayerOutcome]:
            with undamaged(outcomes.document("*")):
                return {
                    slug: _player_outcome(opened.slate, outcome)
                    for slug, outcome in _highest(stored, opened.batch_id).items()
                    if slug in expected
                }

        if only is not None and len(only) < len(expected):
            slugs = sorted(only)
            found = [
                outcomes.where(filter=firestore.FieldFilter("player_slug", "in", slugs[at : at + _ASKED]))
                .get(read_time=as_of, **self._calls.arguments)
                for at in range(0, len(slugs), _ASKED)
            ]  # fmt: skip
            return those_that_count(chain.from_iterable(found))
        newest = (
            outcomes.order_by(_WRITTEN_AT, direction=firestore.Query.DESCENDING)
            .limit(1)
            .select([_WRITTEN_AT])
            .get(read_time=as_of, **self._calls.arguments)
        )

        def read() -> Mapping[str, PlayerOutcome]:
            return those_that_count(outcomes.get(read_time=as_of, **self._calls.arguments))

        if not newest:
            return dict(read())
        written_at, where = newest[0].get(_WRITTEN_AT), (*self._calls.database, outcomes.parent.path)
        # Reopening changes the batch's id, and any other write the newest outcome; what is pruned never counted.
        mark = (opened.batch_id, newest[0].id, written_at)
        return dict(_outcomes.get(where, mark, read, keep=as_of - written_at >= _SETTLED))

    def consolidated(self, slate: str) -> Receipt | None:
        with self._calls.service.clear_errors(f"slate {slate}"):
            head = self._newest(slate).get(**self._calls.arguments)
            return self._copy(head, head.read_time)

    def recent_slates(self, since: datetime) -> Sequence[str]:
        query = (
            self._batches.where(filter=firestore.FieldFilter("opened_at", ">=", since.astimezone(UTC)))
            .order_by("opened_at")  # and then by document id, which is the slate
            .select([])
        )
        with self._calls.service.clear_errors(f"batches opened since {since:%Y-%m-%d}"):
            return [head.id for head in query.get(**self._calls.arguments)]

    def damage(self) -> str:
        return ""  # Firestore checks its own storage

    def prune_outcomes(self, slate: str) -> int:
        with self._calls.service.clear_errors(f"slate {slate}: pruning outcomes"):
            head = self._document(slate).get(**self._calls.arguments)
            if not head.exists:
                return 0
            stored = list(
                self._document(slate).collection(_OUTCOMES).select(_ORDERING).get(**self._calls.arguments)
            )
            with undamaged(self._document(slate).collection(_OUTCOMES).document("*")):
                counted = _highest(stored, head.get("batch_id"))
                # Nothing that is written meanwhile is deleted: it has a document of its own. An outcome of another
                # batch stays: the slate may have been reopened since its head was read.
                lower = [
                    outcome.reference
                    for outcome in stored
                    if (counts := counted.get(outcome.get("player_slug"))) is not None
                    and outcome.get("batch_id") == counts.get("batch_id")
                    and outcome.get("fence") < counts.get("fence")
                ]
            self._calls.delete(lower)
        return len(lower)

    def mark_consolidated(self, receipt: Receipt) -> None:
        slate, newest = self._document(receipt.slate), self._newest(receipt.slate)
        values = {**as_row(receipt), "consolidated_at": receipt.consolidated_at.astimezone(UTC)}
        lists = {name: values.pop(name) for name in _RECEIPT_LISTS}

        def replace() -> None:
            earlier = newest.get(**self._calls.arguments)
            if earlier.exists and earlier.get("revision") > receipt.revision:
                return
            writes = self._calls.client.batch()
            kept = {
                name: keep_list(writes, slate.collection(f"receipt_{name}"), items)
                for name, items in lists.items()
            }
            if earlier.exists:
                writes.update(newest, {**values, **kept}, option=self._calls.unchanged(earlier))
                for name, now in kept.items():
                    forget_list(writes, slate.collection(f"receipt_{name}"), earlier.get(name), now)
            else:
                writes.create(newest, {**values, **kept})
            writes.commit(**self._calls.arguments)

        self._calls.until_uncontended(f"slate {receipt.slate}: receipt {receipt.receipt_id}", replace)

    def _document(self, slate: str) -> firestore.DocumentReference:
        return self._batches.document(document_id(slate, "slate"))

    def _newest(self, slate: str) -> firestore.DocumentReference:
        document: firestore.DocumentReference = self._document(slate).collection(_RECEIPTS).document(_NEWEST)
        return document

    def _outcome(self, outcome: PlayerOutcome) -> firestore.DocumentReference:
        outcomes = self._document(outcome.slate).collection(_OUTCOMES)
        name = f"{document_id(outcome.player_slug, 'player')}@{outcome.fence:08d}"
        document: firestore.DocumentReference = outcomes.document(document_id(name, "outcome"))
        return document

    def _opened(self, slate: str) -> firestore.DocumentSnapshot[Any]:
        head = self._document(slate).get(**self._calls.arguments)
        if not head.exists:
            raise BatchNotOpen.on(slate)
        return head

    def _batch_fields(self, writes: firestore.WriteBatch, batch: Batch) -> dict[str, Any]:
        players = [as_row(player) for player in sorted(batch.expected, key=lambda player: player.slug)]
        return {
            "batch_id": batch.batch_id,
            "league": batch.league,
            "games": batch.games,
            "opened_at": batch.opened_at.astimezone(UTC),
            "deadline": batch.deadline.astimezone(UTC),
            "expected": keep_list(writes, self._document(batch.slate).collection(_EXPECTED), players),
            "fence": 0,
            "feature_snapshot": None,
            "features_fence": 0,
            "features_version": 0,
            "features_made_from": "",
        }

    def _batch(self, head: firestore.DocumentSnapshot[Any], as_of: datetime) -> Batch:
        with undamaged(head.reference):
            values = head.to_dict() or {}
            players = read_list(self._calls, head.reference.collection(_EXPECTED), values["expected"], as_of)
            return Batch(
                slate=head.id,
                batch_id=values["batch_id"],
                league=values["league"],
                games=values["games"],
                opened_at=moment(values["opened_at"]),
                deadline=moment(values["deadline"]),
                expected=tuple(ExpectedPlayer(**player) for player in players),
            )

    def _copy(self, head: firestore.DocumentSnapshot[Any], as_of: datetime) -> Receipt | None:
        return (
            unaltered(self._receipt(head, as_of), f"Firestore {head.reference.path}") if head.exists else None
        )

    def _receipt(self, head: firestore.DocumentSnapshot[Any], as_of: datetime) -> Receipt:
        with undamaged(head.reference):
            values = head.to_dict() or {}
            for name in _RECEIPT_LISTS:
                kept = head.reference.parent.parent.collection(f"receipt_{name}")
                values[name] = tuple(read_list(self._calls, kept, values[name], as_of))
            values |= {name: tuple(values[name]) for name in LISTS}
            return Receipt(**{**values, "consolidated_at": moment(values["consolidated_at"])})


def _carried_over(earlier: firestore.DocumentSnapshot[Any], *, keeps_features: bool) -> dict[str, Any]:
    """Return what a reopened batch keeps of the earlier one: its fence, and features of all who are expected."""
    if not keeps_features:
        # The reopening takes a fence itself: runs that claimed theirs before can't pin any more.
        fence = earlier.get("fence") + 1
        return {"fence": fence, "features_fence": fence}
    kept = ("fence", "feature_snapshot", "features_fence", "features_version")
    return {name: earlier.get(name) for name in kept} | {"features_made_from": _made_from(earlier)}


def _made_from(head: firestore.DocumentSnapshot[Any]) -> str:
    """Return what the batch's features were made from; a document of an earlier version of the package says nothing."""
    return str((head.to_dict() or {}).get("features_made_from", ""))


def _highest(
    stored: Iterable[firestore.DocumentSnapshot[Any]], batch_id: str
) -> dict[str, firestore.DocumentSnapshot[Any]]:
    """Return the outcome of each player that counts for a batch, by slug: the one with the highest fence."""
    found: dict[str, firestore.DocumentSnapshot[Any]] = {}
    for outcome in stored:
        slug = outcome.get("player_slug")
        if outcome.get("batch_id") == batch_id and (
            slug not in found or outcome.get("fence") > found[slug].get("fence")
        ):
            found[slug] = outcome
    return found


def _outcome_fields(outcome: PlayerOutcome) -> dict[str, Any]:
    return {
        "outcome": outcome.outcome.value,
        "reason": outcome.reason,
        "run_id": outcome.run_id,
        "recorded_at": outcome.recorded_at.astimezone(UTC),
        "part": None if outcome.part is None else as_row(outcome.part),
        "batch_id": outcome.batch_id,
        "player_slug": outcome.player_slug,
        "fence": outcome.fence,
        "facts_version": outcome.facts_version,
        "basis": None if outcome.basis is None else as_row(outcome.basis),
        _WRITTEN_AT: firestore.SERVER_TIMESTAMP,
    }


def _player_outcome(slate: str, stored: firestore.DocumentSnapshot[Any]) -> PlayerOutcome:
    values = stored.to_dict() or {}
    return PlayerOutcome(
        slate=slate,
        player_slug=values["player_slug"],
        outcome=Outcome(values["outcome"]),
        run_id=values["run_id"],
        recorded_at=moment(values["recorded_at"]),
        reason=values["reason"],
        part=None if values["part"] is None else PartRef(**values["part"]),
        batch_id=values["batch_id"],
        fence=values["fence"],
        facts_version=values["facts_version"],
        basis=None if values["basis"] is None else Basis(**values["basis"]),
    )

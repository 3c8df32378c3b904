"""The receipt: what a MERGE consumed and did, committed in its transaction.

How a receipt is made from a merge plan is in :mod:`.merge_plan`. Its hash covers every value and the hash of the
receipt before it, so that a slate's receipts are a chain (:mod:`.chain` verifies it with the rows).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from prediction_assets.errors import ReceiptAltered
from prediction_assets.slate.outcome import fence_of
from prediction_assets.slate.records import as_row

_logger = logging.getLogger(__name__)

_PLANNED = (
    "receipt_id",
    "slate",
    "league",
    "batch_id",
    "status",
    "content_digest",
    "expected_players",
    "staged_players",
    "skipped_players",
    "failed_players",
    "feature_snapshot",
    "facts_version",
    "lists_digest",
    "accepted",
)
"""What is decided before the MERGE. A name that is added here makes every stored receipt look altered."""

COUNTED = (
    "sequence",
    "revision",
    "replaces",
    "rows",
    "rows_staged",
    "rows_inserted",
    "rows_updated",
    "rows_unchanged",
    "rows_superseded",
)
"""Whole numbers that the MERGE finds, in the order in which the hash covers them; NULL counts as 0."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One committed MERGE: a row of ``consolidation_receipts``."""

    receipt_id: str
    slate: str
    league: str
    batch_id: str
    status: str
    sequence: int  # 1 for the slate's first receipt; its only order
    revision: int
    replaces: int | None  # the revision before this one, None for a slate's first
    content_digest: str
    expected_players: int
    staged_players: int
    skipped_players: int
    failed_players: int
    rows: int
    rows_staged: int
    rows_inserted: int
    rows_updated: int
    rows_unchanged: int
    rows_superseded: int
    rows_digest: str  # `rows_digest` of the rows in force after the MERGE
    lists_digest: str  # `lists_digest` of parts and missing
    feature_snapshot: str
    facts_version: int
    merge_ms: float
    consolidated_at: datetime
    parts: tuple[dict[str, Any], ...] = field(default=())
    missing: tuple[dict[str, Any], ...] = field(default=())
    audits: tuple[dict[str, Any], ...] = field(default=())  # each audit's `{name, passed, severity, detail}`
    # the refusals that an operator accepted, `{name, because}`
    accepted: tuple[dict[str, Any], ...] = field(default=())
    previous_hash: str = ""  # the hash of the slate's receipt before this one, '' in its first
    receipt_hash: str = ""  # what `computed_hash` gave when the receipt was made
    # when the lists were emptied, or closed rows deleted, because of their age
    pruned_at: datetime | None = None

    @property
    def is_retraction(self) -> bool:
        """Whether there is nothing to predict: no game is on any more, or every expected player was skipped.

        Only then may a slate have 0 rows.
        """
        return self.skipped_players == self.expected_players

    def planned_digest(self) -> str:
        """Return SHA-256 over the values that were decided before the MERGE, as a JSON list."""
        values = [getattr(self, name) for name in _PLANNED]
        return _sha256(json.dumps(values, sort_keys=True, separators=(",", ":")))

    def computed_hash(self) -> str:
        """Return SHA-256 over a JSON list of every value except ``pruned_at``.

        Texts are in it as digests and moments as microseconds, so that BigQuery's script computes the same hash.
        """
        values = [
            self.planned_digest(),
            *(getattr(self, name) or 0 for name in COUNTED),
            self.rows_digest,
            _sha256(json.dumps([{name: found.get(name) for name in _VERDICT} for found in self.audits])),
            round(self.merge_ms * 10),
            (self.consolidated_at - _EPOCH) // timedelta(microseconds=1),
            self.previous_hash,
        ]
        return _sha256(json.dumps(values, separators=(",", ":")))

    def hashed(self) -> Receipt:
        return replace(self, receipt_hash=self.computed_hash())

    @property
    def is_altered(self) -> bool:
        """True if a value was changed after the commit."""
        are_pruned = self.pruned_at is not None and not self.parts and not self.missing
        lists = self.lists_digest if are_pruned else lists_digest(self.parts, self.missing)
        return (self.lists_digest, self.receipt_hash) != (lists, self.computed_hash())

    def to_row(self) -> dict[str, Any]:
        row = as_row(self)
        row["game_date"] = date.fromisoformat(row.pop("slate"))
        for name in LISTS:
            row[name] = json.dumps(list(getattr(self, name)))
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Receipt:
        """Return the receipt that a row of the receipts table holds.

        Raises:
            ReceiptAltered: the row was edited by hand.
        """
        receipt = cls.parsed(row)
        if receipt.is_altered:
            raise _altered(row, "isn't what its hash was made for")
        return receipt

    @classmethod
    def parsed(cls, row: Mapping[str, Any]) -> Receipt:
        """Return the receipt that a row holds, edited or not.

        Raises:
            ReceiptAltered: the row can't be read.
        """
        values = dict(row)
        values["slate"] = values.pop("game_date").isoformat()
        try:
            for name in LISTS:
                values[name] = tuple(json.loads(values[name]))
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise _altered(row, f"can't be read ({error})") from error


LISTS = ("parts", "missing", "audits", "accepted")
"""The lists of a receipt; its row has each as a JSON document."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_VERDICT = ("name", "passed", "severity", "detail")
"""An audit's verdict, in the order in which the hash covers it: Firestore returns a map's fields in any order."""


def lists_digest(parts: Sequence[Mapping[str, Any]], missing: Sequence[Mapping[str, Any]]) -> str:
    """Return SHA-256 over a receipt's two long lists, which are pruned before the receipt is."""
    return _sha256(json.dumps([list(parts), list(missing)], sort_keys=True, separators=(",", ":")))


def rows_digest(content_hashes: Iterable[str]) -> str:
    """Return SHA-256 over the sorted hashes of rows, as the MERGE's SQL computes it."""
    return _sha256("".join(sorted(content_hashes)))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """What a MERGE did to the slate's rows: numbers of keys, as in the receipt."""

    staged: int
    inserted: int
    updated: int
    unchanged: int
    superseded: int
    active: int  # rows in force after it
    digest: str  # `rows_digest` of those rows


def merged_part_ids(receipts: Iterable[Receipt]) -> frozenset[str]:
    """Return the ids of the parts that receipts name: their rows are in the predictions table."""
    return frozenset(part["part_id"] for receipt in receipts for part in receipt.parts)


def replaced_part_ids(receipts: Iterable[Receipt]) -> frozenset[str]:
    """Return the ids of merged parts whose rows a later MERGE took out of force.

    An outcome that still names one is older than the receipts: batch state was restored from an older backup.
    """
    in_force: dict[str, str] = {}
    replaced: set[str] = set()
    for receipt in receipts:
        for part in receipt.parts:
            replaced.add(in_force.get(part["player_slug"], ""))
            in_force[part["player_slug"]] = part["part_id"]
        retracted = {player["player_slug"] for player in receipt.missing if player["outcome"] == "skipped"}
        for slug in in_force.keys() if receipt.rows == 0 else retracted:
            replaced.add(in_force.get(slug, ""))
    return frozenset(replaced - {""})


def merged_fences(receipts: Iterable[Receipt]) -> dict[str, int]:
    """Return the highest fence of each player's merged parts, by slug."""
    fences: dict[str, int] = {}
    for receipt in receipts:
        for part in receipt.parts:
            slug = part["player_slug"]
            fences[slug] = max(fences.get(slug, 0), fence_of(part["part_id"]))
    return fences


def later_than(earlier: Sequence[Receipt], now: datetime) -> datetime:
    """Return the moment of a slate's next receipt: now, or just after the newest receipt's.

    A clock that was set back must not make a receipt look older than the ones before it.
    """
    return max([now, *(receipt.consolidated_at + timedelta(microseconds=1) for receipt in earlier[-1:])])


def unaltered(copy: Receipt, where: str) -> Receipt | None:
    """Return batch state's copy of a receipt, None if it was edited by hand.

    Without the copy the slate is consolidated again. That finds the receipt in the warehouse, merges nothing twice and
    copies it again.
    """
    if copy.is_altered:
        _logger.warning(
            "slate %s: the copy of receipt %s in %s was edited by hand; it is ignored and copied again",
            copy.slate, copy.receipt_id, where,
        )  # fmt: skip
        return None
    return copy


def _altered(values: Mapping[str, Any], problem: str) -> ReceiptAltered:
    return ReceiptAltered(
        f"slate {values['game_date']}: receipt {values['receipt_id']} in predictions.consolidation_receipts {problem}: "
        "it was edited by hand. Nothing of the slate is merged, dropped or announced until the row is restored from a "
        "backup"
    )

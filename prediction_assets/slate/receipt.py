"""The receipt: what a MERGE consumed and did, committed in its transaction.

How a receipt is made from a merge plan is in :mod:`.merge_plan`. A seal shows if a receipt was edited by hand.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from prediction_assets.errors import ReceiptAltered
from prediction_assets.slate.outcome import fence_of

_logger = logging.getLogger(__name__)

_SEALED = (
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
    "parts",
    "missing",
)
"""What a receipt's seal covers: all that is decided before the MERGE. What the MERGE counts is covered by the
check ``staged_rows_are_accounted_for``. A name that is added here makes every stored receipt look altered."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One committed MERGE: a row of ``consolidation_receipts``.

    Attributes:
        seal: what :meth:`computed_seal` gave when the receipt was made.
    """

    receipt_id: str
    slate: str
    league: str
    batch_id: str
    status: str
    revision: int
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
    feature_snapshot: str
    facts_version: int
    merge_ms: float
    consolidated_at: datetime
    parts: tuple[dict[str, Any], ...] = field(default=())
    missing: tuple[dict[str, Any], ...] = field(default=())
    seal: str = ""

    @property
    def is_retraction(self) -> bool:
        """Whether there is nothing to predict: no game is on any more, or every expected player was skipped.

        Only then may a slate have 0 rows.
        """
        return self.skipped_players == self.expected_players

    def computed_seal(self) -> str:
        """Return SHA-256 over the values that were decided before the MERGE."""
        values = [getattr(self, name) for name in _SEALED]
        return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def sealed(self) -> Receipt:
        """Return the receipt with its seal."""
        return replace(self, seal=self.computed_seal())

    @property
    def is_altered(self) -> bool:
        """True if a value that the seal covers was changed after the commit."""
        return self.seal != self.computed_seal()

    def to_row(self) -> dict[str, Any]:
        """Return the receipt as a row of the receipts table."""
        row = asdict(self)
        row["game_date"] = date.fromisoformat(row.pop("slate"))
        row["parts"] = json.dumps(list(self.parts))
        row["missing"] = json.dumps(list(self.missing))
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Receipt:
        """Return the receipt that a row of the receipts table holds.

        Raises:
            ReceiptAltered: the row was edited by hand.
        """
        values = dict(row)
        values["slate"] = values.pop("game_date").isoformat()
        try:
            values["parts"] = tuple(json.loads(values["parts"]))
            values["missing"] = tuple(json.loads(values["missing"]))
            receipt = cls(**values)
        except (TypeError, ValueError) as error:
            raise _altered(values, f"can't be read ({error})") from error
        if receipt.is_altered:
            raise _altered(values, "isn't what its seal was made for")
        return receipt


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """Rows that a MERGE staged, inserted, updated, left unchanged and superseded; active rows after it."""

    staged: int
    inserted: int
    updated: int
    unchanged: int
    superseded: int
    active: int


def merged_part_ids(receipts: Iterable[Receipt]) -> frozenset[str]:
    """Return the ids of the parts that receipts name: their rows are in the predictions table."""
    return frozenset(part["part_id"] for receipt in receipts for part in receipt.parts)


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

    Args:
        earlier: the slate's receipts so far, oldest first.
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
        f"slate {values['slate']}: receipt {values['receipt_id']} in predictions.consolidation_receipts {problem}: "
        "it was edited by hand. Nothing of the slate is merged, dropped or announced until the row is restored from a "
        "backup"
    )

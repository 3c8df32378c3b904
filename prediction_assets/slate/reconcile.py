"""Reconciling: which store of a slate is behind the others.

The warehouse holds the receipts. Batch state holds a copy of the newest one, the outbox the messages, the destination
the delivered ones. Each may be lost, or restored from an older backup. What is done about it is in
:mod:`prediction_assets.orchestration.sensors.reconciling`. Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from prediction_assets.slate.completion_message import OutboxEntry, message_id, outbox_entry_of
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.revisions import SeenRevision, revision_floor


class Behind(StrEnum):
    """A store that lacks what another one has, and what brings it up."""

    WAREHOUSE = "warehouse"
    """Another store has seen a newer revision: the slate is staged and merged again."""
    BATCH_STATE = "batch state"
    """It doesn't have the newest receipt: the consolidation is finished again, or the slate is staged again."""
    OUTBOX = "outbox"
    """The newest revision isn't delivered: it is announced."""
    DELIVERY = "destination"
    """A delivered message isn't there any more: it is delivered again, under the same id."""


@dataclass(frozen=True, slots=True)
class SlateCopies:
    """What each store has of one slate."""

    receipt: Receipt | None  # the newest receipt in the warehouse
    copy: Receipt | None  # batch state's copy of the newest receipt
    messages: Sequence[OutboxEntry]  # the slate's entries in the outbox
    # revisions at the destination, by message id; None if nobody can look there
    delivered: Mapping[str, int] | None

    @property
    def seen(self) -> tuple[SeenRevision, ...]:
        return (
            *(() if self.copy is None else (SeenRevision(self.copy.revision, message_id(self.copy)),)),
            *(SeenRevision(entry.revision, entry.message_id) for entry in self.messages),
            *(SeenRevision(revision, sent) for sent, revision in (self.delivered or {}).items()),
        )

    @property
    def newest_seen(self) -> int:
        """The highest revision that was seen outside of the warehouse, 0 for none."""
        return max((each.revision for each in self.seen), default=0)


def behind(copies: SlateCopies) -> tuple[Behind, ...]:
    """Return the stores that are behind; nothing else is brought up until the warehouse is."""
    receipt = copies.receipt
    if receipt is None:
        is_behind = copies.newest_seen > 0 and not _is_retracted(copies)
        return (Behind.WAREHOUSE,) if is_behind else ()
    if receipt.revision <= revision_floor(receipt.slate, receipt.content_digest, copies.seen):
        return (Behind.WAREHOUSE,)
    found = []
    if copies.copy is None or copies.copy.receipt_id != receipt.receipt_id:
        found.append(Behind.BATCH_STATE)
    entry = outbox_entry_of(receipt, copies.messages)
    if entry is None or entry.delivery_id is None:
        found.append(Behind.OUTBOX)
    elif copies.delivered is not None and entry.message_id not in copies.delivered:
        found.append(Behind.DELIVERY)
    return tuple(found)


def _is_retracted(copies: SlateCopies) -> bool:
    """Return whether the newest revision that was seen has no rows: an empty warehouse is right about that slate."""
    rows = [
        *([copies.copy.rows] if copies.copy and copies.copy.revision == copies.newest_seen else []),
        *(entry.message["rows"] for entry in copies.messages if entry.revision == copies.newest_seen),
    ]
    return bool(rows) and not any(rows)

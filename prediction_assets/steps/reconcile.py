"""Read what each store has of a slate, so that they can be compared (:mod:`prediction_assets.slate.reconcile`)."""

from __future__ import annotations

from prediction_assets.slate.reconcile import SlateCopies
from prediction_assets.stores.protocols import BatchState, Outbox, Publisher, Warehouse


def read_copies(
    slate: str, warehouse: Warehouse, state: BatchState, outbox: Outbox, publisher: Publisher
) -> SlateCopies:
    """Return what each store has of a slate."""
    copy, messages, delivered = state.consolidated(slate), outbox.entries(slate), publisher.delivered(slate)
    # Last: every receipt is committed before a copy or a message of it is made. Read first, a slate that is merged in
    # between would look like a warehouse that is behind.
    receipts = warehouse.receipts(slate)
    return SlateCopies(receipts[-1] if receipts else None, copy, messages, delivered)

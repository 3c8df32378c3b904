"""Claim: take a slate's next fence, before a run reads anything that it will write from.

A run that pauses, for as long as it likes, has a lower fence than each run that began after it. What it writes then
doesn't count where the other's does.
"""

from __future__ import annotations

from prediction_assets.errors import ReceiptAltered
from prediction_assets.slate.outcome import highest_fence
from prediction_assets.slate.receipt import merged_fences
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, Warehouse


def claim_fence(slate: str, warehouse: Warehouse, state: BatchState) -> int:
    """Return a fence above all that batch state, the parts in staging and the receipts know.

    Parts and receipts know the fences of a batch state that was lost or restored from an older backup. Only a run that
    had claimed a fence and not yet written a part is unknown to them.

    Raises:
        BatchNotOpen: the slate has no batch.
    """
    try:
        merged = merged_fences(warehouse.receipts(slate))
    except ReceiptAltered:  # nothing of the slate is merged until the receipt is restored
        merged = {}
    staged = highest_fence(part_id for _, part_id in warehouse.parts.staged(slate))
    fence = state.claim_fence(slate, above=max(staged, *merged.values(), 0))
    reached("fence_claimed")
    return fence

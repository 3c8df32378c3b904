"""Claim: take a slate's next fence, before a run reads anything that it will write from.

A run that pauses, for as long as it likes, has a lower fence than each run that began after it. What it writes then
doesn't count where the other's does.
"""

from __future__ import annotations

from prediction_assets.errors import ReceiptAltered
from prediction_assets.slate.receipt import merged_fences
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, Warehouse


def claim_fence(slate: str, warehouse: Warehouse, state: BatchState) -> int:
    """Return a fence above all that batch state, the staging area and the receipts know.

    The staging area keeps it, too. So a batch state that was lost, or restored from an older backup, gives no number
    twice, and none that is lower than that of a run which is still under way.
    """
    try:
        merged = merged_fences(warehouse.receipts(slate))
    except ReceiptAltered:  # nothing of the slate is merged until the receipt is restored
        merged = {}
    known = max(warehouse.parts.highest_fence(slate), *merged.values(), 0)
    fence = state.claim_fence(slate, above=known)
    warehouse.parts.keep_fence(slate, fence)  # before the caller reads a fact
    reached("fence_claimed")
    return fence

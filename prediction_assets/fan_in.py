"""The end of a consolidation: the parts that receipts cover are dropped, and batch state learns of the receipt.

For the ``staging_cleanup`` asset, the command line and tests, over the ports. What to merge is decided in
:mod:`prediction_assets.consolidation`, and the warehouse merges it. Nothing of Dagster's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prediction_assets.batch_state.port import BatchState
from prediction_assets.crash_points import reached
from prediction_assets.warehouse.port import Receipt, Warehouse


@dataclass(frozen=True, slots=True)
class Released:
    """What became of a slate's staging area.

    Attributes:
        dropped: players whose part a receipt covered, and which is gone now.
        kept: players whose part no receipt covers, or can't be read.
        swept: what killed writes had left behind.
        strays: names in the staging area that are no parts; they were left alone.
    """

    dropped: tuple[str, ...]
    kept: tuple[str, ...]
    swept: int
    strays: tuple[str, ...]


def covered(staged: Mapping[str, str], receipts: Iterable[Receipt]) -> dict[str, str]:
    """Return the staged parts that receipts name, as part id by player: they are merged and may be dropped."""
    named = {part["part_id"] for receipt in receipts for part in receipt.parts}
    return {slug: part_id for slug, part_id in staged.items() if part_id in named}


def release(warehouse: Warehouse, state: BatchState, slate: str) -> Released:
    """Drop exactly the parts that the slate's receipts name, then mirror the newest receipt to batch state.

    Safe to repeat, and to be killed anywhere: a part that was written after the MERGE has another id and stays.

    Raises:
        ReceiptAltered: a receipt was edited by hand; nothing was dropped.
    """
    receipts = warehouse.receipts(slate)
    staged = warehouse.parts.staged(slate)
    dropped = []
    for slug, part_id in covered(staged, receipts).items():
        if warehouse.parts.drop(slate, slug, part_id):
            dropped.append(slug)
            reached("part_dropped")
    swept, strays = warehouse.parts.sweep(slate), warehouse.parts.strays(slate)
    # Last of all: until batch state knows the receipt, the sensor asks for this consolidation again.
    if receipts:
        state.mirror_receipt(receipts[-1])
        reached("receipt_mirrored")
    return Released(tuple(dropped), tuple(sorted(staged.keys() - set(dropped))), swept, tuple(strays))

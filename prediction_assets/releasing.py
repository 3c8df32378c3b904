"""What follows a MERGE in the staging area: the parts that receipts cover are dropped, and nothing else is.

For the ``staging_cleanup`` asset, and for tests that stop it anywhere, over the warehouse's port. What to merge
and what to drop is decided in :mod:`prediction_assets.consolidation`. Nothing of Dagster's.
"""

from __future__ import annotations

from dataclasses import dataclass

from prediction_assets.consolidation import releasable_parts
from prediction_assets.crash_points import reached
from prediction_assets.warehouse.port import Receipt, Warehouse


@dataclass(frozen=True, slots=True)
class Released:
    """What became of a slate's staging area.

    Attributes:
        receipts: the slate's receipts, oldest first.
        dropped: players whose part a receipt covered, and which is gone now.
        kept: players whose part no receipt covers, or can't be read.
        swept: how many files killed writes had left behind.
        strays: names in the staging area that are no parts; they were left alone.
    """

    receipts: tuple[Receipt, ...]
    dropped: tuple[str, ...]
    kept: tuple[str, ...]
    swept: int
    strays: tuple[str, ...]


def release(warehouse: Warehouse, slate: str) -> Released:
    """Drop exactly the parts that the slate's receipts name, and what killed writes left.

    Safe to repeat, and to be killed anywhere: a part that was written after the MERGE has another id and stays.

    Raises:
        ReceiptAltered: a receipt was edited by hand; nothing was dropped.
    """
    receipts = warehouse.receipts(slate)
    staged = warehouse.parts.staged(slate)
    dropped = []
    for slug, part_id in releasable_parts(staged, receipts).items():
        if warehouse.parts.drop(slate, slug, part_id):
            dropped.append(slug)
            reached("part_dropped")
    return Released(
        receipts=receipts,
        dropped=tuple(dropped),
        kept=tuple(sorted(staged.keys() - set(dropped))),
        swept=warehouse.parts.sweep(slate),
        strays=tuple(warehouse.parts.strays(slate)),
    )

"""What follows a MERGE in the staging area: parts that receipts cover are dropped, and those that nobody will merge.

For the ``staging_cleanup`` asset, and for tests that stop it anywhere, over the warehouse's port. What to merge
and what to drop is decided in :mod:`prediction_assets.slate.merge_plan`. Nothing of Dagster's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prediction_assets.slate.part_states import abandoned_parts, covered_parts, releasable_parts
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, Warehouse

RECORDED_WITHIN = timedelta(hours=1)
"""A part that is older is recorded by nobody any more: staging runs record what they wrote within seconds."""


@dataclass(frozen=True, slots=True)
class Released:
    """What became of a slate's staging area.

    Attributes:
        receipts: the slate's receipts, oldest first.
        dropped: players whose part a receipt covered, and which is gone now.
        abandoned: players whose part no outcome needs, and which is gone now.
        kept: players whose part is still to be merged, is a new one, or can't be read.
        swept: how many files killed writes had left behind.
        strays: names in the staging area that are no parts; they were left alone.
    """

    receipts: tuple[Receipt, ...]
    dropped: tuple[str, ...]
    abandoned: tuple[str, ...]
    kept: tuple[str, ...]
    swept: int
    strays: tuple[str, ...]


def release(warehouse: Warehouse, slate: str, state: BatchState | None = None) -> Released:
    """Drop exactly the parts that the slate's receipts name, those that no outcome needs, and what killed writes left.

    Safe to repeat, and to be killed anywhere: a part that was written after the MERGE has another id and stays.

    Args:
        state: says which parts no outcome needs; without it only those that receipts name are dropped.

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
    abandoned = [
        slug
        for slug, part_id in unneeded_parts(warehouse, slate, receipts, state).items()
        if warehouse.parts.drop(slate, slug, part_id)
    ]
    return Released(
        receipts=receipts,
        dropped=tuple(dropped),
        abandoned=tuple(abandoned),
        kept=tuple(sorted(staged.keys() - {*dropped, *abandoned})),
        swept=warehouse.parts.sweep(slate),
        strays=tuple(warehouse.parts.strays(slate)),
    )


def unneeded_parts(
    warehouse: Warehouse, slate: str, receipts: tuple[Receipt, ...], state: BatchState | None
) -> Mapping[str, str]:
    """Return the parts that no outcome needs and that were written before the newest receipt, or long ago."""
    moment = max([datetime.now(UTC) - RECORDED_WITHIN, *(r.consolidated_at for r in receipts[-1:])])
    covered = covered_parts(receipts)
    older = {
        slug: part_id
        for slug, part_id in warehouse.parts.staged(slate, moment).items()
        if part_id not in covered
    }
    progress = state.progress(slate) if state is not None and older else None
    return abandoned_parts(progress, older, receipts) if progress is not None else {}

"""Clean up: what follows a MERGE. Merged and orphaned parts are dropped, settled dead letters are closed.

Exactly the parts that a receipt names are dropped, and old parts that no MERGE will take: a part that was written after
the MERGE has another id and stays. Safe to repeat, and to be killed anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prediction_assets.slate.dead_letter import Closing, letters_settled_by
from prediction_assets.slate.part_states import PartState, part_states, players_with
from prediction_assets.slate.receipt import Receipt, merged_part_ids
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, DeadLetters, Warehouse

RECORDED_WITHIN = timedelta(hours=1)
"""An older part that no outcome names is orphaned: staging runs record what they wrote within seconds."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DroppableParts:
    """The parts of a slate that can be dropped, by player slug.

    Attributes:
        merged: parts that a receipt names.
        orphaned: parts that no MERGE will take, written before the newest receipt or more than
            :data:`RECORDED_WITHIN` ago.
        kept: players whose part stays: it is still to be merged, is new, or can't be read.
        receipts: the slate's receipts, oldest first.
    """

    merged: Mapping[str, str]
    orphaned: Mapping[str, str]
    kept: tuple[str, ...]
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What a cleanup did to a slate's staging area.

    Attributes:
        merged: players whose merged part was dropped.
        orphaned: players whose orphaned part was dropped.
        kept: players whose part is still to be merged, is new, or can't be read.
        swept: how many files of killed writes were removed.
        strays: names in the staging area that are no parts; they were left alone.
        receipts: the slate's receipts, oldest first.
    """

    merged: tuple[str, ...]
    orphaned: tuple[str, ...]
    kept: tuple[str, ...]
    swept: int
    strays: tuple[str, ...]
    receipts: tuple[Receipt, ...]


def droppable_parts(slate: str, warehouse: Warehouse, state: BatchState, *, now: datetime) -> DroppableParts:
    """Return what :func:`clean_up` would drop at the moment ``now``.

    Raises:
        ReceiptAltered: a receipt was edited by hand.
    """
    receipts = warehouse.receipts(slate)
    staged = warehouse.parts.staged(slate)
    # A new part may be one whose outcome is about to be recorded.
    settled_before = max([now - RECORDED_WITHIN, *(r.consolidated_at for r in receipts[-1:])])
    old = warehouse.parts.staged(slate, settled_before)
    # Read after the parts were listed, and only if it can matter: Firestore bills the read.
    progress = state.progress(slate) if set(old.values()) - merged_part_ids(receipts) else None
    merged = players_with(part_states(progress, staged, receipts), PartState.MERGED)
    orphaned = players_with(part_states(progress, old, receipts), PartState.ORPHANED)
    kept = tuple(sorted(staged.keys() - merged.keys() - orphaned.keys()))
    return DroppableParts(merged, orphaned, kept, receipts)


def clean_up(slate: str, warehouse: Warehouse, state: BatchState, *, now: datetime) -> CleanedUp:
    """Drop a slate's merged and orphaned parts, and remove what killed writes left.

    Raises:
        ReceiptAltered: a receipt was edited by hand; nothing was dropped.
    """
    found = droppable_parts(slate, warehouse, state, now=now)
    merged = []
    for slug, part_id in found.merged.items():
        if warehouse.parts.drop(slate, slug, part_id):
            merged.append(slug)
            reached("part_dropped")
    orphaned = [
        slug for slug, part_id in found.orphaned.items() if warehouse.parts.drop(slate, slug, part_id)
    ]
    done = CleanedUp(
        merged=tuple(merged),
        orphaned=tuple(orphaned),
        kept=found.kept,
        swept=warehouse.parts.sweep(slate),
        strays=tuple(warehouse.parts.strays(slate)),
        receipts=found.receipts,
    )
    if done.strays:
        _logger.warning(
            "slate %s: %d names in staging are no parts and were left alone: %s",
            slate, len(done.strays), ", ".join(done.strays[:10]),
            extra={"slate": slate},
        )  # fmt: skip
    return done


def finish_consolidation(
    slate: str, receipts: tuple[Receipt, ...], state: BatchState, dead_letters: DeadLetters
) -> int:
    """Close the dead letters that a consolidation settled, and mark it finished; return how many were closed.

    Args:
        receipts: the slate's receipts, oldest first, at least one; the newest one's checks have passed.
    """
    progress = state.progress(slate)
    closed = 0
    if progress is not None and (letters := dead_letters.letters(slate)):
        closed = dead_letters.close(slate, letters_settled_by(progress, receipts, letters), Closing.REPLAYED)
    reached("dead_letters_closed")
    # Last: until batch state has the receipt, the sensor requests this consolidation again.
    state.mark_consolidated(receipts[-1])
    reached("consolidation_marked")
    return closed

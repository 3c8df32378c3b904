"""Clean up: what follows a MERGE. Merged and orphaned parts are dropped, settled dead letters are closed.

Exactly the parts that a receipt names are dropped, and parts that no MERGE will take: a part that was written after the
MERGE has another id and stays. A part of a higher fence than its player's outcome stays, too, because its run may still
record it. Safe to repeat, and to be killed anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from prediction_assets.slate.batch import Progress
from prediction_assets.slate.dead_letter import Closing, letters_settled_by
from prediction_assets.slate.part_states import PartState, abandoned, part_states, parts_in
from prediction_assets.slate.receipt import Receipt, merged_part_ids
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, DeadLetters, Parts, Warehouse

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DroppableParts:
    """The parts of a slate that can be dropped, as player slug and part id."""

    merged: Sequence[tuple[str, str]]  # parts that a receipt names
    orphaned: Sequence[tuple[str, str]]  # parts that no MERGE will take, or that were abandoned
    kept: tuple[str, ...]  # players with a part that stays: it is still to be merged, or can't be read
    receipts: tuple[Receipt, ...]  # the slate's receipts, oldest first


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What a cleanup did to a slate's staging area."""

    merged: tuple[str, ...]  # players whose merged part was dropped
    orphaned: tuple[str, ...]  # players whose orphaned part was dropped
    kept: tuple[str, ...]  # players with a part that is still to be merged, or can't be read
    swept: int  # how many files of killed writes were removed
    strays: tuple[str, ...]  # names in the staging area that are no parts; they were left alone
    receipts: tuple[Receipt, ...]  # the slate's receipts, oldest first


def droppable_parts(slate: str, warehouse: Warehouse, state: BatchState, *, now: datetime) -> DroppableParts:
    """Return what :func:`clean_up` would drop at the moment ``now``."""
    receipts = warehouse.receipts(slate)
    staged = warehouse.parts.staged(slate)
    # Read after the parts were listed, and only if it can matter: Firestore bills the read.
    progress = (
        state.progress(slate) if {part_id for _, part_id in staged} - merged_part_ids(receipts) else None
    )
    states = part_states(progress, staged, receipts)
    merged, orphaned = parts_in(states, PartState.MERGED), parts_in(states, PartState.ORPHANED)
    orphaned += abandoned(states, progress, now)
    kept = tuple(sorted({slug for slug, _ in {*staged} - {*merged, *orphaned}}))
    return DroppableParts(merged, orphaned, kept, receipts)


def drop_orphans(
    progress: Progress, players: Collection[str], staged: Iterable[tuple[str, str]], parts: Parts
) -> None:
    """Drop these players' orphaned parts."""
    theirs = [part for part in staged if part[0] in players]
    orphaned = parts_in(part_states(progress, theirs, ()), PartState.ORPHANED)
    list(parts.drop(progress.batch.slate, orphaned))


def clean_up(slate: str, warehouse: Warehouse, state: BatchState, *, now: datetime) -> CleanedUp:
    """Drop a slate's merged and orphaned parts, and remove what killed writes left.

    Raises:
        ReceiptAltered: a receipt was edited by hand; nothing was dropped.
    """
    found = droppable_parts(slate, warehouse, state, now=now)
    dropped = set()
    for part in warehouse.parts.drop(slate, [*found.merged, *found.orphaned]):
        dropped.add(part)
        reached("part_dropped")
    done = CleanedUp(
        merged=tuple(slug for slug, part_id in found.merged if (slug, part_id) in dropped),
        orphaned=tuple(slug for slug, part_id in found.orphaned if (slug, part_id) in dropped),
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
    closed = 0
    # The batch is read after its letters, and only if there are any: Firestore bills each outcome.
    if (letters := dead_letters.letters(slate)) and (progress := state.progress(slate)) is not None:
        closed = dead_letters.close(slate, letters_settled_by(progress, receipts, letters), Closing.REPLAYED)
    reached("dead_letters_closed")
    state.prune_outcomes(slate)
    # Last: until batch state has the receipt, the sensor requests this consolidation again.
    state.mark_consolidated(receipts[-1])
    reached("consolidation_marked")
    return closed

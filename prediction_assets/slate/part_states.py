"""What each part is to its slate: merged, pending, lost or orphaned.

Cleanup, the sensors and the health report decide by these states and by nothing else. They say what a part is; when an
orphaned part may be dropped is cleanup's rule (:mod:`prediction_assets.steps.cleanup`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from prediction_assets.slate.batch import ExpectedPlayer, Progress
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.receipt import Receipt, merged_part_ids, replaced_part_ids


class PartState(StrEnum):
    """What a part is to its slate."""

    MERGED = "merged"
    """A receipt names it: its rows are in the predictions table."""
    PENDING = "pending"
    """It is in staging, and its player's outcome names it, or may name it soon."""
    LOST = "lost"
    """Its player's outcome names it, and no MERGE can take it: its player has to be staged again."""
    ORPHANED = "orphaned"
    """It is in staging, and its player's outcome needs no part: no MERGE will take it."""


def part_states(
    progress: Progress | None, staged: Mapping[str, str], receipts: Iterable[Receipt]
) -> dict[tuple[str, str], PartState]:
    """Return the state of each part that is in staging or that an outcome names, by player slug and part id.

    Args:
        progress: the batch as it stands, read after the parts were listed; None before it is opened.
        staged: the part id that each player slug has in staging, ``""`` for a part that can't be read.
        receipts: the slate's receipts.
    """
    receipts = tuple(receipts)
    merged, replaced = merged_part_ids(receipts), replaced_part_ids(receipts)
    states = {
        (slug, part_id): _state_in_staging(progress, slug, part_id, merged)
        for slug, part_id in staged.items()
    }
    for player in progress.batch.expected if progress is not None else ():
        done = progress.outcomes.get(player.slug) if progress is not None else None
        if (
            done is not None
            and done.part is not None
            and _is_lost(player, done.part, staged, merged, replaced)
        ):
            states[player.slug, done.part.part_id] = PartState.LOST
    return states


def players_with(states: Mapping[tuple[str, str], PartState], wanted: PartState) -> dict[str, str]:
    """Return the parts in one state, by player slug, sorted."""
    return {slug: part_id for (slug, part_id), state in sorted(states.items()) if state is wanted}


def _state_in_staging(
    progress: Progress | None, slug: str, part_id: str, merged: frozenset[str]
) -> PartState:
    if part_id in merged:
        return PartState.MERGED
    # An unreadable part is kept for a person to look at.
    if progress is None or not part_id:
        return PartState.PENDING
    done = progress.outcomes.get(slug)
    if done is None:  # a staging run may be about to record the part of an expected player
        is_needed = any(player.slug == slug for player in progress.batch.expected)
    else:  # a part that the outcome names is merged before another one of its player counts
        is_needed = done.part is not None and done.part.part_id not in merged
    return PartState.PENDING if is_needed else PartState.ORPHANED


def _is_lost(
    player: ExpectedPlayer,
    part: PartRef,
    staged: Mapping[str, str],
    merged: frozenset[str],
    replaced: frozenset[str],
) -> bool:
    # Batch state was restored from before a later part of his was merged.
    if part.part_id in replaced:
        return True
    # The slate was reopened, while a run staged, with another player of the same slug.
    if part.player_id != player.player_id:
        return True
    # A staging run was killed after it replaced a part and before it recorded that.
    return part.part_id not in merged and staged.get(player.slug) != part.part_id

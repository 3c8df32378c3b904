"""What each part is to its slate: merged, pending, lost or orphaned.

Cleanup, staging, the sensors and the health report decide by these states and by nothing else. An orphaned part can be
dropped at once: the fences say that no outcome can come to name it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from prediction_assets.slate.batch import ExpectedPlayer, Progress
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome, fence_of
from prediction_assets.slate.receipt import Receipt, merged_fences, merged_part_ids, replaced_part_ids

ABANDONED_AFTER = timedelta(days=1)


class PartState(StrEnum):
    MERGED = "merged"
    """A receipt names it: its rows are in the predictions table."""
    PENDING = "pending"
    """It is in staging, and its player's outcome names it, or a later outcome may."""
    LOST = "lost"
    """Its player's outcome names it, and no MERGE can take it: its player has to be staged again."""
    ORPHANED = "orphaned"
    """It is in staging, and no MERGE will take it: its player has another outcome, of its fence or a higher one."""


def part_states(
    progress: Progress | None, staged: Collection[tuple[str, str]], receipts: Iterable[Receipt]
) -> dict[tuple[str, str], PartState]:
    """Return the state of each part that is in staging or that an outcome names, by player slug and part id.

    Args:
        progress: the batch as it stands, read after the parts were listed; None before it is opened.
        staged: player slug and part id of the parts in staging; the id is ``""`` for a part that can't be read.
        receipts: the slate's receipts.
    """
    receipts = tuple(receipts)
    merged, replaced = merged_part_ids(receipts), replaced_part_ids(receipts)
    fences = merged_fences(receipts)
    states = {(slug, part_id): _state_in_staging(progress, slug, part_id, merged) for slug, part_id in staged}
    for player in progress.batch.expected if progress is not None else ():
        done = progress.outcomes.get(player.slug) if progress is not None else None
        if done is None:
            continue
        there = (player.slug, done.part.part_id if done.part is not None else "")
        if is_stale(done, fences, replaced) or (
            done.part is not None
            and (is_another_players(player, done.part) or not (there[1] in merged or there in states))
        ):
            states[there] = PartState.LOST
    return states


def parts_in(states: Mapping[tuple[str, str], PartState], wanted: PartState) -> list[tuple[str, str]]:
    """Return player slug and id of the parts in one state, sorted."""
    return sorted(part for part, state in states.items() if state is wanted)


def players_with(states: Mapping[tuple[str, str], PartState], wanted: PartState) -> tuple[str, ...]:
    """Return the slugs of the players with a part in one state, sorted."""
    return tuple(sorted({slug for slug, _ in parts_in(states, wanted)}))


def abandoned(
    states: Mapping[tuple[str, str], PartState], progress: Progress | None, now: datetime
) -> list[tuple[str, str]]:
    """Return the pending parts that no outcome names, a day after the slate's deadline: their runs were killed.

    If the clock is wrong and such a part is dropped before its outcome is recorded, its player is staged again.
    """
    if progress is None or now <= progress.batch.deadline + ABANDONED_AFTER:
        return []
    named = {done.part.part_id for done in progress.outcomes.values() if done.part is not None}
    return [part for part in parts_in(states, PartState.PENDING) if part[1] and part[1] not in named]


def is_another_players(player: ExpectedPlayer, part: PartRef) -> bool:
    """Return whether a part is not of the player who is expected now.

    The slate was reopened, while a run staged, with another player of the same slug.
    """
    return part.player_id != player.player_id


def is_stale(done: PlayerOutcome, merged: Mapping[str, int], replaced: Collection[str]) -> bool:
    """Return whether an outcome is older than rows of its player that were merged, and would take them out of force.

    Batch state was restored from before the later outcome was recorded. A failure takes nothing out of force.

    Args:
        merged: the highest merged fence of each player, as :func:`.merged_fences` returns it.
        replaced: ids of merged parts whose rows a later MERGE took out of force, as :func:`.replaced_part_ids`
            returns them: a later skip merged no part, so that no fence tells of it.
    """
    if done.outcome is Outcome.FAILED:
        return False
    is_replaced = done.part is not None and done.part.part_id in replaced
    return is_replaced or done.fence < merged.get(done.player_slug, 0)


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
    else:  # an outcome with a lower fence doesn't count any more; a higher one may be about to be recorded
        is_named = done.part is not None and done.part.part_id == part_id
        is_needed = is_named or fence_of(part_id) > done.fence
    return PartState.PENDING if is_needed else PartState.ORPHANED

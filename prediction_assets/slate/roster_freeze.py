"""The rule that a batch's expected players are frozen when it is opened, shared by every implementation.

Opening the same batch again does nothing, in whatever order its players come. Opening it with other players, or with a
player in another game, is refused; the message says what would change. Reopening it keeps the outcomes of the players
who are the same. Pure functions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC

from prediction_assets.errors import BatchConflict
from prediction_assets.slate.batch import Batch


def require_same_work(earlier: Batch, later: Batch) -> Batch:
    """Return the batch that was opened first.

    Raises:
        BatchConflict: the later one has other expected players or another league.
    """
    if _work(earlier) != _work(later):
        raise BatchConflict(_difference(earlier, later))
    return earlier


def unchanged(earlier: Batch | None, later: Batch) -> frozenset[str]:
    """Return the slugs of the players who are the same in both batches: their outcomes still count.

    A player whose id, team, opponent or game changed is another one, because his part is about something else. Without
    an earlier batch every player is the same: outcomes recorded before the batch was opened count as the batch's.
    """
    known = later.expected if earlier is None else earlier.expected
    return frozenset(player.slug for player in {*known} & {*later.expected})


def _work(batch: Batch) -> tuple[object, ...]:
    return batch.league, *sorted(batch.expected, key=lambda player: player.slug)


@dataclass(frozen=True, slots=True)
class RosterChange:
    """How the expected players of two batches of a slate differ: their slugs, sorted."""

    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  # another player, team, opponent or game


def roster_change(earlier: Batch, later: Batch) -> RosterChange:
    """Return how the expected players of a later batch differ from those of an earlier one."""
    before, after = ({player.slug: player for player in each.expected} for each in (earlier, later))
    both = sorted(before.keys() & after.keys())
    return RosterChange(
        added=tuple(sorted(after.keys() - before.keys())),
        dropped=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(slug for slug in both if before[slug] != after[slug]),
    )


def keeping(earlier: Batch, later: Batch, begun: Collection[str]) -> Batch:
    """Return the later batch, but with the players of begun games as the earlier one has them.

    Args:
        begun: the ids of games whose tip-off is over: who was expected in them is final.
    """
    final = [player for player in earlier.expected if player.game_id in begun]
    ids = {player.player_id for player in final}
    others = [p for p in later.expected if p.game_id not in begun and p.player_id not in ids]
    return replace(later, expected=tuple(sorted([*final, *others], key=lambda player: player.slug)))


def _difference(earlier: Batch, later: Batch) -> str:
    found = roster_change(earlier, later)
    changes = [
        f"{verb} {len(slugs)} ({', '.join(slugs[:3])}{', ...' if len(slugs) > 3 else ''})"
        for verb, slugs in (("add", found.added), ("drop", found.dropped))
        if slugs
    ]
    if earlier.league != later.league:
        changes.append(f"change its league from {earlier.league} to {later.league}")
    changes = changes or ["change a player's team, opponent or game"]
    opened_at = earlier.opened_at.astimezone(UTC).isoformat(timespec="microseconds")
    return (
        f"slate {later.slate}: its batch was opened at {opened_at} with {len(earlier.expected)} expected "
        f"players and is frozen; the facts now would "
        f"{' and '.join(changes)}. "
        f"To apply that, materialize slate_roster with reopen: true, or run with --reopen"
    )

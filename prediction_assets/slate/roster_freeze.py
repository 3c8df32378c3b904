"""The rule that a batch's expected players are frozen when it is opened, shared by every implementation.

Opening the same batch again does nothing, in whatever order its players come. Opening it with other players, or with a
player in another game, is refused; the message says what would change. Reopening it keeps the outcomes of the players
who are the same. Pure functions.
"""

from __future__ import annotations

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


def _difference(earlier: Batch, later: Batch) -> str:
    before, after = {p.slug for p in earlier.expected}, {p.slug for p in later.expected}
    added, dropped = sorted(after - before), sorted(before - after)
    changes = [
        f"{verb} {len(slugs)} ({', '.join(slugs[:3])}{', ...' if len(slugs) > 3 else ''})"
        for verb, slugs in (("add", added), ("drop", dropped))
        if slugs
    ]
    if earlier.league != later.league:
        changes.append(f"change its league from {earlier.league} to {later.league}")
    changes = changes or ["change a player's team, opponent or game"]
    opened_at = earlier.opened_at.astimezone(UTC).isoformat(timespec="microseconds")
    return (
        f"slate {later.slate}: its batch was opened at {opened_at} with {len(before)} expected "
        f"players and is frozen; the facts now would "
        f"{' and '.join(changes)}. "
        f"To apply that, materialize slate_roster with reopen: true, or run with --reopen"
    )

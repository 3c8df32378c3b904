"""The rule that a batch's expected players are frozen at its opening, shared by every implementation.

Opening the same batch again is a no-op, whatever order its players come in; opening it with other players,
or with one in another game, is refused with a message that says what would change. Pure functions.
"""

from __future__ import annotations

from datetime import UTC

from prediction_assets.batch_state.port import Batch, BatchConflict


def require_same_work(earlier: Batch, later: Batch) -> Batch:
    """Return the batch that was opened first.

    Raises:
        BatchConflict: the later one has other expected players or another league.
    """
    if _work(earlier) != _work(later):
        raise BatchConflict(_difference(earlier, later))
    return earlier


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
        f"To take that over, materialize slate_roster with reopen: true, or run with --reopen"
    )

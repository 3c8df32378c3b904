"""What each staged part is to its slate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prediction_assets.slate.batch import ExpectedPlayer, Progress
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.receipt import Receipt


def lost_parts(progress: Progress, staged: Mapping[str, str], receipts: Iterable[Receipt]) -> tuple[str, ...]:
    """Return the players whose part is neither merged nor in staging any more, sorted; they need staging again.

    A staging run that was killed after it replaced a part and before it recorded that leaves such a player. So
    does one that went on while the slate was reopened with another player of the same slug: his part is not his.

    Args:
        progress: the batch as it stands.
        staged: the part id that each player slug has in staging.
        receipts: the slate's receipts so far.
    """
    covered = covered_parts(receipts)

    def is_lost(player: ExpectedPlayer, part: PartRef) -> bool:
        if part.player_id != player.player_id:
            return True
        return part.part_id not in covered and staged.get(player.slug) != part.part_id

    return tuple(
        sorted(
            player.slug
            for player in progress.batch.expected
            if (done := progress.outcomes.get(player.slug)) is not None
            and done.part is not None
            and is_lost(player, done.part)
        )
    )


def covered_parts(receipts: Iterable[Receipt]) -> frozenset[str]:
    """Return the ids of the parts that receipts name: their rows are in the table."""
    return frozenset(part["part_id"] for receipt in receipts for part in receipt.parts)


def releasable_parts(staged: Mapping[str, str], receipts: Iterable[Receipt]) -> dict[str, str]:
    """Return the parts in staging that may be dropped, by slug: exactly those that a receipt names.

    Args:
        staged: the part id that each player slug has in staging.
        receipts: the slate's receipts.
    """
    covered = covered_parts(receipts)
    return {slug: part_id for slug, part_id in staged.items() if part_id in covered}


def abandoned_parts(
    progress: Progress, staged: Mapping[str, str], receipts: Iterable[Receipt]
) -> dict[str, str]:
    """Return the parts in staging that no consolidation will ever merge, by slug.

    Those of players whose outcome needs no part: they were skipped, failed, or merged already, or aren't expected
    any more. Whoever has no outcome yet may be recording the part this moment, and a part that an outcome names is
    merged first.

    Args:
        progress: the batch as it stands, read after the parts were listed.
        staged: the part id of each player slug in staging whose part isn't a new one: one that a staging run has
            just written may still be recorded. Were it dropped all the same, its player is staged again.
        receipts: the slate's receipts.
    """
    covered = covered_parts(receipts)
    expected = {player.slug for player in progress.batch.expected}

    def needs_none(slug: str) -> bool:
        done = progress.outcomes.get(slug)
        if done is None:
            return slug not in expected
        return done.part is None or done.part.part_id in covered

    return {slug: part_id for slug, part_id in staged.items() if part_id and needs_none(slug)}

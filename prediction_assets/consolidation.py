"""What to do with a batch as it stands: pure decisions, made here and nowhere else.

Sensors, the ``predictions`` asset and the command line ask the same functions, so they can't disagree on
when a slate is ready, what a MERGE consumes or which receipt it belongs to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any

from prediction_assets.batch_state.port import Completion, ExpectedPlayer, Outcome, Progress
from prediction_assets.dead_letters.port import DeadLetter
from prediction_assets.errors import PredictionAssetsError
from prediction_assets.keys import player_key
from prediction_assets.warehouse.port import (
    Consolidation,
    MissingPlayer,
    NoPartsStaged,
    PartRef,
    Receipt,
)
from prediction_assets.warehouse.refusals import another_players_part

UNSETTLED = "unsettled"
"""The outcome that a receipt gives to a player who hadn't settled by the deadline."""

NOT_EMPTY, ENOUGH_STAGED = "predictions_not_empty", "enough_players_staged"
"""The asset checks that fail in the UI when a slate is refused for :class:`NoPartsStaged` or :class:`TooFewStaged`."""


_RECEIPT_ID_DIGITS, _OUTCOMES_DIGITS = 32, 20
"""Hexadecimal digits of a receipt's id, and how many of them say what its outcomes are; the others tell it from an
earlier receipt of the same outcomes. A slate's first receipt, and every one of an earlier version, has 32 of its
outcomes' digits."""


class Step(Enum):
    """What a batch needs next."""

    FEATURES = "features"
    STAGE = "stage"
    CONSOLIDATE = "consolidate"
    REST = "rest"


def next_step(progress: Progress, now: datetime) -> Step:
    """Return what a batch needs next.

    When there is nothing to predict (no game, or everybody is skipped) a slate rests, unless what was consolidated
    before is to be taken back. Any other is consolidated when every expected player has settled, or at its deadline
    with whoever has, and again whenever its outcomes are no longer the ones of its newest receipt.
    """
    if progress.receipt is None and is_nothing_to_predict(progress):
        return Step.REST
    past_deadline = now >= progress.batch.deadline
    if progress.unsettled and not past_deadline:
        return Step.FEATURES if progress.feature_snapshot is None else Step.STAGE
    if progress.receipt is not None and stands_for(progress.receipt, progress):
        return Step.REST
    return Step.CONSOLIDATE


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
            if (done := progress.completions.get(player.slug)) is not None
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
        done = progress.completions.get(slug)
        if done is None:
            return slug not in expected
        return done.part is None or done.part.part_id in covered

    return {slug: part_id for slug, part_id in staged.items() if part_id and needs_none(slug)}


def dealt_with(
    progress: Progress, receipts: Iterable[Receipt], letters: Iterable[DeadLetter]
) -> tuple[str, ...]:
    """Return the players whose dead letter a consolidation settled: merged, skipped, or not expected any more.

    Args:
        progress: the batch as it stands.
        receipts: the slate's receipts.
        letters: the slate's open letters.
    """
    covered = covered_parts(receipts)
    expected = {player.slug for player in progress.batch.expected}

    def is_settled(slug: str) -> bool:
        done = progress.completions.get(slug)
        if done is None:
            return slug not in expected
        return done.part.part_id in covered if done.part is not None else done.outcome is Outcome.SKIPPED

    return tuple(letter.player_slug for letter in letters if is_settled(letter.player_slug))


def replay_payload(progress: Progress, player: ExpectedPlayer) -> dict[str, Any]:
    """Return what a replay of the player needs to know."""
    return {
        "partition_key": player_key(progress.batch.slate, player.slug),
        "player_id": player.player_id,
        "batch_id": progress.batch.batch_id,
        "feature_snapshot": progress.feature_snapshot,
    }


def receipt_id(progress: Progress) -> str:
    """Return the id of the receipt that these outcomes lead to after the slate's newest one, which may be that one.

    An outcome is recognised by what happened once: the part that was written, or the moment a player was
    skipped or failed. Failing again, with a success in between, is another outcome. Outcomes that were there
    before, and are back because the slate was reopened and reopened again, lead to another receipt: only the
    newest one says what is in the table.
    """
    newest = progress.receipt
    if newest is not None and stands_for(newest, progress):
        return newest.receipt_id
    outcomes = _outcomes_digest(progress)
    if newest is None:
        return outcomes[:_RECEIPT_ID_DIGITS]
    after = hashlib.sha256(f"{outcomes} {newest.receipt_id}".encode()).hexdigest()
    return outcomes[:_OUTCOMES_DIGITS] + after[: _RECEIPT_ID_DIGITS - _OUTCOMES_DIGITS]


def stands_for(newest: Receipt, progress: Progress) -> bool:
    """Return whether a slate's newest receipt is the one of these outcomes: the same outcomes, the same receipt."""
    return newest.receipt_id.startswith(_outcomes_digest(progress)[:_OUTCOMES_DIGITS])


def _outcomes_digest(progress: Progress) -> str:
    return _digest(
        progress,
        lambda done: done.part.part_id if done.part else f"{done.run_id} {done.recorded_at.isoformat()}",
    )


def content_digest(progress: Progress) -> str:
    """Return SHA-256 over the outcomes and the parts' contents; a re-run that changes nothing keeps it."""
    return _digest(progress, lambda done: done.part.content_hash if done.part else "")


def _digest(progress: Progress, identity: Callable[[Completion], str]) -> str:
    outcomes = []
    for player in progress.batch.expected:
        done = progress.completions.get(player.slug)
        outcomes.append(
            [player.slug, done.outcome.value if done else UNSETTLED, identity(done) if done else ""]
        )
    text = json.dumps([progress.batch.slate, outcomes], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class TooFewStaged(PredictionAssetsError):
    """So few expected players have rows that the slate isn't worth announcing; nothing was touched."""


def plan(
    progress: Progress, receipts: Iterable[Receipt], *, minimum_staged_share: float = 0.0
) -> Consolidation:
    """Return the MERGE that a batch's outcomes call for.

    Parts that an earlier receipt covers are left out: they may have been dropped already, and their rows
    are in the table. A skipped player's earlier rows go out of force; those of a player who failed or
    hasn't settled stay, as the best there is. When no game is on any more, or everybody is skipped, a MERGE of no
    part at all takes back what earlier ones left in force.

    Args:
        progress: the batch as it stands.
        receipts: the slate's receipts so far, oldest first, read before its progress was: a consolidation that
            comes between is noticed by the MERGE.
        minimum_staged_share: share of the players who weren't skipped that must have rows, 0 to 1.

    Raises:
        NoPartsStaged: no expected player has staged rows, and there is nothing to take back.
        PartMismatch: a part is another player's than the one who is expected now.
        TooFewStaged: fewer have than the minimum share.
    """
    receipts = tuple(receipts)
    progress = replace(
        progress, receipt=receipts[-1] if receipts else None
    )  # batch state may not know it yet
    batch = progress.batch
    covered = covered_parts(receipts)
    staged, retained, missing, parts = [], [], [], []
    for player in batch.expected:
        completion = progress.completions.get(player.slug)
        if completion is None:
            missing.append(MissingPlayer(player.slug, UNSETTLED, "no outcome by the deadline"))
            retained.append(player.player_id)
        elif completion.part is not None:
            if completion.part.player_id != player.player_id:
                raise another_players_part(batch.slate, player.slug, completion.part.player_id)
            staged.append(player.player_id)
            if completion.part.part_id not in covered:
                parts.append(completion.part)
        else:
            missing.append(MissingPlayer(player.slug, completion.outcome.value, completion.reason))
            if completion.outcome is Outcome.FAILED:
                retained.append(player.player_id)
    takes_back = bool(receipts) and is_nothing_to_predict(progress)
    if not staged and not takes_back:
        raise NoPartsStaged(_nobody_staged(progress, missing))
    skipped = progress.count(Outcome.SKIPPED)
    failed = len(batch.expected) - len(staged) - skipped
    if len(staged) < minimum_staged_share * (len(staged) + failed):
        raise TooFewStaged(
            f"slate {batch.slate}: only {len(staged)} of {len(staged) + failed} players have staged rows, less "
            f"than {minimum_staged_share:.0%} ({_reasons(missing)}); the target was not touched and every part "
            f"kept. Materialize the missing players' staged_predictions partitions, or lower "
            "PREDICTION_ASSETS_MINIMUM_STAGED_SHARE"
        )
    return Consolidation(
        slate=batch.slate,
        league=batch.league or (receipts[-1].league if receipts else ""),
        batch_id=batch.batch_id,
        receipt_id=receipt_id(progress),
        content_digest=content_digest(progress),
        status="partial" if failed else "success",
        parts=tuple(parts),
        staged_player_ids=tuple(staged),
        retained_player_ids=tuple(retained),
        expected_players=len(batch.expected),
        skipped_players=skipped,
        failed_players=failed,
        feature_snapshot=_newest_snapshot(progress) if staged else receipts[-1].feature_snapshot,
        missing=tuple(missing),
        after=receipts[-1].receipt_id if receipts else "",
    )


def is_nothing_to_predict(progress: Progress) -> bool:
    """Return whether nobody is expected, or everybody is skipped for a reason that trying again can't change."""
    return progress.count(Outcome.SKIPPED) == len(progress.batch.expected)


def _nobody_staged(progress: Progress, missing: Sequence[MissingPlayer]) -> str:
    batch = progress.batch
    refused = (
        f"slate {batch.slate}: none of {len(batch.expected)} expected players has staged rows "
        f"({_reasons(missing) or 'no game is on'}); the target was not touched and every part kept. "
    )
    if is_nothing_to_predict(progress):
        return f"{refused}There is nothing to predict, and nothing was consolidated that is to be taken back"
    return f"{refused}Materialize staged_predictions for {batch.slate} again"


def _newest_snapshot(progress: Progress) -> str:
    staged = [c for c in progress.completions.values() if c.part is not None]
    newest = max(staged, key=lambda c: (c.recorded_at, c.player_slug))
    return newest.part.feature_snapshot if newest.part else ""


def _reasons(missing: Iterable[MissingPlayer]) -> str:
    counts: dict[str, int] = {}
    for player in missing:
        text = f"{player.outcome}: {player.reason}" if player.reason else player.outcome
        counts[text] = counts.get(text, 0) + 1
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
    return "; ".join(f"{n} {text}" for text, n in common)

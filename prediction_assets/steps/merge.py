"""Merge: plan what a slate's outcomes call for, and let the warehouse merge it with its receipt in one transaction.

What to merge is decided in :mod:`prediction_assets.slate.merge_plan`. Killed anywhere, the next call finds the receipt,
or plans the same MERGE again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from prediction_assets.errors import DeadlinePassed, GameBegan, NotSettled
from prediction_assets.settings import Settings
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.dead_letter import Failure, replay_payload
from prediction_assets.slate.final_rows import final_outcomes, next_tip_off
from prediction_assets.slate.merge_plan import MergePlan, plan
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.reconcile import SlateCopies
from prediction_assets.slate.revisions import SeenRevision
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import (
    BatchState,
    DeadLetters,
    Outbox,
    Publisher,
    Warehouse,
    open_progress,
)

_logger = logging.getLogger(__name__)

LAST_SECONDS = timedelta(seconds=30)
"""A MERGE that begins so long before a tip-off would hardly be committed before it."""

_NAMED = 10
"""Players that a warning names."""


def read_outcomes(
    slate: str, warehouse: Warehouse, state: BatchState
) -> tuple[Progress, tuple[Receipt, ...]]:
    """Return a slate's batch as it stands, and its receipts, oldest first: what a merge plan is made from."""
    # Receipts first: the MERGE is refused if another consolidation commits a receipt after they were read.
    receipts = warehouse.receipts(slate)
    return open_progress(state, slate), receipts


def keep_final_rows(
    progress: Progress, receipts: Sequence[Receipt], state: BatchState, now: datetime
) -> Progress:
    """Undo what was staged too late of players whose games begin now, and return the batch as it stands then."""
    late = final_outcomes(progress, receipts, now + LAST_SECONDS)
    if not late:
        return progress
    slate = progress.batch.slate
    _logger.warning(
        "slate %s: %d players keep their rows, because their games have begun: %s",
        slate, len(late), ", ".join(done.player_slug for done in late[:_NAMED]),
        extra={"slate": slate, "batch": progress.batch.batch_id},
    )  # fmt: skip
    state.record(late)
    return open_progress(state, slate)


def audit_limits(settings: Settings) -> AuditLimits:
    """Return what the audits compare a slate with, as the installation has it."""
    return AuditLimits(
        minimum_staged_share=settings.minimum_staged_share,
        least_value=settings.least_expected_value,
        one_direction_share=settings.one_direction_share,
        one_direction_minimum=settings.one_direction_minimum,
    )


def seen_revisions(progress: Progress, outbox: Outbox, publisher: Publisher) -> tuple[SeenRevision, ...]:
    """Return the revisions of a slate that batch state's copy, the outbox and the destination have seen."""
    slate = progress.batch.slate
    return SlateCopies(None, progress.receipt, outbox.entries(slate), publisher.delivered(slate)).seen


def plan_merge(
    progress: Progress,
    receipts: Sequence[Receipt],
    *,
    now: datetime,
    limits: AuditLimits,
    accepted: Mapping[str, str] | None = None,
    seen: Iterable[SeenRevision] = (),
    before_deadline: bool = False,
) -> MergePlan:
    """Return the MERGE of a settled slate, or of one whose deadline has passed.

    Args:
        limits: what the audits compare with.
        accepted: why an operator accepts the refusal of an audit, by the audit's name.
        seen: :func:`seen_revisions`, read after the receipts.
        before_deadline: don't wait for players who haven't settled.

    Raises:
        NotSettled: players haven't settled and the deadline hasn't passed.
    """
    batch = progress.batch
    if progress.unsettled and now < batch.deadline and not before_deadline:
        raise NotSettled(
            f"slate {batch.slate}: {len(progress.unsettled)} of {len(batch.expected)} players haven't settled "
            f"and the deadline is {batch.deadline.isoformat(timespec='minutes')}; wait for staging, or "
            "materialize with before_deadline: true"
        )
    return plan(progress, receipts, limits=limits, accepted=accepted, seen=seen)


def consolidate(
    slate: str,
    warehouse: Warehouse,
    state: BatchState,
    dead_letters: DeadLetters,
    decide: Callable[[Progress, tuple[Receipt, ...]], MergePlan],
    *,
    run_id: str,
    now: datetime,
) -> tuple[Progress, Receipt]:
    """Merge a slate as it stands, without what came too late for the games that have begun when it is committed.

    Args:
        decide: makes the plan of a batch and the slate's receipts: :func:`plan_merge` with the rest of its arguments.

    Returns:
        the batch that was merged, and the receipt.
    """
    while True:
        progress, receipts = read_outcomes(slate, warehouse, state)
        progress = keep_final_rows(progress, receipts, state, now)
        work = decide(progress, receipts)
        work = replace(work, before=min(work.before, next_tip_off(progress, receipts, now)))
        try:
            return progress, merge(work, progress, warehouse, dead_letters, run_id=run_id, now=now)
        except GameBegan as error:  # the process was paused, or its clock is behind the warehouse's
            _logger.warning("%s", error, extra={"slate": slate, "batch": work.batch_id})
            # The next plan leaves out these players, or dates their first rows later.
            now = max(now, error.at)


def merge(
    work: MergePlan,
    progress: Progress,
    warehouse: Warehouse,
    dead_letters: DeadLetters,
    *,
    run_id: str,
    now: datetime,
) -> Receipt:
    """Merge a plan and return the receipt; players who are overdue get a dead letter before.

    Args:
        progress: the batch that the plan was made from.
    """
    about = {"slate": work.slate, "batch": work.batch_id}
    _logger.info(
        "slate %s: batch complete: %d staged, %d skipped, %d failed or unsettled of %d expected players",
        work.slate, len(work.staged_player_ids), work.skipped_players, work.failed_players, work.expected_players,
        extra=about,
    )  # fmt: skip
    _logger.info(
        "slate %s: %d parts found that no receipt names, %d rows",
        work.slate, len(work.parts), sum(part.rows for part in work.parts),
        extra=about,
    )  # fmt: skip
    dead_letters.add(_overdue(progress, run_id, now))
    receipt = warehouse.merge(work)
    reached("merge_committed")
    failed = [verdict["name"] for verdict in receipt.audits if not verdict["passed"]]
    _logger.log(
        logging.WARNING if failed else logging.INFO,
        "slate %s: %d of %d audits passed%s%s",
        work.slate, len(receipt.audits) - len(failed), len(receipt.audits),
        f", failed: {', '.join(failed)}" if failed else "",
        f", accepted: {', '.join(a['name'] for a in receipt.accepted)}" if receipt.accepted else "",
        extra=about,
    )  # fmt: skip
    _logger.info(
        "slate %s: MERGE %d staged = %d inserted + %d updated + %d unchanged, %d superseded, %.0f ms",
        work.slate, receipt.rows_staged, receipt.rows_inserted, receipt.rows_updated, receipt.rows_unchanged,
        receipt.rows_superseded, receipt.merge_ms,
        extra=about,
    )  # fmt: skip
    return receipt


def _overdue(progress: Progress, run_id: str, now: datetime) -> list[Failure]:
    """Return a failure for each player who has no outcome at the deadline, so that he can be replayed."""
    # Not an outcome: his own may be on its way, and counts at the next consolidation.
    if now < progress.batch.deadline:
        return []
    return [
        Failure(
            slate=progress.batch.slate,
            player_slug=player.slug,
            run_id=run_id,
            error_class=DeadlinePassed.__name__,
            message=f"no outcome by the deadline, {progress.batch.deadline.isoformat(timespec='seconds')}",
            traceback_digest="",
            attempts=0,
            fence=0,
            failed_at=now,
            payload=replay_payload(progress, player),
        )
        for player in progress.batch.players(progress.unsettled)
    ]

"""The runs that bring up a store that is behind the others, after it was lost or restored from an older backup.

Which store is behind is decided in :mod:`prediction_assets.slate.reconcile`. The runs are those of every morning. What
doesn't belong here: when a run may be requested (:mod:`.gaps`).
"""

from collections.abc import Iterator
from datetime import timedelta

from prediction_assets.errors import PredictionAssetsError, TransientError
from prediction_assets.nba.forecast import pinned_model
from prediction_assets.orchestration.jobs import (
    completion_job,
    consolidation_job,
    features_job,
    roster_job,
    staging_job,
)
from prediction_assets.orchestration.sensors.needs import (
    SlateNeeds,
    completion_need,
    consolidation_need,
    features_need,
    roster_need,
)
from prediction_assets.orchestration.sensors.requests import Gap, Skipped
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import message_id
from prediction_assets.slate.deadlines import is_recent
from prediction_assets.slate.merge_plan import is_current_for
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.part_states import PartState, part_states, players_with
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.reconcile import Behind, SlateCopies, behind
from prediction_assets.steps.revert import can_stage_again
from prediction_assets.stores.protocols import Warehouse

UNDER_WAY = timedelta(minutes=30)
"""So long after a MERGE its own run and the other sensors have the time to finish it."""


def reconciling(
    slate: str,
    progress: Progress | None,
    copies: SlateCopies,
    needs: SlateNeeds,
    warehouse: Warehouse,
    *,
    is_followed: bool,
) -> Iterator[Gap | Skipped]:
    """Yield the gaps of a slate whose stores don't agree.

    Args:
        progress: None if batch state has no batch of the slate; then its roster comes first.
        is_followed: whether the other sensors look at the slate, too: its batch was opened lately.
    """
    receipt = copies.receipt
    for store in behind(copies):
        if store is Behind.WAREHOUSE:
            yield from _merge_again(slate, progress, copies, needs, warehouse)
        elif receipt is None or is_recent(receipt.consolidated_at, needs.now, UNDER_WAY):
            yield Skipped(f"{slate}: {store} is behind; the other sensors have to try first")
        elif store is Behind.BATCH_STATE:
            yield _catch_up(slate, progress, receipt, needs, warehouse, is_followed=is_followed)
        else:
            name = f"{'deliver' if store is Behind.DELIVERY else 'announce'}:{message_id(receipt)}"
            yield Gap(name, slate, (completion_job.name,), [completion_need(receipt)])


def _merge_again(
    slate: str, progress: Progress | None, copies: SlateCopies, needs: SlateNeeds, warehouse: Warehouse
) -> Iterator[Gap | Skipped]:
    held = copies.receipt.revision if copies.receipt else 0
    why = f"{slate}: the warehouse has revision {held}, and revision {copies.newest_seen} was seen"
    if progress is None or next_step(progress, needs.now) is not Step.NOTHING:
        yield Skipped(f"{why}; the other sensors have to try first")
        return
    receipts = warehouse.receipts(slate)
    lost = players_with(part_states(progress, warehouse.parts.staged(slate), receipts), PartState.LOST)
    name = f"merge:{slate}:{copies.newest_seen}"
    if lost:
        yield from _stage_again(name, progress, list(lost), needs, warehouse)
    else:
        yield Gap(name, slate, (consolidation_job.name,), [consolidation_need(progress)])


def _catch_up(
    slate: str,
    progress: Progress | None,
    receipt: Receipt,
    needs: SlateNeeds,
    warehouse: Warehouse,
    *,
    is_followed: bool,
) -> Gap | Skipped:
    lacks = f"{slate}: batch state lacks receipt {receipt.receipt_id}"
    if progress is None:
        return Skipped(f"{lacks} and the batch; `prediction-assets run --slate {slate}` opens it again")
    if is_followed and next_step(progress, needs.now) is not Step.NOTHING:
        return Skipped(f"{lacks}; the other sensors have to try first")
    name = f"copy:{receipt.receipt_id}"
    if is_current_for(receipt, progress):
        return Gap(name, slate, (consolidation_job.name,), [consolidation_need(progress)])
    if not can_stage_again(warehouse, progress.batch, receipt):
        return Gap(f"roster:{name}", slate, (roster_job.name,), [roster_need(slate, reopen=True)])
    # Its outcomes are those of an older receipt. What is in force is staged again, not the facts: an operator may have
    # reverted the slate since.
    need = consolidation_need(progress, revert_to=receipt.revision)
    return Gap(name, slate, (consolidation_job.name,), [need])


def _stage_again(
    name: str, progress: Progress, slugs: list[str], needs: SlateNeeds, warehouse: Warehouse
) -> Iterator[Gap]:
    slate = progress.batch.slate
    if _is_pinned(progress, warehouse):
        found = list(needs.staging(progress, slugs, name))
        yield Gap(f"staging:{name}", slate, (staging_job.name,), found)
    else:
        yield Gap(f"features:{name}", slate, (features_job.name,), [features_need(progress)])


def _is_pinned(progress: Progress, warehouse: Warehouse) -> bool:
    """Return whether the slate's players' features, and the model that they name, can be read."""
    if progress.feature_snapshot is None:
        return False
    try:
        pinned_model(warehouse, warehouse.snapshots.players(progress.batch.slate, progress.feature_snapshot))
    except TransientError:
        raise
    except PredictionAssetsError:
        return False
    return True

"""Drop the parts that receipts cover, or that nobody will merge; then the consolidation is over."""

import dagster as dg

from prediction_assets.orchestration.asset_checks import CHECK_KEYS
from prediction_assets.orchestration.assets.describing import FAN_IN, OWNERS
from prediction_assets.orchestration.gates import Gate, verdict_on_receipt
from prediction_assets.orchestration.partitions import SLATES
from prediction_assets.slate.dead_letter import Closing, letters_settled_by
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.cleanup import release
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, DeadLetters, Warehouse


@dg.asset(
    partitions_def=SLATES,
    group_name=FAN_IN,
    owners=OWNERS,
    kinds={"parquet"},
    deps=["predictions"],
)
def staging_cleanup(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    dead_letters: dg.ResourceParam[DeadLetters],
) -> dg.MaterializeResult:
    """Deletes the staged parts that a receipt covers, closes dead letters of merged players, and marks the
    consolidation finished.

    A part of earlier that no outcome needs goes, too: of a player who was skipped or failed since, or isn't
    expected any more.     A part that was written after the MERGE has another id and survives, to be merged by the next
    consolidation. In a consolidation it runs only when the blocking checks on `predictions` passed; after a
    killed run it drops what that run left. Materialized alone, it deletes parts that are merged, and marks the
    consolidation finished only if its checks passed.
    """
    slate = context.partition_key
    done = release(warehouse, slate, batch_state)
    closed = 0
    if done.receipts and _is_checked(context, done.receipts[-1]):
        closed = _end_consolidation(batch_state, dead_letters, slate, done.receipts)
    context.log.info(
        "slate %s: %d parts dropped, %d kept, %d dead letters closed",
        slate, len(done.dropped) + len(done.abandoned), len(done.kept), closed,
        extra={"slate": slate},
    )  # fmt: skip
    if done.strays:
        context.log.warning(
            "slate %s: %d names in staging are no parts and were left alone: %s",
            slate, len(done.strays), ", ".join(done.strays[:10]),
            extra={"slate": slate},
        )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "parts_dropped": len(done.dropped) + len(done.abandoned),
            "abandoned_players": list(done.abandoned[:50]),
            "parts_kept": len(done.kept),
            "kept_players": list(done.kept[:50]),
            "left_by_killed_writes": done.swept,
            "strays": list(done.strays[:50]),
            "dead_letters_closed": closed,
        }
    )


def _is_checked(context: dg.AssetExecutionContext, receipt: Receipt) -> bool:
    result = verdict_on_receipt(context.instance, receipt.slate, receipt.receipt_id, CHECK_KEYS)
    return result is not None and result.gate is Gate.ALLOWED


def _end_consolidation(
    batch_state: BatchState, letters: DeadLetters, slate: str, receipts: tuple[Receipt, ...]
) -> int:
    """Close the letters that the consolidation settled and let batch state know of it; return how many."""
    progress = batch_state.progress(slate)
    closed = 0
    if progress is not None and (found := letters.letters(slate)):
        closed = letters.close(slate, letters_settled_by(progress, receipts, found), Closing.REPLAYED)
    reached("dead_letters_closed")
    # Last of all: until batch state knows the receipt, the sensor asks for this consolidation again.
    batch_state.mark_consolidated(receipts[-1])
    reached("receipt_mirrored")
    return closed

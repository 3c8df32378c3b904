"""The end of a consolidation: merged parts are dropped, settled dead letters closed, the batch marked consolidated."""

import dagster as dg

from prediction_assets.orchestration.assets.describing import FAN_IN, OWNERS
from prediction_assets.orchestration.partitions import SLATES
from prediction_assets.slate.deadlines import Clock
from prediction_assets.steps.cleanup import clean_up, finish_consolidation
from prediction_assets.stores.protocols import BatchState, DeadLetters, Warehouse

_SHOWN = 50


@dg.asset(partitions_def=SLATES, group_name=FAN_IN, owners=OWNERS, kinds={"arrow"}, deps=["predictions"])
def staging_cleanup(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    dead_letters: dg.ResourceParam[DeadLetters],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Drops the merged parts, closes the dead letters of merged players, and marks the consolidation finished.

    A part is dropped if a receipt names it, or if no outcome can need it any more: its player was staged again, skipped
    or failed since, or isn't expected any more. A part that was written after the MERGE has another id and is kept for
    the next consolidation. Materialized alone, it also drops what a killed run left, and marks its consolidation
    finished.
    """
    slate = context.partition_key
    done = clean_up(slate, warehouse, batch_state, now=clock.now())
    closed = 0
    if done.receipts:
        closed = finish_consolidation(slate, done.receipts, batch_state, dead_letters)
    dropped = len(done.merged) + len(done.orphaned)
    context.log.info(
        "slate %s: %d parts dropped, %d kept, %d dead letters closed", slate, dropped, len(done.kept), closed,
        extra={"slate": slate},
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "parts_dropped": dropped,
            "orphaned_players": list(done.orphaned[:_SHOWN]),
            "parts_kept": len(done.kept),
            "kept_players": list(done.kept[:_SHOWN]),
            "left_by_killed_writes": done.swept,
            "strays": list(done.strays[:_SHOWN]),
            "dead_letters_closed": closed,
        }
    )

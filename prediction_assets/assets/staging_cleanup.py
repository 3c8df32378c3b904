"""Drop the parts that receipts cover, and no others."""

import dagster as dg

from prediction_assets.assets.describing import FAN_IN, OWNERS
from prediction_assets.crash_points import reached
from prediction_assets.partitions import SLATES
from prediction_assets.resources import BatchStateResource, WarehouseResource


@dg.asset(
    partitions_def=SLATES,
    group_name=FAN_IN,
    owners=OWNERS,
    kinds={"parquet"},
    deps=["predictions"],
)
def staging_cleanup(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, batch_state: BatchStateResource
) -> dg.MaterializeResult:
    """Drops exactly the parts that the slate's receipts name, and so ends a consolidation.

    A part that was written after the MERGE has another id and survives, to be merged by the next
    consolidation. Runs only when the blocking checks on `predictions` passed; after a killed run it drops
    what that run left.
    """
    slate, port = context.partition_key, warehouse.port
    receipts = port.receipts(slate)
    covered = {part["part_id"] for receipt in receipts for part in receipt.parts}
    staged = port.parts.staged(slate)
    dropped = []
    for slug, part_id in staged.items():
        if part_id in covered and port.parts.drop(slate, slug, part_id):
            dropped.append(slug)
            reached("part_dropped")
    # Last of all: until batch state knows the receipt, the sensor asks for this consolidation again.
    if receipts:
        batch_state.port.mirror_receipt(receipts[-1])
        reached("receipt_mirrored")
    kept = sorted(staged.keys() - set(dropped))
    context.log.info(
        "slate %s: %d parts dropped, %d kept", slate, len(dropped), len(kept), extra={"slate": slate}
    )
    return dg.MaterializeResult(
        metadata={"parts_dropped": len(dropped), "parts_kept": len(kept), "kept_players": kept[:50]}
    )

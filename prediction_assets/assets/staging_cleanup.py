"""Drop the parts that receipts cover, and no others."""

import dagster as dg

from prediction_assets.assets.describing import FAN_IN, OWNERS
from prediction_assets.fan_in import release
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
    slate = context.partition_key
    done = release(warehouse.port, batch_state.port, slate)
    context.log.info("slate %s: %d parts dropped, %d kept", slate, len(done.dropped), len(done.kept))
    if done.strays:
        context.log.warning(
            "slate %s: %d names in staging are no parts and were left alone: %s",
            slate, len(done.strays), ", ".join(done.strays[:10]),
        )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "parts_dropped": len(done.dropped),
            "parts_kept": len(done.kept),
            "kept_players": list(done.kept[:50]),
            "left_by_killed_writes": done.swept,
            "strays": list(done.strays[:50]),
        }
    )

"""What an asset adds to its run: the slate and batch that the run turned out to work on."""

import dagster as dg

from prediction_assets.orchestration.run_tags import BATCH_TAG, SLATE_TAG


def tag_run(context: dg.AssetExecutionContext, slate: str, batch_id: str) -> None:
    """Tag the run with its slate and batch, so that it is found by them whoever started it."""
    tags = {SLATE_TAG: slate, BATCH_TAG: batch_id}
    if any(context.run.tags.get(name) != value for name, value in tags.items()):
        context.instance.add_run_tags(context.run.run_id, tags)

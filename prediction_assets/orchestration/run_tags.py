"""Tags of runs and materializations, and what a run is about by its tags.

Dagster's own tags are spelled here once, and nothing of Dagster is imported: logging reads them in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.slate.keys import split_player_key

if TYPE_CHECKING:
    from dagster import AssetExecutionContext

SLATE_TAG, BATCH_TAG = "slate", "batch"
"""Tags of every run that works on a slate, whoever started it."""

REQUEST_TAG = "prediction_assets/request"
"""Names the work that a sensor asked a run for, so that attempts can be counted."""

CODE_VERSION_TAG = "prediction_assets/version"
"""Tag of a player's materialization: the package's version that staged him."""

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def tag_run(context: AssetExecutionContext, slate: str, batch_id: str) -> None:
    """Tag the running run with its slate and batch, so that it is found by them however it was started."""
    tags = {SLATE_TAG: slate, BATCH_TAG: batch_id}
    if any(context.run.tags.get(name) != value for name, value in tags.items()):
        context.instance.add_run_tags(context.run.run_id, tags)


def labels_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return what a run is about, by its tags: slate, batch, and the player if it is about one."""
    found = {name: tags[name] for name in (SLATE_TAG, BATCH_TAG, "trace") if name in tags}
    key = tags.get(PARTITION_TAG) or tags.get(RANGE_START_TAG) or ""
    if ":" in key:
        try:
            slate, slug = split_player_key(key)
        except PredictionAssetsError:
            return found
        found.setdefault("slate", slate)
        if PARTITION_TAG in tags:
            found["player"] = slug
    elif key:
        found.setdefault("slate", key)
    return found


def slate_of(tags: Mapping[str, str]) -> str:
    """Return the slate that a run is about, ``""`` when its tags name none."""
    return labels_of(tags).get("slate", "")

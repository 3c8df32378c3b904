"""Tags of runs and materializations, and what a run's tags say about it: slate, batch, player.

Dagster's own tags are spelled here once. What doesn't belong here: a tag that one module alone uses, and an import of
Dagster. https://docs.dagster.io/guides/build/assets/metadata-and-tags/tags
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.slate.keys import split_player_key

if TYPE_CHECKING:
    from dagster import AssetExecutionContext

SLATE_TAG, BATCH_TAG = "slate", "batch"
"""Tags of every run that works on a slate, started by a sensor or by hand."""

REQUEST_TAG = "prediction_assets/request"
"""Names the need for which a sensor requested a run, so that attempts can be counted."""

FENCE_TAG = "prediction_assets/fence"
"""The fence of a run that reverts a slate. Dagster's retry of the run has the same tags, and so the same fence."""

RECEIPT_ID = "receipt_id"
"""Metadata key under which a materialization of ``predictions`` names its receipt."""

CODE_VERSION_TAG = "prediction_assets/version"
"""Tag of a player's materialization: the version of the package that staged him."""

MAX_RETRIES_TAG = "dagster/max_retries"
PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def tag_run(context: AssetExecutionContext, slate: str, batch_id: str) -> None:
    """Tag the running run with its slate and batch, so that it is found by them however it was started."""
    tags = {SLATE_TAG: slate, BATCH_TAG: batch_id}
    if any(context.run.tags.get(name) != value for name, value in tags.items()):
        context.instance.add_run_tags(context.run.run_id, tags)


def labels_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return a run's labels for log lines: slate, batch, trace, and the player when it stages only one."""
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
    """Return the slate that a run works on, ``""`` when its tags name none."""
    return labels_of(tags).get("slate", "")

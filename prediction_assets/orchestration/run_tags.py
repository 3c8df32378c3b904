"""Tags of runs and materializations, and what a run is about by its tags.

Dagster's own tags are spelled here once, and nothing of Dagster is imported: logging reads them in every process.
"""

from __future__ import annotations

from collections.abc import Mapping

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.slate.keys import split_player_key

SLATE_TAG, BATCH_TAG = "slate", "batch"
"""Tags of every run that works on a slate, whoever started it."""

REQUEST_TAG = "prediction_assets/request"
"""Names the work that a sensor asked a run for, so that attempts can be counted."""

CODE_VERSION_TAG = "prediction_assets/version"
"""Tag of a player's materialization: the package's version that staged him."""

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


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

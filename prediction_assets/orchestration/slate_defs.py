"""A slate's own definitions, from its roster to its board: all that a command loads which carries a slate.

Facts, training, grades, sensors and schedules are in the code location (:mod:`.build`); importing their parsers, live
sources and alerts takes as long as a small slate's staging.
"""

from collections.abc import Mapping

import dagster as dg

from prediction_assets.orchestration.assets.describing import with_docs
from prediction_assets.orchestration.assets.phase5_completion import phase5_completion
from prediction_assets.orchestration.assets.player_features import player_features
from prediction_assets.orchestration.assets.predictions import predictions
from prediction_assets.orchestration.assets.slate_board import slate_board
from prediction_assets.orchestration.assets.slate_roster import slate_roster
from prediction_assets.orchestration.assets.staged_predictions import staged_predictions
from prediction_assets.orchestration.assets.staging_cleanup import staging_cleanup
from prediction_assets.orchestration.jobs import SLATE_JOBS
from prediction_assets.orchestration.resources import slate_resources
from prediction_assets.settings import Settings

SLATE_ASSETS = [
    slate_roster,
    player_features,
    staged_predictions,
    predictions,
    staging_cleanup,
    phase5_completion,
    slate_board,
]


def build_slate_defs(settings: Settings, resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """Return the assets and jobs of a slate, on the resources that they need.

    On the local profile the jobs are equal to the code location's, by which the UI finds the job of a command's run.
    """
    return dg.Definitions(
        assets=[for_profile(asset, settings) for asset in SLATE_ASSETS],
        jobs=SLATE_JOBS,
        # A job's snapshot names all resources of its location, even those that it doesn't use.
        resources={**slate_resources(settings), "sources": None, **(resources or {})},
        executor=dg.in_process_executor,
    )


_GCP_KINDS = {
    "duckdb": "bigquery",
    "arrow": "bigquery",
    "sqlite": "firestore",
    "json": "pubsub",
}


def for_profile(asset: dg.AssetsDefinition, settings: Settings) -> dg.AssetsDefinition:
    """Return an asset that names the profile's stores; on gcp a slate's staging is split over several runs."""
    asset = asset.map_asset_specs(lambda spec: with_docs(spec, settings.docs_url))
    if settings.profile == "local":
        return asset
    renamed = asset.map_asset_specs(
        lambda spec: spec.replace_attributes(kinds={_GCP_KINDS.get(kind, kind) for kind in spec.kinds})
    )
    if not asset.keys & staged_predictions.keys:
        return renamed
    return renamed.with_attributes(backfill_policy=dg.BackfillPolicy.multi_run(settings.players_per_run))

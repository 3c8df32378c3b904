"""The code location's definitions, put together from the modules of this folder.

``build_defs`` returns fresh definitions and takes overrides, so that a test or the command line replaces one
part and nothing else. Nothing is read from the environment here.
https://docs.dagster.io/guides/build/projects-and-components
"""

from collections.abc import Mapping

import dagster as dg

from prediction_assets import __version__
from prediction_assets.orchestration import freshness_check
from prediction_assets.orchestration.assets.dead_letters import dead_letters
from prediction_assets.orchestration.assets.describing import with_docs
from prediction_assets.orchestration.assets.facts import game_logs, injury_reports, prop_lines, schedule
from prediction_assets.orchestration.assets.phase5_completion import phase5_completion
from prediction_assets.orchestration.assets.player_features import player_features
from prediction_assets.orchestration.assets.points_model import points_model
from prediction_assets.orchestration.assets.prediction_grades import prediction_grades
from prediction_assets.orchestration.assets.predictions import predictions
from prediction_assets.orchestration.assets.slate_board import slate_board
from prediction_assets.orchestration.assets.slate_roster import slate_roster
from prediction_assets.orchestration.assets.staged_predictions import staged_predictions
from prediction_assets.orchestration.assets.staging_cleanup import staging_cleanup
from prediction_assets.orchestration.fact_schedules import daily_facts, tonights_facts
from prediction_assets.orchestration.following_check import follows_its_facts
from prediction_assets.orchestration.jobs import JOBS
from prediction_assets.orchestration.morning_check import morning_check
from prediction_assets.orchestration.pruning import prune_job
from prediction_assets.orchestration.resources import build_resources
from prediction_assets.orchestration.schedules import schedules
from prediction_assets.orchestration.sensors.alerts import alert_sensors
from prediction_assets.orchestration.sensors.automation import (
    completion_sensor,
    consolidation_sensor,
    staging_sensor,
)
from prediction_assets.orchestration.sensors.dead_letters import dead_letters_sensor
from prediction_assets.orchestration.sensors.gaps import gap_sensor
from prediction_assets.orchestration.sensors.grading import grading_sensor
from prediction_assets.orchestration.sensors.refresh import refresh_sensor
from prediction_assets.orchestration.sensors.telemetry import telemetry_sensors
from prediction_assets.settings import Settings

ASSETS = [
    game_logs,
    schedule,
    prop_lines,
    injury_reports,
    points_model,
    slate_roster,
    player_features,
    staged_predictions,
    dead_letters,
    predictions,
    staging_cleanup,
    phase5_completion,
    prediction_grades,
    slate_board,
]


_GCP_KINDS = {
    "duckdb": "bigquery",
    "parquet": "bigquery",
    "arrow": "bigquery",
    "sqlite": "firestore",
    "json": "pubsub",
}


def build_defs(settings: Settings, resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """Return the code location's definitions."""
    return dg.Definitions(
        assets=[_for_profile(asset, settings) for asset in ASSETS],
        asset_checks=[morning_check, follows_its_facts, *freshness_check.CHECKS],
        jobs=[*JOBS, prune_job],
        schedules=[daily_facts(settings), tonights_facts(settings), *schedules(settings)],
        sensors=[
            staging_sensor(settings),
            consolidation_sensor(settings),
            completion_sensor(settings),
            refresh_sensor(settings),
            gap_sensor(settings),
            dead_letters_sensor(settings),
            grading_sensor(settings),
            *alert_sensors(settings),
            *telemetry_sensors(settings),
        ],
        resources={**build_resources(settings), **(resources or {})},
        # Steps are short and few: a process per step would spend its time importing.
        executor=dg.in_process_executor,
        metadata={"version": __version__, "profile": settings.profile},
    )


def _for_profile(asset: dg.AssetsDefinition, settings: Settings) -> dg.AssetsDefinition:
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

"""The jobs: one per stage, because a job can't mix partition definitions; sensors tie them together.

https://docs.dagster.io/guides/build/jobs
"""

import dagster as dg

SLATE_TAG = "slate"
REQUEST_TAG = "prediction_assets/request"
"""Names the work that a sensor asked a run for, so that attempts can be counted."""

ingest_job = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.assets("game_logs", "schedule", "prop_lines", "injury_reports"),
    description="Ingest game logs, schedule, prop lines and injury reports. Safe to repeat: the same file "
    "changes nothing.",
)

roster_job = dg.define_asset_job(
    "roster",
    selection=dg.AssetSelection.assets("slate_roster"),
    description="Open tonight's batch. The sensors carry it from here to the completion.",
)

features_job = dg.define_asset_job(
    "features",
    selection=dg.AssetSelection.assets("player_features"),
    description="Pin a slate's point-in-time features.",
)

staging_job = dg.define_asset_job(
    "staging",
    selection=dg.AssetSelection.assets("staged_predictions"),
    description="Stage a range of one slate's players.",
)

consolidation_job = dg.define_asset_job(
    "consolidation",
    selection=dg.AssetSelection.assets("predictions", "staging_cleanup"),
    description="Merge a slate's parts, check the result, then drop the merged parts.",
)

completion_job = dg.define_asset_job(
    "completion",
    selection=dg.AssetSelection.assets("phase5_completion"),
    description="Announce a checked consolidation to phase 6, once.",
)

dead_letters_job = dg.define_asset_job(
    "list_dead_letters",
    selection=dg.AssetSelection.assets("dead_letters"),
    description="Show the open dead letters as they are now.",
)

training_job = dg.define_asset_job(
    "training",
    selection=dg.AssetSelection.assets("points_model"),
    description="Train the forecasting systems on all ingested games. The same facts train nothing.",
)

grading_job = dg.define_asset_job(
    "grading",
    selection=dg.AssetSelection.assets("prediction_grades"),
    description="Grade a slate's forecasts in force, once its game logs are ingested.",
)

JOBS = [
    ingest_job,
    roster_job,
    features_job,
    staging_job,
    consolidation_job,
    completion_job,
    dead_letters_job,
    training_job,
    grading_job,
]

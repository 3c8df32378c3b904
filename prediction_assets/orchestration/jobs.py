"""The jobs: one per stage of a slate, because a job can't mix partition definitions.

Sensors (:mod:`.sensors`) and schedules request them; the command line runs them in its own process. The job that prunes
history is beside its op, in :mod:`.pruning`. https://docs.dagster.io/guides/build/jobs
"""

import dagster as dg

STAGED = dg.AssetKey("staged_predictions")
"""The asset of a staging run, one partition for each slate player."""

FOLLOWS = dg.AssetCheckKey(dg.AssetKey("predictions"), "follows_its_facts")
"""The one asset check of ``predictions`` that is no audit."""

WHOLE_RETRIES = {"dagster/retry_strategy": "ALL_STEPS"}
"""The retry of a killed run starts from the first step: resumed after ``predictions``, it would evaluate checks
without a materialization of its own."""

ingest_job = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.assets("game_logs", "schedule", "prop_lines", "injury_reports"),
    tags=WHOLE_RETRIES,
    description="Ingest game logs, schedule, prop lines and injury reports. Safe to repeat: the same file "
    "changes nothing.",
)

roster_job = dg.define_asset_job(
    "roster",
    selection=dg.AssetSelection.assets("slate_roster"),
    tags=WHOLE_RETRIES,
    description="Open tonight's batch and pin its features. The sensors carry it on to its completion message.",
)

features_job = dg.define_asset_job(
    "features",
    selection=dg.AssetSelection.assets("player_features"),
    tags=WHOLE_RETRIES,
    description="Pin a slate's point-in-time features again: after game logs were corrected, or a roster run stopped.",
)

staging_job = dg.define_asset_job(
    "staging",
    selection=dg.AssetSelection.assets(STAGED),
    tags=WHOLE_RETRIES,
    description="Stage a range of one slate's players.",
)

_PUBLISHED = dg.AssetSelection.assets("phase5_completion", "slate_board").without_checks()
"""The morning check belongs to the same asset, but has a job of its own: it looks at the whole morning."""

consolidation_job = dg.define_asset_job(
    "consolidation",
    # Whether they follow their facts is asked again and again, with every look for alerts.
    selection=_PUBLISHED
    | (dg.AssetSelection.assets("predictions", "staging_cleanup") - dg.AssetSelection.checks(FOLLOWS)),
    tags=WHOLE_RETRIES,
    description="Merge a slate's parts, check the result, publish its completion message, and drop the merged parts.",
)

completion_job = dg.define_asset_job(
    "completion",
    selection=_PUBLISHED,
    tags=WHOLE_RETRIES,
    description="Publish the completion message that a consolidation couldn't deliver, once; then the slate's board.",
)

morning_check_job = dg.define_asset_job(
    "morning_check",
    selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("phase5_completion"), "morning_check")),
    tags=WHOLE_RETRIES,
    description="Check whether tonight's predictions are there, as `prediction-assets health` does.",
)

dead_letters_job = dg.define_asset_job(
    "list_dead_letters",
    selection=dg.AssetSelection.assets("dead_letters"),
    tags=WHOLE_RETRIES,
    description="Show the open dead letters.",
)

training_job = dg.define_asset_job(
    "training",
    selection=dg.AssetSelection.assets("points_model"),
    tags=WHOLE_RETRIES,
    description="Train the forecasting systems on the last four years of games. Safe to repeat: the same "
    "facts train nothing.",
)

grading_job = dg.define_asset_job(
    "grading",
    selection=dg.AssetSelection.assets("prediction_grades"),
    tags=WHOLE_RETRIES,
    description="Grade a slate's predictions in force, once its game logs are ingested.",
)

JOB_OF_ASSET = {
    "game_logs": ingest_job.name,
    "schedule": ingest_job.name,
    "prop_lines": ingest_job.name,
    "injury_reports": ingest_job.name,
    "slate_roster": roster_job.name,
    "player_features": features_job.name,
    "staged_predictions": staging_job.name,
    "predictions": consolidation_job.name,
    "staging_cleanup": consolidation_job.name,
    "phase5_completion": completion_job.name,
    "slate_board": completion_job.name,
    "dead_letters": dead_letters_job.name,
    "points_model": training_job.name,
    "prediction_grades": grading_job.name,
}
"""The job of each asset: a run that was started from an asset's page counts as an attempt at the same stage."""

JOBS = [
    ingest_job,
    roster_job,
    features_job,
    staging_job,
    consolidation_job,
    completion_job,
    morning_check_job,
    dead_letters_job,
    training_job,
    grading_job,
]

"""The jobs: one per stage of a slate, because a job can't mix partition definitions.

Sensors (:mod:`.sensors`) and schedules request them; the command line runs them in its own process. The job that prunes
history is beside its op, in :mod:`.pruning`. https://docs.dagster.io/guides/build/jobs
"""

from functools import partial

import dagster as dg

from prediction_assets.slate.audits import AUDITS

STAGED = dg.AssetKey("staged_predictions")
"""The asset of a staging run, one partition for each slate player."""

FOLLOWS = dg.AssetCheckKey(dg.AssetKey("predictions"), "follows_its_facts")
"""The one asset check of ``predictions`` that is no audit."""

WHOLE_RETRIES = {"dagster/retry_strategy": "ALL_STEPS"}
"""The retry of a killed run starts from the first step: resumed after ``predictions``, it would evaluate checks
without a materialization of its own."""


_job = partial(dg.define_asset_job, tags=WHOLE_RETRIES)
_assets = dg.AssetSelection.assets

ingest_job = _job(
    "ingest",
    _assets("game_logs", "schedule", "prop_lines", "injury_reports"),
    description="Ingest game logs, schedule, prop lines and injury reports. Safe to repeat: the same file "
    "changes nothing.",
)
roster_job = _job(
    "roster",
    _assets("slate_roster"),
    description="Open tonight's batch and pin its features. The sensors carry it on to its completion message.",
)
features_job = _job(
    "features",
    _assets("player_features"),
    description="Pin a slate's point-in-time features again: after game logs were corrected, or a roster run stopped.",
)
staging_job = _job("staging", _assets(STAGED), description="Stage a range of one slate's players.")

_PUBLISHED = _assets("phase5_completion", "slate_board").without_checks()
"""The morning check belongs to the same asset, but has a job of its own: it looks at the whole morning."""

_AUDITS = dg.AssetSelection.checks(*(dg.AssetCheckKey(FOLLOWS.asset_key, audit.name) for audit in AUDITS))
"""All checks of ``predictions`` but one: whether they follow their facts is asked with every look for alerts."""

consolidation_job = _job(
    "consolidation",
    _PUBLISHED | _assets("predictions", "staging_cleanup").without_checks() | _AUDITS,
    description="Merge a slate's parts, check the result, publish its completion message, and drop the merged parts.",
)
completion_job = _job(
    "completion",
    _PUBLISHED,
    description="Publish the completion message that a consolidation couldn't deliver, once; then the slate's board.",
)
morning_check_job = _job(
    "morning_check",
    dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("phase5_completion"), "morning_check")),
    description="Check whether tonight's predictions are there, as `prediction-assets health` does.",
)
dead_letters_job = _job(
    "list_dead_letters", _assets("dead_letters"), description="Show the open dead letters."
)
training_job = _job(
    "training",
    _assets("points_model"),
    description="Train the forecasting systems on the last four years of games. Safe to repeat: the same "
    "facts train nothing.",
)
grading_job = _job(
    "grading",
    _assets("prediction_grades"),
    description="Grade a slate's predictions in force, once its game logs are ingested.",
)

JOB_OF_ASSET = {
    **dict.fromkeys(("game_logs", "schedule", "prop_lines", "injury_reports"), ingest_job.name),
    "slate_roster": roster_job.name,
    "player_features": features_job.name,
    "staged_predictions": staging_job.name,
    **dict.fromkeys(("predictions", "staging_cleanup"), consolidation_job.name),
    **dict.fromkeys(("phase5_completion", "slate_board"), completion_job.name),
    "dead_letters": dead_letters_job.name,
    "points_model": training_job.name,
    "prediction_grades": grading_job.name,
}
"""The job of each asset: a run that was started from an asset's page counts as an attempt at the same stage."""

SLATE_JOBS = [roster_job, features_job, staging_job, consolidation_job, completion_job]
JOBS = [ingest_job, *SLATE_JOBS, morning_check_job, dead_letters_job, training_job, grading_job]

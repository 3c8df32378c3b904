"""The schedules: the roster and its morning check each morning, a model each week, pruning each night.

Those that bring the facts are in :mod:`.fact_schedules`.
https://docs.dagster.io/guides/automate/schedules
"""

from contextlib import suppress

import dagster as dg

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.season import calendar_of
from prediction_assets.orchestration.jobs import morning_check_job, roster_job, training_job
from prediction_assets.orchestration.pruning import prune_job
from prediction_assets.orchestration.run_tags import SLATE_TAG
from prediction_assets.orchestration.sensors.requests import impatient
from prediction_assets.settings import Settings
from prediction_assets.slate.keys import GAME_TIME_ZONE, slate_key
from prediction_assets.stores.protocols import Warehouse

PRUNE_CRON = "30 4 * * *"
"""Between the last game of an evening and the morning's roster."""


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Return the schedules of this module, running by default."""
    simple = (
        (
            "daily_morning_check",
            morning_check_job,
            settings.morning_check_cron,
            "Every morning, after the slate's deadline: are tonight's predictions there? A day without games passes.",
        ),
        (
            "weekly_training",
            training_job,
            settings.model_cron,
            "Every week: train `points_model` on the last four years of games, hours before a roster is opened.",
        ),
        (
            "daily_prune",
            prune_job,
            PRUNE_CRON,
            "Every night: prunes one slice of each kind of history that is older than keep_days.",
        ),
    )
    return [
        daily_roster(settings),
        *(
            dg.ScheduleDefinition(
                name=name,
                job=job,
                cron_schedule=cron,
                execution_timezone=settings.time_zone,
                default_status=dg.DefaultScheduleStatus.RUNNING,
                description=description,
            )
            for name, job, cron, description in simple
        ),
    ]


def daily_roster(settings: Settings) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="daily_roster",
        job=roster_job,
        cron_schedule=settings.roster_cron,
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every morning of a season: open tonight's batch. The slate is the tick's date in "
        "America/New_York.",
    )
    def tick(
        context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(GAME_TIME_ZONE).date()
        slate = slate_key(today)
        # A warehouse that can't be read is the run's to report; out of season there is nothing to report.
        with suppress(PredictionAssetsError):
            if calendar_of(impatient(warehouse), today).is_off_season(today):
                return dg.SkipReason(f"{slate} is out of season: the schedule lists no game around it")
        return dg.RunRequest(
            run_key=f"roster:{slate}",
            run_config={"ops": {"slate_roster": {"config": {"slate": slate}}}},
            tags={SLATE_TAG: slate},
        )

    return tick

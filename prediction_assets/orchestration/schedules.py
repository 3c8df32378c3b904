"""The schedules: the roster and its morning check each morning, a model each week, pruning each night.

https://docs.dagster.io/guides/automate/schedules
"""

import dagster as dg

from prediction_assets.orchestration.jobs import morning_check_job, roster_job, training_job
from prediction_assets.orchestration.pruning import prune_job
from prediction_assets.orchestration.run_tags import SLATE_TAG
from prediction_assets.settings import Settings
from prediction_assets.slate.keys import GAME_TIME_ZONE, slate_key

PRUNE_CRON = "30 4 * * *"
"""Between the last game of an evening and the morning's roster."""


def daily_prune(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule of the pruning, running by default."""
    return dg.ScheduleDefinition(
        name="daily_prune",
        job=prune_job,
        cron_schedule=PRUNE_CRON,
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every night: prunes one slice of each kind of history that is older than keep_days.",
    )


def daily_roster(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule, at the settings' hour, running by default."""

    @dg.schedule(
        name="daily_roster",
        job=roster_job,
        cron_schedule=settings.roster_cron,
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every morning: open tonight's batch. The slate is the tick's date in America/New_York.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        slate = slate_key(context.scheduled_execution_time.astimezone(GAME_TIME_ZONE).date())
        return dg.RunRequest(
            run_key=f"roster:{slate}",
            run_config={"ops": {"slate_roster": {"config": {"slate": slate}}}},
            tags={SLATE_TAG: slate},
        )

    return tick


def weekly_training(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule, at the settings' hour, running by default."""
    return dg.ScheduleDefinition(
        name="weekly_training",
        job=training_job,
        cron_schedule=settings.model_cron,
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every week: train `points_model` on the last four years of games, hours before a "
        "roster is opened.",
    )


def daily_morning_check(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule of the morning check, running by default."""
    return dg.ScheduleDefinition(
        name="daily_morning_check",
        job=morning_check_job,
        cron_schedule=settings.morning_check_cron,
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every morning, after the slate's deadline: are tonight's predictions there? A day without "
        "games passes.",
    )

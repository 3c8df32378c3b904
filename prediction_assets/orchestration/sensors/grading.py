"""Grade slates once their results are in.

Asks the warehouse, not events: which slates have a receipt, all game logs, and no grade of that very receipt.
https://docs.dagster.io/guides/automate/sensors
"""

import itertools
from datetime import timedelta

import dagster as dg

from prediction_assets.errors import TransientError
from prediction_assets.nba.grades import gradable
from prediction_assets.orchestration.jobs import grading_job
from prediction_assets.orchestration.sensors.requests import WAREHOUSE_WAIT_SECONDS, RunNeed, request
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.stores.protocols import Warehouse

SECONDS_BETWEEN_TICKS = 900
"""Results come in once a morning, and a tick is a query that BigQuery bills."""

SLATES_PER_TICK = 5

LOOKBACK = timedelta(days=30)
"""Slates that are looked after; an older one is graded by `prediction-assets grade`."""


def grading_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks for grades."""

    @dg.sensor(
        name="grading_sensor",
        job=grading_job,
        minimum_interval_seconds=max(SECONDS_BETWEEN_TICKS, settings.tick_seconds),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Grades the slates of the last 30 days whose game logs have all been ingested, five a tick, and "
        "again when a slate was consolidated anew.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        now = clock.now()
        today = now.astimezone(GAME_TIME_ZONE).date()
        try:
            found = gradable(warehouse.waiting_at_most(WAREHOUSE_WAIT_SECONDS), today - LOOKBACK, today)
        except TransientError as error:
            return dg.SensorResult(skip_reason=str(error))
        wanted = (
            RunNeed(
                f"grade:{each.slate}:{each.receipt_id}",
                grading_job.name,
                each.slate,
                partition_key=each.slate,
            )
            for each in found
            if each.has_results and not each.is_graded
        )
        outcomes = (request(context.instance, work, now) for work in wanted)
        asked = (outcome for outcome in outcomes if isinstance(outcome, dg.RunRequest))
        requests = list(itertools.islice(asked, SLATES_PER_TICK))
        if requests:
            return dg.SensorResult(run_requests=requests)
        return dg.SensorResult(skip_reason="no slate with all its game logs lacks its grades")

    return evaluate

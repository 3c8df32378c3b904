"""The grading sensor: it requests the grades of a slate once all its game logs are there.

Reads the warehouse, not events: which slates have a receipt, all game logs, and no grade of that very receipt.
https://docs.dagster.io/guides/automate/sensors
"""

import itertools
from datetime import timedelta

import dagster as dg

from prediction_assets.errors import TransientError
from prediction_assets.nba.grades import gradable
from prediction_assets.orchestration.jobs import grading_job
from prediction_assets.orchestration.sensors.requests import RunNeed, impatient, request
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.stores.protocols import Warehouse

SECONDS_BETWEEN_TICKS = 900
"""Results arrive once a morning, and BigQuery bills each tick's query."""

SLATES_PER_TICK = 5

LOOKBACK = timedelta(days=30)
"""Older slates are graded by `prediction-assets grade`."""


def grading_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="grading_sensor",
        job=grading_job,
        minimum_interval_seconds=max(SECONDS_BETWEEN_TICKS, settings.tick_seconds),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests the grades of slates of the last 30 days whose game logs are all ingested, at most five "
        "slates in a tick, and again after a slate is consolidated again.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        now = clock.now()
        today = now.astimezone(GAME_TIME_ZONE).date()
        try:
            found = gradable(impatient(warehouse), today - LOOKBACK, today)
        except TransientError as error:
            return dg.SensorResult(skip_reason=str(error))
        needs = (
            RunNeed(f"grade:{each.slate}:{each.receipt_id}", grading_job.name, each.slate, each.slate)
            for each in found
            if each.has_results and not each.is_graded
        )
        outcomes = (request(context.instance, need, now) for need in needs)
        due = (outcome for outcome in outcomes if isinstance(outcome, dg.RunRequest))
        requests = list(itertools.islice(due, SLATES_PER_TICK))
        if requests:
            return dg.SensorResult(run_requests=requests)
        return dg.SensorResult(skip_reason="every slate with all its game logs is graded")

    return evaluate

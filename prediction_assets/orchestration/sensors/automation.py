"""The sensors that carry a slate: they request its staging, its consolidation and its completion message.

They request what batch state, warehouse and outbox lack (:mod:`.needs`), never what an event says. Attempts are
bounded; after the last one the gap sensor tries again, more slowly.
https://docs.dagster.io/guides/automate/sensors
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import dagster as dg

from prediction_assets.errors import TransientError
from prediction_assets.orchestration.jobs import completion_job, consolidation_job, features_job, staging_job
from prediction_assets.orchestration.runs import pending_stages
from prediction_assets.orchestration.sensors.needs import SlateNeeds, completion_need
from prediction_assets.orchestration.sensors.requests import (
    Skipped,
    impatient,
    request,
    sensor_result,
    slate_by_slate,
)
from prediction_assets.settings import Settings
from prediction_assets.slate.completion_message import is_awaited
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock
from prediction_assets.stores.protocols import BatchState, Outbox, Warehouse


def staging_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="staging_sensor",
        jobs=[features_job, staging_job],
        minimum_interval_seconds=settings.step_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="After the roster: requests a slate's features, then the staging of players without an outcome. "
        "Features that are lost or damaged are requested again.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        needs = SlateNeeds(context.instance, settings, clock.now(), warehouse.snapshots)
        return needs.requests(batch_state, needs.until_settled)

    return evaluate


def consolidation_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="consolidation_sensor",
        jobs=[consolidation_job, features_job, staging_job],
        minimum_interval_seconds=settings.step_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests the merge of a slate when all players have an outcome, or at its deadline, and again "
        "after players were staged again. Requests the staging of players whose part is lost.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        needs = SlateNeeds(context.instance, settings, clock.now(), warehouse.snapshots)
        try:
            return needs.requests(batch_state, partial(needs.until_merged, warehouse=impatient(warehouse)))
        except TransientError as error:
            return dg.SensorResult(skip_reason=str(error))

    return evaluate


def completion_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="phase5_completion_sensor",
        job=completion_job,
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests the completion message of each recent slate whose newest consolidation couldn't announce "
        "it. It reads batch state's copy of the receipt and the outbox.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        batch_state: dg.ResourceParam[BatchState],
        outbox: dg.ResourceParam[Outbox],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        now = clock.now()

        def of_slate(slate: str) -> Iterator[dg.RunRequest | Skipped]:
            receipt = batch_state.consolidated(slate)
            if receipt is None or not is_awaited(receipt, outbox.entries(slate)):
                return
            if consolidation_job.name in pending_stages(context.instance, now).get(slate, ()):
                yield Skipped(f"{slate}: its consolidation is still to announce it")
            else:
                yield request(context.instance, completion_need(receipt), now)

        recent = batch_state.recent_slates(now - timedelta(days=RECENT_DAYS))
        return sensor_result(slate_by_slate(recent, of_slate))

    return evaluate

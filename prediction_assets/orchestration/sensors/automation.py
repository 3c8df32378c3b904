"""The sensors that carry a slate: they request its staging, its consolidation and its completion message.

The first two request what batch state and warehouse lack (:mod:`.needs`). The third follows materializations of
``predictions``, oldest first, and requests the message of one only when its own checks passed. Attempts
are bounded; after the last one the gap sensor tries again, more slowly.
https://docs.dagster.io/guides/automate/sensors
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import dagster as dg
from dagster import DagsterInstance, RunsFilter

from prediction_assets.errors import TransientError
from prediction_assets.orchestration.asset_checks import CHECK_KEYS, PREDICTIONS_ASSET
from prediction_assets.orchestration.following import Cursor, follow
from prediction_assets.orchestration.gates import RECEIPT_ID, Gate, verdict
from prediction_assets.orchestration.jobs import completion_job, consolidation_job, features_job, staging_job
from prediction_assets.orchestration.run_tags import REQUEST_TAG
from prediction_assets.orchestration.runs import is_group_pending
from prediction_assets.orchestration.sensors.needs import SlateNeeds
from prediction_assets.orchestration.sensors.requests import RunNeed, Skipped, impatient, request
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock
from prediction_assets.stores.protocols import BatchState, Warehouse

_MATERIALIZATIONS_PER_TICK = 10
"""Each takes a query per check: 0.2 s on a busy machine with years of events."""


def staging_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that requests features and staging."""

    @dg.sensor(
        name="staging_sensor",
        jobs=[features_job, staging_job],
        minimum_interval_seconds=settings.tick_seconds,
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
    """Return the sensor that requests consolidations."""

    @dg.sensor(
        name="consolidation_sensor",
        jobs=[consolidation_job, features_job, staging_job],
        minimum_interval_seconds=settings.tick_seconds,
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
    """Return the sensor that requests completion messages."""

    @dg.sensor(
        name="phase5_completion_sensor",
        job=completion_job,
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests the completion message of each consolidation whose checks passed, oldest first. Its "
        "cursor is the last materialization of predictions that it is done with: storage id and run.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        now, reason = clock.now(), "no new consolidation"
        cursor, found = follow(
            partial(_materializations, context.instance),
            Cursor.read(context.cursor),
            limit=_MATERIALIZATIONS_PER_TICK,
            since=now - timedelta(days=RECENT_DAYS),
        )
        for record in found:
            outcome = _request_message(context.instance, record, now)
            if isinstance(outcome, dg.RunRequest):
                return dg.SensorResult(run_requests=[outcome], cursor=str(cursor))
            if isinstance(outcome, Skipped) and not outcome.is_exhausted:
                reason = outcome.reason  # a later slate's message waits: messages go out in order
                break
            cursor = Cursor.at(record)
        return dg.SensorResult(skip_reason=reason, cursor=str(cursor))

    return evaluate


def _materializations(
    instance: DagsterInstance, *, after: int, since: datetime | None, limit: int, ascending: bool
) -> Sequence[dg.EventLogRecord]:
    wanted = dg.AssetRecordsFilter(
        asset_key=PREDICTIONS_ASSET,
        after_storage_id=after,
        after_timestamp=None if since is None else since.timestamp(),
    )
    return instance.fetch_materializations(wanted, limit=limit, ascending=ascending).records


def _request_message(
    instance: DagsterInstance, record: dg.EventLogRecord, now: datetime
) -> dg.RunRequest | Skipped | None:
    """Return the run that announces a consolidation, why it waits, or None when it needs nothing more."""
    slate = record.partition_key or ""
    result = verdict(instance, record, CHECK_KEYS)
    if result.gate is Gate.PENDING:
        consolidation = instance.get_run_by_id(record.run_id)
        # The retry of a killed run may evaluate the checks of what that run materialized.
        if consolidation is not None and is_group_pending(instance, consolidation, now):
            return Skipped(f"{slate}: waits for {', '.join(result.checks)}")
    if result.gate is not Gate.ALLOWED or record.asset_materialization is None:
        return None
    receipt_id = record.asset_materialization.metadata[RECEIPT_ID].value
    config = {"ops": {"phase5_completion": {"config": {"receipt_id": receipt_id}}}}
    name = f"phase5:{record.storage_id}:{record.run_id[:8]}"
    if any(run.is_success for run in instance.get_runs(RunsFilter(tags={REQUEST_TAG: name}))):
        return None
    need = RunNeed(name, completion_job.name, slate, slate, run_config=config)
    return request(instance, need, now)

"""Staging, consolidation and completion, asked for when a slate needs them.

The first two read batch state, not events: whatever was missed, killed or re-run, the next tick sees what
the slate still needs. Attempts at the same work are bounded; what they give up, the gap finder takes up. The
third follows materializations of ``predictions`` by storage id, oldest first, and asks for a completion only
when the checks of that very materialization passed.
https://docs.dagster.io/guides/automate/sensors
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

import dagster as dg
from dagster import DagsterInstance, RunsFilter

from prediction_assets.errors import NoPartsStaged, ReceiptAltered, TooFewStaged, TransientError
from prediction_assets.orchestration.asset_checks import CHECK_KEYS, PREDICTIONS_ASSET
from prediction_assets.orchestration.following import Cursor, follow
from prediction_assets.orchestration.gates import RECEIPT_ID, Gate, verdict
from prediction_assets.orchestration.jobs import completion_job, consolidation_job, features_job, staging_job
from prediction_assets.orchestration.partitions import ranges, registered_keys
from prediction_assets.orchestration.run_tags import BATCH_TAG, RANGE_END_TAG, RANGE_START_TAG, REQUEST_TAG
from prediction_assets.orchestration.runs import is_group_pending
from prediction_assets.orchestration.sensors.requests import (
    REQUEST_ATTEMPTS,
    WAREHOUSE_WAIT_SECONDS,
    RunNeed,
    Skipped,
    request,
    sensor_result,
    slate_by_slate,
    staging_slates,
)
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.merge_plan import plan, receipt_id
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.part_states import PartState, part_states, players_with
from prediction_assets.stores.protocols import BatchState, Warehouse

_MATERIALIZATIONS_PER_TICK = 10
"""Each takes a query per check; on a busy machine with years of events that is 0.2 s."""


def features_work(progress: Progress) -> RunNeed:
    """Return the run that pins a slate's features."""
    batch = progress.batch
    return RunNeed(
        f"features:{batch.batch_id}", features_job.name, batch.slate, batch.slate, {BATCH_TAG: batch.batch_id}
    )


def staging_work(
    instance: DagsterInstance, progress: Progress, slugs: Sequence[str], name: str, players_per_run: int
) -> Iterator[RunNeed]:
    """Yield the fewest ranged runs that stage these players of one slate."""
    batch = progress.batch
    wanted = [player_key(batch.slate, slug) for slug in slugs]
    for first, last in ranges(registered_keys(instance, wanted), wanted, players_per_run):
        tags = {BATCH_TAG: batch.batch_id, RANGE_START_TAG: first, RANGE_END_TAG: last}
        yield RunNeed(f"{name}:{first}..{last}", staging_job.name, batch.slate, tags=tags)


def consolidation_work(progress: Progress, attempts: int = REQUEST_ATTEMPTS) -> RunNeed:
    """Return the run that merges a slate as it stands."""
    batch = progress.batch
    return RunNeed(
        f"consolidate:{batch.slate}:{receipt_id(progress)}", consolidation_job.name, batch.slate, batch.slate,
        {BATCH_TAG: batch.batch_id}, attempts=attempts,
    )  # fmt: skip


def staging_needs(
    instance: DagsterInstance, progress: Progress, busy: set[str], players_per_run: int, now: datetime
) -> Iterator[RunNeed | Skipped]:
    """Yield what a batch needs until all its players have settled.

    Args:
        busy: slates that are being staged.
    """
    step = next_step(progress, now)
    if step is Step.FEATURES:
        yield features_work(progress)
    elif step is Step.STAGE and progress.batch.slate in busy:
        yield Skipped(f"staging:{progress.batch.slate}: a run is in flight")
    elif step is Step.STAGE:
        name = f"staging:{progress.batch.batch_id}"
        yield from staging_work(instance, progress, progress.unsettled, name, players_per_run)


def consolidation_needs(
    instance: DagsterInstance,
    warehouse: Warehouse,
    progress: Progress,
    busy: set[str],
    players_per_run: int,
    minimum_staged_share: float,
    now: datetime,
) -> Iterator[RunNeed | Skipped]:
    """Yield what a batch needs to be merged as it stands.

    A consolidation that can only be refused is asked for once, so that its checks turn red.

    Args:
        busy: slates that are being staged.
    """
    if next_step(progress, now) is not Step.CONSOLIDATE:
        return
    slate = progress.batch.slate
    if slate in busy and (not progress.unsettled or progress.receipt is not None):
        # At the deadline nobody waits for a staging run; later its players are merged together.
        yield Skipped(f"consolidate:{slate}: players are being staged anew")
        return
    try:
        receipts = warehouse.receipts(slate)
    except ReceiptAltered as error:  # of this slate only: the others go on
        yield Skipped(str(error))
        return
    states = part_states(progress, warehouse.parts.staged(slate), receipts)
    lost = tuple(players_with(states, PartState.LOST))
    if lost:
        name = f"restage:{receipt_id(progress)}"
        yield from staging_work(instance, progress, lost, name, players_per_run)
        return
    try:
        plan(progress, receipts, minimum_staged_share=minimum_staged_share)
    except (NoPartsStaged, TooFewStaged) as error:
        yield Skipped(str(error)) if slate in busy else consolidation_work(progress, attempts=1)
    else:
        yield consolidation_work(progress)


def _ask(
    instance: DagsterInstance, needs: Iterator[RunNeed | Skipped], now: datetime
) -> Iterator[dg.RunRequest | Skipped]:
    for need in needs:
        yield need if isinstance(need, Skipped) else request(instance, need, now)


def staging_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks for features and staging."""
    players_per_run = settings.players_per_run

    @dg.sensor(
        name="staging_sensor",
        jobs=[features_job, staging_job],
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="After the roster: pins a slate's features, then stages the players who have no outcome yet.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        batch_state: dg.ResourceParam[BatchState],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        instance, now = context.instance, clock.now()
        state, busy = batch_state, staging_slates(instance, now)

        def ask(slate: str) -> Iterator[dg.RunRequest | Skipped]:
            progress = state.progress(slate)
            if progress is not None:
                needs = staging_needs(instance, progress, busy, players_per_run, now)
                yield from _ask(instance, needs, now)

        return sensor_result(slate_by_slate(state.recent_slates(now - timedelta(days=RECENT_DAYS)), ask))

    return evaluate


def consolidation_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks for consolidations."""
    players_per_run = settings.players_per_run

    @dg.sensor(
        name="consolidation_sensor",
        jobs=[consolidation_job, staging_job],
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests the merge of a slate when all players have an outcome, or at its deadline; again after "
        "a re-run. Requests staging of players whose part is lost.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        instance, now, share = context.instance, clock.now(), settings.minimum_staged_share
        state, busy = batch_state, staging_slates(instance, now)

        def ask(slate: str) -> Iterator[dg.RunRequest | Skipped]:
            progress = state.progress(slate)
            if progress is not None:
                needs = consolidation_needs(
                    instance,
                    warehouse.waiting_at_most(WAREHOUSE_WAIT_SECONDS),
                    progress,
                    busy,
                    players_per_run,
                    share,
                    now,
                )
                yield from _ask(instance, needs, now)

        try:
            return sensor_result(slate_by_slate(state.recent_slates(now - timedelta(days=RECENT_DAYS)), ask))
        except TransientError as error:
            return dg.SensorResult(skip_reason=str(error))

    return evaluate


def completion_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks for Phase 5 completions."""

    @dg.sensor(
        name="phase5_completion_sensor",
        job=completion_job,
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests the announcement of each consolidation whose checks passed, oldest first. Its "
        "cursor names the last materialization that is done with, by storage id and run.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        now, notes = clock.now(), []
        cursor, found = follow(
            partial(_materializations, context.instance),
            Cursor.read(context.cursor),
            limit=_MATERIALIZATIONS_PER_TICK,
            first_since=None,
            again_since=now - timedelta(days=RECENT_DAYS),
        )
        for record in found:
            outcome = _completion_request(context.instance, record, now)
            if isinstance(outcome, dg.RunRequest):
                return dg.SensorResult(run_requests=[outcome], cursor=str(cursor))
            if isinstance(outcome, Skipped) and not outcome.gave_up:
                notes.append(outcome.reason)
                break
            cursor = Cursor.at(record)
        return dg.SensorResult(skip_reason="; ".join(notes) or "no new consolidation", cursor=str(cursor))

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


def _completion_request(
    instance: DagsterInstance, record: dg.EventLogRecord, now: datetime
) -> dg.RunRequest | Skipped | None:
    """Return what a consolidation needs: a completion run, patience, or (None) nothing any more."""
    slate = record.partition_key or ""
    result = verdict(instance, record, CHECK_KEYS)
    if result.gate is Gate.PENDING:
        consolidation = instance.get_run_by_id(record.run_id)
        # A retry of a killed run may evaluate the checks of what that run materialized.
        if consolidation is not None and is_group_pending(instance, consolidation, now):
            return Skipped(f"{slate}: waits for {', '.join(result.checks)}")
    if result.gate is not Gate.ALLOWED or record.asset_materialization is None:
        return None
    receipt = record.asset_materialization.metadata[RECEIPT_ID].value
    work = RunNeed(
        f"phase5:{record.storage_id}:{record.run_id[:8]}", completion_job.name, slate, slate,
        run_config={"ops": {"phase5_completion": {"config": {"receipt_id": receipt}}}},
    )  # fmt: skip
    if any(run.is_success for run in instance.get_runs(RunsFilter(tags={REQUEST_TAG: work.name}))):
        return None
    return request(instance, work, now)

"""Staging, consolidation and completion, asked for when a slate needs them.

The first two read batch state, not events: whatever was missed, killed or re-run, the next tick sees what
the slate still needs. Attempts at the same work are bounded, counted over the runs that carry its tag. The
third follows materializations of ``predictions`` by storage id, oldest first, and asks for a completion only
when the checks of that very materialization passed.
https://docs.dagster.io/guides/automate/sensors
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from prediction_assets.assets.staged_predictions import STAGED
from prediction_assets.batch_state.port import BatchState, Progress
from prediction_assets.checks import CHECK_KEYS, PREDICTIONS_ASSET
from prediction_assets.consolidation import Step, lost_parts, next_step, receipt_id
from prediction_assets.errors import TransientError
from prediction_assets.gates import RECEIPT_ID, Gate, verdict
from prediction_assets.jobs import (
    REQUEST_TAG,
    SLATE_TAG,
    completion_job,
    consolidation_job,
    features_job,
    staging_job,
)
from prediction_assets.keys import player_key
from prediction_assets.partitions import RANGE_END_TAG, RANGE_START_TAG, SLATE_PLAYERS, ranges
from prediction_assets.resources import BatchStateResource, SettingsResource, WarehouseResource
from prediction_assets.sensors.dead_letters import dead_letters_sensor
from prediction_assets.settings import Settings

_IN_FLIGHT = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_MATERIALIZATIONS_PER_TICK = 25

FIRST_PAUSE = timedelta(seconds=30)
"""Pause before a second attempt at the same work, doubled before each further one."""

LOST_AFTER = timedelta(minutes=3)
"""Silence after which a run counts as lost: the longest step, fitting five systems, takes seconds."""


def is_recent(moment: datetime, now: datetime, span: timedelta) -> bool:
    """Return whether something happened within a span of time.

    A moment that lies further ahead than the span is from before the clock was set back; were it taken for
    recent, work would rest until the clock has caught up with it, for hours.
    """
    return abs(now - moment) <= span


def is_lost(instance: DagsterInstance, run: DagsterRun, now: datetime) -> bool:
    """Return whether a run that says it is in flight has been silent for so long that its process must be gone.

    A killed process leaves its run in flight for ever, and Dagster's default launcher can't ask after it. Every
    step is idempotent, so going on beside a run that was only slow costs work and nothing else.
    """
    newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return bool(newest) and not is_recent(
        datetime.fromtimestamp(newest[0].event_log_entry.timestamp, UTC), now, LOST_AFTER
    )


def staging_slates(instance: DagsterInstance, now: datetime) -> set[str]:
    """Return the slates that a run in flight is staging players of, whoever asked for it."""
    found = set()
    for run in instance.get_runs(RunsFilter(statuses=_IN_FLIGHT)):
        if is_lost(instance, run, now):
            continue
        if run.asset_selection is not None and STAGED not in run.asset_selection:
            continue
        if run.asset_selection is None and run.job_name != staging_job.name:
            continue
        key = run.tags.get(RANGE_START_TAG) or run.tags.get("dagster/partition") or ""
        found.add(key.partition(":")[0])
    return found


def request(
    instance: DagsterInstance, work: str, attempts: int, now: datetime, **run: object
) -> dg.RunRequest | dg.SkipReason:
    """Return a run request for some work, unless a run for it is in flight or it failed too often."""
    records = instance.get_run_records(RunsFilter(tags={REQUEST_TAG: work}))
    runs = [record.dagster_run for record in records]
    if any(not r.is_finished and not is_lost(instance, r, now) for r in runs):
        return dg.SkipReason(f"{work}: a run is in flight")
    if len(runs) >= attempts:
        return dg.SkipReason(
            f"{work}: {len(runs)} runs didn't settle it; look at the last one ({runs[0].run_id}), mend the "
            "cause and materialize by hand"
        )
    pause = FIRST_PAUSE * 2 ** (len(runs) - 1) if runs else FIRST_PAUSE
    if records and is_recent(records[0].update_timestamp.replace(tzinfo=UTC), now, pause):
        return dg.SkipReason(f"{work}: the last run failed a moment ago, the next attempt waits")
    tags = {**run.pop("tags", {}), REQUEST_TAG: work}  # type: ignore[dict-item]
    return dg.RunRequest(run_key=f"{work}:{len(runs)}", tags=tags, **run)  # type: ignore[arg-type]


def _recent(state: BatchState, now: datetime, days: int) -> Iterator[Progress]:
    for slate in state.recent_slates(now - timedelta(days=days)):
        progress = state.progress(slate)
        if progress is not None:
            yield progress


def _result(outcomes: Iterable[dg.RunRequest | dg.SkipReason]) -> dg.SensorResult:
    listed = list(outcomes)
    requests = [o for o in listed if isinstance(o, dg.RunRequest)]
    reasons = [o.skip_message or "" for o in listed if isinstance(o, dg.SkipReason)]
    if requests:
        return dg.SensorResult(run_requests=requests)
    return dg.SensorResult(skip_reason="; ".join(reasons) or "no slate needs it")


def _staging_runs(
    instance: DagsterInstance,
    progress: Progress,
    slugs: Sequence[str],
    work: str,
    settings: Settings,
    now: datetime,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the fewest ranged runs that stage these players of one slate."""
    batch = progress.batch
    registered = instance.get_dynamic_partitions(SLATE_PLAYERS.name or "")
    wanted = [player_key(batch.slate, slug) for slug in slugs]
    for first, last in ranges(registered, wanted, settings.players_per_run):
        yield request(
            instance, f"{work}:{first}..{last}", settings.request_attempts, now,
            job_name=staging_job.name,
            tags={SLATE_TAG: batch.slate, "batch": batch.batch_id, RANGE_START_TAG: first, RANGE_END_TAG: last},
        )  # fmt: skip


def staging_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks for features and staging."""

    @dg.sensor(
        name="staging_sensor",
        jobs=[features_job, staging_job],
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="After the roster: pins a slate's features, then stages the players who have no outcome yet.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext, batch_state: BatchStateResource, settings: SettingsResource
    ) -> dg.SensorResult:
        return _result(staging_requests(context.instance, batch_state.port, settings.now()))

    def staging_requests(
        instance: DagsterInstance, state: BatchState, now: datetime
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        busy = staging_slates(instance, now)
        for progress in _recent(state, now, settings.sensor_lookback_days):
            batch, step = progress.batch, next_step(progress, now)
            tags = {SLATE_TAG: batch.slate, "batch": batch.batch_id}
            if step is Step.FEATURES:
                work = f"features:{batch.batch_id}"
                yield request(
                    instance, work, settings.request_attempts, now,
                    job_name=features_job.name, partition_key=batch.slate, tags=tags,
                )  # fmt: skip
            elif step is Step.STAGE:
                if batch.slate in busy:
                    yield dg.SkipReason(f"staging:{batch.slate}: a run is in flight")
                    continue
                work = f"staging:{batch.batch_id}"
                yield from _staging_runs(instance, progress, progress.unsettled, work, settings, now)

    return evaluate


def consolidation_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks for consolidations."""

    @dg.sensor(
        name="consolidation_sensor",
        jobs=[consolidation_job, staging_job],
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="When every expected player has settled, or at the deadline with whoever has: merges the "
        "slate. Again whenever a player was staged anew. A player whose part got lost is staged again first.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        warehouse: WarehouseResource,
        batch_state: BatchStateResource,
        settings: SettingsResource,
    ) -> dg.SensorResult:
        try:
            return _result(
                consolidation_requests(context.instance, warehouse, batch_state.port, settings.now())
            )
        except TransientError as error:
            return dg.SensorResult(skip_reason=str(error))

    def consolidation_requests(
        instance: DagsterInstance, warehouse: WarehouseResource, state: BatchState, now: datetime
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        busy = staging_slates(instance, now)
        for progress in _recent(state, now, settings.sensor_lookback_days):
            batch = progress.batch
            if next_step(progress, now) is not Step.CONSOLIDATE:
                continue
            if batch.slate in busy and not progress.unsettled:
                yield dg.SkipReason(f"consolidate:{batch.slate}: players are being staged anew")
                continue
            lost = lost_parts(
                progress, warehouse.port.parts.staged(batch.slate), warehouse.port.receipts(batch.slate)
            )
            if lost:
                yield from _staging_runs(
                    instance, progress, lost, f"restage:{receipt_id(progress)}", settings, now
                )
                continue
            yield request(
                instance, f"consolidate:{batch.slate}:{receipt_id(progress)}", settings.request_attempts, now,
                job_name=consolidation_job.name,
                partition_key=batch.slate,
                tags={SLATE_TAG: batch.slate, "batch": batch.batch_id},
            )  # fmt: skip

    return evaluate


def completion_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks for Phase 5 completions."""
    attempts = settings.request_attempts

    @dg.sensor(
        name="phase5_completion_sensor",
        job=completion_job,
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Announces each consolidation whose own checks passed, one after another, oldest first. Its "
        "cursor is the storage id of the last materialization that is done with.",
    )
    def evaluate(context: dg.SensorEvaluationContext, settings: SettingsResource) -> dg.SensorResult:
        cursor = int(context.cursor or 0)
        found = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=PREDICTIONS_ASSET, after_storage_id=cursor),
            limit=_MATERIALIZATIONS_PER_TICK,
            ascending=True,
        )
        notes = []
        for record in found.records:
            outcome = _completion_request(context.instance, record, attempts, settings.now())
            if isinstance(outcome, dg.RunRequest):
                return dg.SensorResult(run_requests=[outcome], cursor=str(cursor))
            if isinstance(outcome, dg.SkipReason):
                notes.append(outcome.skip_message or "")
                break
            cursor = record.storage_id
        return dg.SensorResult(skip_reason="; ".join(notes) or "no new consolidation", cursor=str(cursor))

    return evaluate


def _completion_request(
    instance: DagsterInstance, record: dg.EventLogRecord, attempts: int, now: datetime
) -> dg.RunRequest | dg.SkipReason | None:
    """Return what a consolidation needs: a completion run, patience, or (None) nothing any more."""
    slate, work = record.partition_key or "", f"phase5:{record.storage_id}"
    result = verdict(instance, record, CHECK_KEYS)
    if result.gate is Gate.WAIT:
        consolidation = instance.get_run_by_id(record.run_id)
        if (
            consolidation is not None
            and not consolidation.is_finished
            and not is_lost(instance, consolidation, now)
        ):
            return dg.SkipReason(f"{slate}: waits for {', '.join(result.checks)}")
    if result.gate is not Gate.OPEN or record.asset_materialization is None:
        return None
    runs = instance.get_runs(RunsFilter(tags={REQUEST_TAG: work}))
    if any(run.is_success for run in runs) or (
        len(runs) >= attempts and all(run.is_finished for run in runs)
    ):
        return None
    receipt = record.asset_materialization.metadata[RECEIPT_ID].value
    return request(
        instance, work, attempts, now,
        partition_key=slate, tags={SLATE_TAG: slate},
        run_config={"ops": {"phase5_completion": {"config": {"receipt_id": receipt}}}},
    )  # fmt: skip


def build_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Return every sensor of the automation, running by default."""
    return [
        staging_sensor(settings),
        consolidation_sensor(settings),
        completion_sensor(settings),
        dead_letters_sensor(settings),
    ]

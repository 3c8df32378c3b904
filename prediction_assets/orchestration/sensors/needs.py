"""What the open batches need at one moment: the runs that pin features, stage players and merge.

Read from batch state and warehouse, never from events: after a missed tick or a killed run, the next tick sees what
is still needed. What doesn't belong here: whether a run may be requested now (:mod:`.requests`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta

import dagster as dg
from dagster import DagsterInstance

from prediction_assets.errors import AuditRefused, NoPartsStaged, ReceiptAltered
from prediction_assets.orchestration.jobs import (
    completion_job,
    consolidation_job,
    features_job,
    roster_job,
    staging_job,
)
from prediction_assets.orchestration.partitions import ranges, registered_keys
from prediction_assets.orchestration.run_tags import BATCH_TAG
from prediction_assets.orchestration.runs import pending_stages
from prediction_assets.orchestration.sensors.requests import (
    REQUEST_ATTEMPTS,
    RunNeed,
    Skipped,
    request,
    sensor_result,
    slate_by_slate,
)
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import message_id
from prediction_assets.slate.deadlines import RECENT_DAYS
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.merge_plan import plan, receipt_id
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.part_states import PartState, part_states, players_with
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.merge import audit_limits
from prediction_assets.stores.protocols import BatchState, Snapshots, Warehouse


class SlateNeeds:
    """What batches need in one tick.

    Attributes:
        pending: the jobs of each slate's runs in progress.
    """

    def __init__(
        self, instance: DagsterInstance, settings: Settings, now: datetime, snapshots: Snapshots
    ) -> None:
        self.instance = instance
        self.snapshots = snapshots
        self.settings = settings
        self.now = now
        self.pending = pending_stages(instance, now)

    def is_pending(self, slate: str, job: str) -> bool:
        return job in self.pending.get(slate, ())

    def recent_slates(self, state: BatchState) -> list[str]:
        return list(state.recent_slates(self.now - timedelta(days=RECENT_DAYS)))

    def requests(
        self, state: BatchState, needs_of: Callable[[Progress], Iterator[RunNeed | Skipped]]
    ) -> dg.SensorResult:
        def of_slate(slate: str) -> Iterator[dg.RunRequest | Skipped]:
            progress = state.progress(slate)
            if progress is not None:
                yield from map(self.request, needs_of(progress))

        return sensor_result(slate_by_slate(self.recent_slates(state), of_slate))

    def request(self, need: RunNeed | Skipped) -> dg.RunRequest | Skipped:
        if isinstance(need, Skipped):
            return need
        return request(self.instance, need, self.now)

    def until_settled(self, progress: Progress) -> Iterator[RunNeed | Skipped]:
        """Yield what a batch needs until every player has an outcome."""
        step, slate = next_step(progress, self.now), progress.batch.slate
        if step is Step.FEATURES and self.is_pending(slate, roster_job.name):
            yield Skipped(f"features:{slate}: its roster run is about to pin them")
        elif step is Step.FEATURES:
            yield features_need(progress)
        elif step is Step.STAGE and self.is_pending(slate, staging_job.name):
            yield Skipped(f"staging:{slate}: a run is in progress")
        elif step is Step.STAGE:
            yield from self.staging(progress, progress.unsettled, f"staging:{progress.batch.batch_id}")

    def until_merged(self, progress: Progress, warehouse: Warehouse) -> Iterator[RunNeed | Skipped]:
        """Yield what a batch needs to be merged as it stands."""
        if next_step(progress, self.now) is not Step.CONSOLIDATE:
            return
        slate = progress.batch.slate
        is_staging = self.is_pending(slate, staging_job.name)
        # A first merge at the deadline doesn't wait for a staging run. Any later merge takes its players too.
        if is_staging and (not progress.unsettled or progress.receipt is not None):
            yield Skipped(f"consolidate:{slate}: players are being staged again")
            return
        try:
            receipts = warehouse.receipts(slate)
        except ReceiptAltered as error:  # concerns this slate only
            yield Skipped(str(error))
            return
        states = part_states(progress, warehouse.parts.staged(slate), receipts)
        lost = players_with(states, PartState.LOST)
        if lost:
            yield from self.staging(progress, lost, f"restage:{receipt_id(progress)}")
            return
        try:
            plan(progress, receipts, limits=audit_limits(self.settings))
        except (NoPartsStaged, AuditRefused) as error:
            # The run will be refused too: one is requested, so that its checks turn red.
            yield Skipped(str(error)) if is_staging else consolidation_need(progress, attempts=1)
        else:
            yield consolidation_need(progress)

    def staging(
        self, progress: Progress, slugs: Collection[str], name: str, **config: object
    ) -> Iterator[RunNeed]:
        """Yield the fewest ranged runs that stage these players of one slate, with this config of their op.

        If the pinned features are lost or damaged, yield the run that pins them again: every staging run would fail.
        """
        batch, pinned = progress.batch, progress.feature_snapshot
        if pinned is not None and not self.snapshots.is_whole(batch.slate, pinned):
            yield features_need(progress)
            return
        wanted = [player_key(batch.slate, slug) for slug in slugs]
        keys = registered_keys(self.instance, wanted)
        for each in ranges(keys, wanted, self.settings.players_per_run):
            named = hashlib.sha256(" ".join(each.players).encode()).hexdigest()[:8] if each.players else ""
            ops = {op: {"config": values} for op, values in each.ops(**config).items()}
            yield RunNeed(
                f"{name}:{each.first}..{each.last}{named and f':{named}'}",
                staging_job.name,
                batch.slate,
                tags={BATCH_TAG: batch.batch_id, **each.tags()},
                run_config={"ops": ops} if ops else None,
            )


def roster_need(slate: str, *, reopen: bool) -> RunNeed:
    """Return the run that opens a slate's batch, or replaces its expected players."""
    config = {"slate": slate, "reopen": True} if reopen else {"slate": slate}
    run_config = {"ops": {"slate_roster": {"config": config}}}
    return RunNeed(f"roster:{slate}", roster_job.name, slate, run_config=run_config)


def features_need(progress: Progress) -> RunNeed:
    """Return the run that pins a slate's features; attempts at replacing pinned ones are counted apart."""
    slate, batch_id = progress.batch.slate, progress.batch.batch_id
    name = ":".join(
        ("features", batch_id, *([progress.feature_snapshot] if progress.feature_snapshot else []))
    )
    return RunNeed(name, features_job.name, slate, slate, {BATCH_TAG: batch_id})


def consolidation_need(
    progress: Progress, attempts: int = REQUEST_ATTEMPTS, revert_to: int | None = None
) -> RunNeed:
    """Return the run that merges a slate as it stands, or with the rows of a revision staged again."""
    slate, tags = progress.batch.slate, {BATCH_TAG: progress.batch.batch_id}
    name = f"consolidate:{slate}:{receipt_id(progress)}"
    config = None if revert_to is None else {"ops": {"predictions": {"config": {"revert_to": revert_to}}}}
    return RunNeed(name, consolidation_job.name, slate, slate, tags, config, attempts)


def completion_need(receipt: Receipt) -> RunNeed:
    """Return the run that delivers the message of a slate's newest revision, unless it is there."""
    name, tags = f"announce:{receipt.slate}:{message_id(receipt)}", {BATCH_TAG: receipt.batch_id}
    return RunNeed(name, completion_job.name, receipt.slate, receipt.slate, tags)

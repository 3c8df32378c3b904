"""The gap finder: what the other sensors didn't see or gave up, asked for again, slowly.

A schedule's missed ticks are not replayed, and the stage sensors stop after a few runs within minutes. This
sensor looks at what should be there by now: a receipt for each recent slate with games, and an event for each
receipt. It asks for the same runs as they do, oldest slate first, with pauses from half an hour on, so that an
outage of a quarter of an hour heals itself. https://docs.dagster.io/guides/automate/sensors
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
from dagster import DagsterInstance, DagsterRun, RunsFilter

from prediction_assets.errors import NoPartsStaged, PartMismatch, ReceiptAltered, TooFewStaged, TransientError
from prediction_assets.orchestration.asset_checks import CHECK_KEYS
from prediction_assets.orchestration.gates import Gate, verdict_on_receipt
from prediction_assets.orchestration.jobs import (
    completion_job,
    consolidation_job,
    features_job,
    roster_job,
    staging_job,
)
from prediction_assets.orchestration.run_tags import SLATE_TAG
from prediction_assets.orchestration.runs import is_pending
from prediction_assets.orchestration.sensors.automation import (
    consolidation_needs,
    consolidation_work,
    features_work,
    staging_needs,
    staging_work,
)
from prediction_assets.orchestration.sensors.requests import (
    WAREHOUSE_WAIT_SECONDS,
    RunNeed,
    Skipped,
    last_update,
    request,
    sensor_result,
    slate_by_slate,
    staging_slates,
)
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import is_announced
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock, is_recent, roster_hours_before
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE, slate_key
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.protocols import BatchState, Outbox, Warehouse
from prediction_assets.stores.sql import queries

GAP_TAG = "prediction_assets/gap"
"""Names the gap that a run is to close."""

GAP_ATTEMPT_TAG = "prediction_assets/gap_attempt"
"""Counts the times that a gap was asked to be closed; one attempt may be several runs."""

GAP_PAUSE = timedelta(minutes=30)
"""Pause after a slate's last run for the same stage, doubled before each further attempt at a gap."""

GAP_ATTEMPTS = 4
"""Attempts at closing a gap before an operator has to."""

TICKS_BETWEEN_LOOKS = 10
"""Minutes between two ticks, or as many of the other sensors' intervals where that is set."""

REQUESTS_PER_TICK = 3
"""Gaps that one tick requests runs for."""

ROSTER_GRACE = timedelta(minutes=10)
"""How long after its hour the daily schedule may still ask for the roster itself."""


@dataclass(frozen=True)
class Gap:
    """Something that should be there and isn't.

    Attributes:
        name: the same gap has the same name; attempts are counted by it.
        jobs: runs of these jobs for the slate are left to end, and followed by a pause.
        works: the runs that may close it.
    """

    name: str
    slate: str
    jobs: tuple[str, ...]
    works: Sequence[RunNeed]


def gap_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks again for what is missing."""
    finder = GapFinder(settings)

    @dg.sensor(
        name="gap_sensor",
        jobs=[roster_job, features_job, staging_job, consolidation_job],
        minimum_interval_seconds=TICKS_BETWEEN_LOOKS * (settings.sensor_interval_seconds or 60),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Every 10 minutes: re-requests the roster, staging or consolidation of recent slates that are "
        "stuck, at growing intervals: missed ticks, a daemon that was down, work that the other sensors gave up. "
        "Oldest slate first, half an hour after the last run and then twice as long apart.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        outbox: dg.ResourceParam[Outbox],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        try:
            found = finder.find(
                context.instance,
                warehouse.waiting_at_most(WAREHOUSE_WAIT_SECONDS),
                batch_state,
                outbox,
                clock.now(),
            )
            return sensor_result(finder.ask(context.instance, found, clock.now()))
        except TransientError as error:
            return dg.SensorResult(skip_reason=str(error))

    return evaluate


class GapFinder:
    """Finds gaps and asks for the runs that close them.

    Args:
        settings: the roster's hour, and what the stage sensors need.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def find(
        self,
        instance: DagsterInstance,
        warehouse: Warehouse,
        state: BatchState,
        outbox: Outbox,
        now: datetime,
    ) -> Iterator[Gap | Skipped]:
        """Yield the gaps, oldest slate first; of a slate without any, nothing."""
        busy = staging_slates(instance, now)
        opened = set(state.recent_slates(now - timedelta(days=RECENT_DAYS)))
        scheduled = self._slates_due(warehouse, now)

        def of_slate(slate: str) -> Iterator[Gap | Skipped]:
            progress = state.progress(slate)
            if progress is None or (not progress.batch.expected and slate in scheduled):
                # Batch state can be lost, and then the warehouse still knows that the slate is done.
                try:
                    is_done = progress is None and bool(warehouse.receipts(slate))
                except ReceiptAltered as error:
                    yield Skipped(str(error))
                    return
                if not is_done and slate in scheduled:
                    yield _no_batch(slate, reopen=progress is not None)
            elif slate in opened:
                yield from self._stuck(instance, warehouse, progress, busy, now)
                yield from _unannounced(instance, progress, outbox, now)

        return slate_by_slate(sorted({*opened, *scheduled}), of_slate)

    def _slates_due(self, warehouse: Warehouse, now: datetime) -> list[str]:
        """Return the real slates with games whose roster the daily schedule should have asked for, oldest first."""
        settings = self._settings
        hours = roster_hours_before(now - ROSTER_GRACE, settings.roster_cron, settings.time_zone)
        newest = next(hours).astimezone(GAME_TIME_ZONE).date()
        oldest = now.astimezone(GAME_TIME_ZONE).date() - timedelta(days=RECENT_DAYS)
        found = warehouse.query(queries.SLATES_BETWEEN, {"first": oldest, "last": newest}).to_pylist()
        return [slate_key(row["game_date"]) for row in found if row["league"] == NBA_LEAGUE]

    def _stuck(
        self,
        instance: DagsterInstance,
        warehouse: Warehouse,
        progress: Progress,
        busy: set[str],
        now: datetime,
    ) -> Iterator[Gap | Skipped]:
        """Yield what a batch needs that the stage sensors gave up."""
        settings, batch = self._settings, progress.batch
        size, share = settings.players_per_run, settings.minimum_staged_share
        needs = [
            *staging_needs(instance, progress, busy, size, now),
            *consolidation_needs(instance, warehouse, progress, busy, size, share, now),
        ]
        given_up = [
            need for need in needs
            if isinstance(need, RunNeed) and _is_given_up(request(instance, need, now))
        ]  # fmt: skip
        if not given_up:
            return
        if next_step(progress, now) is Step.CONSOLIDATE:
            try:
                plan(progress, warehouse.receipts(batch.slate), minimum_staged_share=share)
            except (NoPartsStaged, TooFewStaged) as error:
                yield self._too_few(instance, progress, str(error))
                return
            except PartMismatch:
                pass  # its player is to be staged again, which is among what was given up
        jobs = {work.job for work in given_up}
        name = f"{'+'.join(sorted(jobs))}:{batch.batch_id}"
        yield Gap(name, batch.slate, tuple(jobs), given_up)

    def _too_few(self, instance: DagsterInstance, progress: Progress, refusal: str) -> Gap | Skipped:
        """Return the staging of everybody who isn't staged and whom no permanent reason keeps out."""
        batch = progress.batch
        if progress.feature_snapshot is None:
            return Gap(
                f"features:{batch.batch_id}", batch.slate, (features_job.name,), [features_work(progress)]
            )
        failed = {s for s, done in progress.outcomes.items() if done.outcome is Outcome.FAILED}
        again = sorted(failed.union(progress.unsettled))
        if not again:
            return Skipped(f"{batch.slate}: {refusal}")
        name, size = f"staging:{batch.batch_id}", self._settings.players_per_run
        works = list(staging_work(instance, progress, again, f"gap:{name}", size))
        return Gap(name, batch.slate, (staging_job.name,), works)

    def ask(
        self, instance: DagsterInstance, gaps: Iterator[Gap | Skipped], now: datetime
    ) -> Iterator[dg.RunRequest | Skipped]:
        """Yield run requests for the first few gaps whose time has come, and why the others wait."""
        left = REQUESTS_PER_TICK
        for gap in gaps:
            if isinstance(gap, Skipped):
                yield gap
                continue
            asked = _requests_due(instance, gap, now)
            yield from asked
            left -= any(isinstance(outcome, dg.RunRequest) for outcome in asked)
            if not left:
                return


def _requests_due(instance: DagsterInstance, gap: Gap, now: datetime) -> list[dg.RunRequest | Skipped]:
    """Return the requests of a gap's runs, or why it isn't time for them."""
    asked = instance.get_run_records(RunsFilter(tags={GAP_TAG: gap.name}))
    others = [
        record
        for job in gap.jobs
        for record in instance.get_run_records(RunsFilter(job_name=job, tags={SLATE_TAG: gap.slate}), limit=1)
    ]
    records = [*asked, *others]
    if any(is_pending(instance, record.dagster_run, now) for record in records):
        return [Skipped(f"{gap.name}: a run is in flight")]
    tried = max((_attempt(record.dagster_run) for record in asked), default=0)
    if tried >= GAP_ATTEMPTS:
        newest = asked[0].dagster_run.run_id
        return [
            Skipped(
                f"{gap.name}: {tried} attempts didn't close it, the last is {newest}; see it for the cause"
            )
        ]
    pause = GAP_PAUSE * 2**tried
    if records and is_recent(last_update(records), now, pause):
        return [Skipped(f"{gap.name}: waits until {last_update(records) + pause:%H:%M} UTC")]
    tags = {GAP_TAG: gap.name, GAP_ATTEMPT_TAG: str(tried + 1)}
    return [work.run_request(f"gap:{gap.name}:{tried}:{work.name}", tags) for work in gap.works]


def _attempt(run: DagsterRun) -> int:
    return int(run.tags.get(GAP_ATTEMPT_TAG, "1"))


def _is_given_up(outcome: dg.RunRequest | Skipped) -> bool:
    return isinstance(outcome, Skipped) and outcome.gave_up


def _no_batch(slate: str, *, reopen: bool) -> Gap:
    """Return the roster run of a slate with games; reopened when it was opened as one without."""
    config = {"slate": slate, "reopen": True} if reopen else {"slate": slate}
    work = RunNeed(
        f"roster:{slate}", roster_job.name, slate, run_config={"ops": {"slate_roster": {"config": config}}}
    )
    return Gap(work.name, slate, (roster_job.name,), [work])


def _unannounced(
    instance: DagsterInstance, progress: Progress, outbox: Outbox, now: datetime
) -> Iterator[Gap | Skipped]:
    """Yield the consolidation of a receipt whose event isn't out; it merges nothing twice.

    Its new materialization is checked again, and then announced by the completion sensor. A receipt whose
    checks failed stays unannounced: doing it again would change nothing.
    """
    receipt: Receipt | None = progress.receipt
    if receipt is None or next_step(progress, now) is not Step.NOTHING:
        return
    if is_announced(receipt, outbox.entries(receipt.slate)):
        return
    result = verdict_on_receipt(instance, receipt.slate, receipt.receipt_id, CHECK_KEYS)
    if result is not None and result.gate is Gate.BLOCKED:
        yield Skipped(f"{receipt.slate}: not announced, {', '.join(result.checks)} failed")
        return
    if is_recent(receipt.consolidated_at, now, GAP_PAUSE):
        yield Skipped(f"{receipt.slate}: not announced yet, the completion sensor is given its time")
        return
    jobs = (consolidation_job.name, completion_job.name)
    yield Gap(f"announce:{receipt.receipt_id}", receipt.slate, jobs, [consolidation_work(progress)])

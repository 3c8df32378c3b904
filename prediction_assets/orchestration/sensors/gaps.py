"""The gap sensor: it requests again, slowly, what the other sensors missed or could not finish.

Dagster doesn't replay a schedule's missed ticks, and the other sensors stop after a few attempts within minutes. This
sensor looks for what should be there by now: a receipt for each recent slate with games, a delivered message for each
receipt, and stores that agree. It requests the same runs, oldest slate first, with pauses of half an hour and more, so
that a slate recovers from a longer outage, or from a lost store, without an operator.
https://docs.dagster.io/guides/automate/sensors
"""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg
from dagster import DagsterRun, RunsFilter

from prediction_assets.errors import AuditRefused, NoPartsStaged, PartMismatch, ReceiptAltered, TransientError
from prediction_assets.orchestration.jobs import (
    completion_job,
    consolidation_job,
    features_job,
    roster_job,
    staging_job,
)
from prediction_assets.orchestration.run_tags import SLATE_TAG
from prediction_assets.orchestration.runs import is_pending
from prediction_assets.orchestration.sensors.needs import SlateNeeds, features_need, roster_need
from prediction_assets.orchestration.sensors.reconciling import reconciling
from prediction_assets.orchestration.sensors.requests import (
    Gap,
    RunNeed,
    Skipped,
    impatient,
    last_update,
    sensor_result,
    slate_by_slate,
)
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock, is_recent, roster_hours_before
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE, parse_slate, slate_key
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome
from prediction_assets.steps.merge import audit_limits
from prediction_assets.steps.reconcile import read_copies
from prediction_assets.stores.protocols import BatchState, Outbox, Publisher, Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import EARLIEST_SLATE

GAP_TAG = "prediction_assets/gap"
"""Names the gap that a run is to close."""

GAP_ATTEMPT_TAG = "prediction_assets/gap_attempt"
"""Number of the attempt at the gap; one attempt may be several runs."""

GAP_PAUSE = timedelta(minutes=30)
"""Pause after a slate's last run of the same stage, doubled before each further attempt at a gap."""

GAP_ATTEMPTS = 4
"""Attempts at closing a gap before an operator has to."""

TICKS_BETWEEN_LOOKS = 10
"""Minutes between two ticks, or as many of the other sensors' intervals where that is set."""

REQUESTS_PER_TICK = 3
"""Gaps that one tick requests runs for."""

ROSTER_GRACE = timedelta(minutes=10)
"""How long after its hour the daily schedule may still request the roster itself."""


def gap_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="gap_sensor",
        jobs=[roster_job, features_job, staging_job, consolidation_job, completion_job],
        minimum_interval_seconds=TICKS_BETWEEN_LOOKS * (settings.sensor_interval_seconds or 60),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests again the runs of recent slates that are stuck, oldest slate first: after missed ticks, "
        "after the daemon was down, when the other sensors used up their attempts, or when warehouse, batch state, "
        "outbox and delivered messages don't agree. It waits half an hour after the last run, and twice as long before "
        "each further attempt.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        outbox: dg.ResourceParam[Outbox],
        publisher: dg.ResourceParam[Publisher],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        needs = SlateNeeds(context.instance, settings, clock.now(), warehouse.snapshots)
        finder = GapFinder(needs, impatient(warehouse), batch_state, outbox, publisher)
        try:
            return sensor_result(finder.requests())
        except TransientError as error:
            return dg.SensorResult(skip_reason=str(error))

    return evaluate


class GapFinder:
    def __init__(
        self, needs: SlateNeeds, warehouse: Warehouse, state: BatchState, outbox: Outbox, publisher: Publisher
    ) -> None:
        self._needs = needs
        self._settings, self._now, self._instance = needs.settings, needs.now, needs.instance
        self._warehouse = warehouse
        self._state = state
        self._outbox = outbox
        self._publisher = publisher

    def requests(self) -> Iterator[dg.RunRequest | Skipped]:
        """Yield run requests for the first gaps that are due, and why the others wait."""
        left = REQUESTS_PER_TICK
        for gap in self.gaps():
            if isinstance(gap, Skipped):
                yield gap
                continue
            found = self._requests_due(gap)
            yield from found
            left -= any(isinstance(outcome, dg.RunRequest) for outcome in found)
            if not left:
                return

    def gaps(self) -> Iterator[Gap | Skipped]:
        opened, scheduled = set(self._needs.recent_slates(self._state)), self._slates_due()

        def of_slate(slate: str) -> Iterator[Gap | Skipped]:
            progress = self._state.progress(slate)
            try:
                copies = read_copies(slate, self._warehouse, self._state, self._outbox, self._publisher)
            except ReceiptAltered as error:
                yield Skipped(str(error))
                return
            if progress is None:
                # Batch state can be lost. Then the warehouse still knows that a past slate is done.
                is_done = copies.receipt is not None and parse_slate(slate) < self._today()
                if not is_done and (slate in scheduled or copies.receipt is not None):
                    yield _no_batch(slate, reopen=False)
            elif not progress.batch.expected and slate in scheduled:
                yield _no_batch(slate, reopen=True)
            elif slate in opened:
                yield from self._stuck(progress)
            yield from reconciling(
                slate, progress, copies, self._needs, self._warehouse, is_followed=slate in opened
            )

        return slate_by_slate(sorted({*opened, *scheduled, *self._slates_merged()}), of_slate)

    def _today(self) -> date:
        return self._now.astimezone(GAME_TIME_ZONE).date()

    def _slates_merged(self) -> list[str]:
        """Return the slates that were merged lately: batch state may have lost them."""
        since = self._now - timedelta(days=RECENT_DAYS)
        found = self._warehouse.query(queries.MERGED_SINCE, {"oldest": EARLIEST_SLATE, "since": since})
        return [slate_key(day) for day in found["game_date"].to_pylist()]

    def _slates_due(self) -> list[str]:
        """Return the real slates with games whose roster hour is over, oldest first."""
        settings = self._settings
        hours = roster_hours_before(self._now - ROSTER_GRACE, settings.roster_cron, settings.time_zone)
        newest = next(hours).astimezone(GAME_TIME_ZONE).date()
        oldest = self._today() - timedelta(days=RECENT_DAYS)
        found = self._warehouse.query(queries.SLATES_BETWEEN, {"first": oldest, "last": newest}).to_pylist()
        return [slate_key(row["game_date"]) for row in found if row["league"] == NBA_LEAGUE]

    def _stuck(self, progress: Progress) -> Iterator[Gap | Skipped]:
        """Yield the needs of a batch for which the other sensors used up their attempts."""
        batch = progress.batch
        needs = [*self._needs.until_settled(progress), *self._needs.until_merged(progress, self._warehouse)]
        stuck = [need for need in needs if isinstance(need, RunNeed) and self._is_exhausted(need)]
        if not stuck:
            return
        if next_step(progress, self._now) is Step.CONSOLIDATE:
            try:
                plan(progress, self._warehouse.receipts(batch.slate), limits=audit_limits(self._settings))
            except (NoPartsStaged, AuditRefused) as error:
                yield self._too_few(progress, str(error))
                return
            except PartMismatch:
                pass  # the staging of its player is among the stuck needs
        jobs = {need.job for need in stuck}
        yield Gap(f"{'+'.join(sorted(jobs))}:{batch.batch_id}", batch.slate, tuple(jobs), stuck)

    def _is_exhausted(self, need: RunNeed) -> bool:
        outcome = self._needs.request(need)
        return isinstance(outcome, Skipped) and outcome.is_exhausted

    def _too_few(self, progress: Progress, refusal: str) -> Gap | Skipped:
        """Return the staging of the failed and unsettled players; a skipped player stays skipped."""
        batch = progress.batch
        if progress.feature_snapshot is None:
            name = f"features:{batch.batch_id}"
            return Gap(name, batch.slate, (features_job.name,), [features_need(progress)])
        failed = {s for s, done in progress.outcomes.items() if done.outcome is Outcome.FAILED}
        again = sorted(failed.union(progress.unsettled))
        if not again:
            return Skipped(f"{batch.slate}: {refusal}")
        name = f"staging:{batch.batch_id}"
        needs = list(self._needs.staging(progress, again, f"gap:{name}"))
        return Gap(name, batch.slate, (staging_job.name,), needs)

    def _requests_due(self, gap: Gap) -> list[dg.RunRequest | Skipped]:
        """Return the requests of a gap's runs, or why they wait."""
        attempts = self._instance.get_run_records(RunsFilter(tags={GAP_TAG: gap.name}))
        others = [
            record
            for job in gap.jobs
            for record in self._instance.get_run_records(
                RunsFilter(job_name=job, tags={SLATE_TAG: gap.slate}), limit=1
            )
        ]
        records = [*attempts, *others]
        if any(is_pending(self._instance, record.dagster_run, self._now) for record in records):
            return [Skipped(f"{gap.name}: a run is in progress")]
        tried = max((_attempt(record.dagster_run) for record in attempts), default=0)
        if tried >= GAP_ATTEMPTS:
            newest = attempts[0].dagster_run.run_id
            return [Skipped(f"{gap.name}: {tried} attempts didn't close it; open the last run, {newest}")]
        pause = GAP_PAUSE * 2**tried
        if records and is_recent(last_update(records), self._now, pause):
            return [Skipped(f"{gap.name}: waits until {last_update(records) + pause:%H:%M} UTC")]
        tags = {GAP_TAG: gap.name, GAP_ATTEMPT_TAG: str(tried + 1)}
        return [need.run_request(f"gap:{gap.name}:{tried}:{need.name}", tags) for need in gap.needs]


def _attempt(run: DagsterRun) -> int:
    return int(run.tags.get(GAP_ATTEMPT_TAG, "1"))


def _no_batch(slate: str, *, reopen: bool) -> Gap:
    """Return the roster run of a slate with games; it reopens a batch that was opened without games."""
    need = roster_need(slate, reopen=reopen)
    return Gap(need.name, slate, (roster_job.name,), [need])

"""A whole slate in one process: the same assets and jobs, on the same Dagster instance, one after another.

What the sensors do over minutes, for the command line and for tests. Each stage is an ordinary Dagster run
that the UI shows. :meth:`SlateRun.whole` takes the stages in their fixed order, done or not: each is a no-op
when repeated.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

import dagster as dg

from prediction_assets.errors import PredictionAssetsError, StageFailed
from prediction_assets.nba.backtest import BacktestOptions, GradedSlate, run_backtest
from prediction_assets.nba.forecast import HISTORY_DAYS
from prediction_assets.nba.forecasting.grading import Grade
from prediction_assets.nba.grades import PUBLISHED, gradable, stored_grades
from prediction_assets.nba.model_store import MODEL_HISTORY_DAYS
from prediction_assets.nba.tonight import default_slate
from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.gates import RECEIPT_ID
from prediction_assets.orchestration.jobs import (
    completion_job,
    consolidation_job,
    features_job,
    grading_job,
    ingest_job,
    roster_job,
    staging_job,
    training_job,
)
from prediction_assets.orchestration.partitions import ranges, registered_keys
from prediction_assets.orchestration.pruning import prune_slices
from prediction_assets.orchestration.run_tags import RANGE_END_TAG, RANGE_START_TAG, SLATE_TAG
from prediction_assets.retention.kinds import History, Kind, Pruned
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress, is_nothing_to_predict
from prediction_assets.slate.completion_message import OutboxEntry, is_announced
from prediction_assets.slate.dead_letter import Closing, DeadLetter
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import GAME_TIME_ZONE, player_key
from prediction_assets.slate.merge_plan import MergePlan, plan
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.cleanup import DroppableParts, droppable_parts
from prediction_assets.steps.merge import read_outcomes
from prediction_assets.stores.profiles import STORES, open_stores
from prediction_assets.stores.protocols import Warehouse, open_progress
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, SCHEDULE


@dataclass(frozen=True)
class SlateResult:
    """How a slate ended: its batch, its newest receipt and its event, None where there is none.

    Attributes:
        published: the event was delivered by this run, not by an earlier one.
    """

    progress: Progress
    receipt: Receipt | None
    event: OutboxEntry | None
    published: bool = False


class SlateRun:
    """Runs stages of a slate in this process, on one Dagster instance.

    Args:
        settings: the installation's settings.
        instance: the Dagster instance that records the runs.
        resources: resources to use instead of the profile's own.
    """

    def __init__(
        self,
        settings: Settings,
        instance: dg.DagsterInstance,
        resources: Mapping[str, object] | None = None,
    ) -> None:
        self._settings = settings
        self._instance = instance
        self._defs = build_defs(settings, resources)
        replaced = {name: store for name, store in (resources or {}).items() if name in STORES}
        self.stores = open_stores(settings, **replaced)
        self._clock = cast(Clock, (self._defs.resources or {})["clock"])

    @property
    def profile(self) -> str:
        """The profile that the slate runs on."""
        return self._settings.profile

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse that the assets use."""
        return self.stores.warehouse

    def progress(self, slate: str) -> Progress | None:
        """Return the slate's batch as it stands."""
        return self.stores.batch_state.progress(slate)

    def events(self, slate: str | None = None) -> list[OutboxEntry]:
        """Return the completion events of one slate or of all, oldest first."""
        return list(self.stores.outbox.entries(slate))

    def default_slate(self) -> str:
        """Return the slate that is run when none is named."""
        today = self.now().astimezone(GAME_TIME_ZONE).date()
        return default_slate(self.warehouse, today, tonight=False)

    def now(self) -> datetime:
        """Return the time that the assets go by."""
        return self._clock.now()

    def next_step(self, progress: Progress) -> str:
        """Return what the batch needs next, in a word."""
        return next_step(progress, self.now()).value

    def settled_since(self, slate: str, since: datetime) -> int:
        """Return how many players' outcomes were recorded since then."""
        progress = self.progress(slate)
        return sum(c.recorded_at >= since for c in progress.outcomes.values()) if progress else 0

    def has_facts(self) -> bool:
        """Return whether a schedule and game logs were ingested."""
        counts = [
            self.warehouse.query(queries.COUNT_FACTS[t.name]).to_pylist()[0] for t in (SCHEDULE, GAME_LOGS)
        ]
        return all(count["row_count"] for count in counts)

    def ingest(self, facts: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, Any]]:
        """Materialize fact assets and return each one's metadata.

        Args:
            facts: the config of each asset to materialize: ``{"game_logs": {"path": "..."}}``.
        """
        result = self._execute(ingest_job.name, ops=facts, selection=[dg.AssetKey(name) for name in facts])
        return {
            name: {k: v.value for k, v in done.metadata.items()}
            for name in facts
            for done in result.asset_materializations_for_node(name)
        }

    def roster(self, slate: str, *, reopen: bool = False) -> Progress:
        """Open the slate's batch."""
        config = {"slate_roster": {"slate": slate, "reopen": reopen}}
        self._execute(roster_job.name, ops=config, tags={SLATE_TAG: slate})
        progress = self.progress(slate)
        if progress is None:
            raise StageFailed(f"slate {slate}: the roster run opened no batch; see its run in the UI")
        return progress

    def features(self, slate: str) -> None:
        """Pin the slate's features."""
        self._execute(features_job.name, partition=slate, tags={SLATE_TAG: slate})

    def stage(self, slate: str, slugs: list[str] | None = None) -> bool:
        """Stage the slate's expected players, or these; False when a player failed."""
        progress = self._open_progress(slate)
        wanted = [player_key(slate, slug) for slug in slugs or [p.slug for p in progress.batch.expected]]
        registered = registered_keys(self._instance, wanted)
        done = True
        for first, last in ranges(registered, wanted, self._settings.players_per_run):
            tags = {SLATE_TAG: slate, RANGE_START_TAG: first, RANGE_END_TAG: last}
            try:
                self._execute(staging_job.name, tags=tags)
            except dg.Failure:  # the players who failed have their outcome; the slate goes on
                done = False
        return done

    def consolidate(self, slate: str, *, before_deadline: bool = False) -> Receipt:
        """Merge the slate's parts, check the result and drop them; return the receipt."""
        result = self._execute(
            consolidation_job.name,
            partition=slate,
            ops={"predictions": {"before_deadline": before_deadline}},
            tags={SLATE_TAG: slate},
        )
        (materialization,) = result.asset_materializations_for_node("predictions")
        wanted = materialization.metadata[RECEIPT_ID].value
        return next(r for r in self.warehouse.receipts(slate) if r.receipt_id == wanted)

    def plan(self, slate: str) -> MergePlan:
        """Return the MERGE that the slate's outcomes call for now; nothing is touched.

        Raises:
            PredictionAssetsError: there is no batch, or the MERGE would be refused.
        """
        progress, receipts = read_outcomes(slate, self.warehouse, self.stores.batch_state)
        return plan(progress, receipts, minimum_staged_share=self._settings.minimum_staged_share)

    def droppable(self, slate: str) -> DroppableParts:
        """Return the parts that :meth:`clean_up` would drop now."""
        return droppable_parts(slate, self.warehouse, self.stores.batch_state)

    def clean_up(self, slate: str) -> int:
        """Drop the slate's merged and orphaned parts; return how many.

        It also finishes a consolidation whose checks passed.
        """
        result = self._execute(
            consolidation_job.name,
            partition=slate,
            tags={SLATE_TAG: slate},
            selection=[dg.AssetKey("staging_cleanup")],
        )
        (materialization,) = result.asset_materializations_for_node("staging_cleanup")
        return int(materialization.metadata["parts_dropped"].value)  # type: ignore[arg-type]

    def announce(self, receipt: Receipt, *, redeliver: bool = False) -> OutboxEntry:
        """Publish the receipt's completion, unless it was before; return its event."""
        self._execute(
            completion_job.name,
            partition=receipt.slate,
            ops={"phase5_completion": {"receipt_id": receipt.receipt_id, "redeliver": redeliver}},
            tags={SLATE_TAG: receipt.slate},
        )
        return self.events(receipt.slate)[-1]

    def dead_letters(self, slate: str | None = None, *, include_closed: bool = False) -> list[DeadLetter]:
        """Return the dead letters of one slate or of all; only open ones unless asked."""
        found = self.stores.dead_letters.letters(slate, include_closed=include_closed)
        return list(found)

    def discard(self, slate: str, slugs: Iterable[str]) -> int:
        """Close these players' dead letters without a replay and return how many there were."""
        return int(self.stores.dead_letters.close(slate, slugs, Closing.DISCARDED))

    def replay(self, slate: str, slugs: Sequence[str]) -> OutboxEntry | None:
        """Stage these players again, and merge and announce the slate if that is what it needs next.

        Returns:
            the slate's newest event, None while it has none.
        """
        self.stage(slate, list(slugs))
        if self.next_step(self._open_progress(slate)) == Step.CONSOLIDATE.value:
            return self.announce(self.consolidate(slate))
        return next(reversed(self.events(slate)), None)

    def grade(self, since: date, until: date) -> tuple[dict[str, list[Grade]], list[str]]:
        """Grade the consolidated slates between two dates, both included.

        Returns:
            each graded slate's grades, and the slates that still lack game logs.
        """
        slates = gradable(self.warehouse, since, until)
        for each in slates:
            if each.has_results:
                self._execute(grading_job.name, partition=each.slate, tags={SLATE_TAG: each.slate})
        graded: dict[str, list[Grade]] = {each.slate: [] for each in slates if each.has_results}
        for rows in stored_grades(self.warehouse, since, until, PUBLISHED).values():
            for row in rows:
                graded.setdefault(row["game_date"].isoformat(), []).append(Grade.from_row(row))
        return graded, [each.slate for each in slates if not each.has_results]

    def backtest(
        self,
        since: date,
        until: date,
        *,
        write: bool,
        train: bool,
        on_model: Callable[[str, date], None] = lambda league, cutoff: None,
    ) -> Iterator[GradedSlate]:
        """Forecast past slates again, point-in-time, and yield each one's grades (:mod:`.backtest`)."""
        options = BacktestOptions(
            model_history_days=MODEL_HISTORY_DAYS,
            history_days=HISTORY_DAYS,
            threshold=self._settings.pass_threshold,
            train=train,
        )
        return run_backtest(
            self.warehouse, since, until, options, write=write, now=self.now, on_model=on_model
        )

    def train(self, **config: str) -> dict[str, Any]:
        """Materialize ``points_model`` and return its metadata; ``cutoff`` and ``league`` as its config."""
        result = self._execute(training_job.name, ops={"points_model": config})
        (done,) = result.asset_materializations_for_node("points_model")
        return {name: value.value for name, value in done.metadata.items()}

    def _open_progress(self, slate: str) -> Progress:
        return open_progress(self.stores.batch_state, slate)

    def prune(self, *, dry_run: bool = False) -> Iterator[tuple[Kind, Pruned | PredictionAssetsError]]:
        """Remove one slice of each kind of history, or only say what would be; yield what came of each."""
        stores = self.stores
        history = History(
            stores.warehouse, stores.batch_state, stores.dead_letters, stores.outbox, stores.alerts, self.now(),
        )  # fmt: skip
        return prune_slices(self._instance, history, self._settings, dry_run=dry_run)

    def whole(
        self,
        slate: str,
        *,
        reopen: bool = False,
        on_stage: Callable[[str, Progress | None], None] = lambda stage, progress: None,
    ) -> SlateResult:
        """Carry one slate from its roster to its completion.

        Where nothing is to be predicted, and nothing was before, it ends without a receipt.

        Args:
            slate: the games' date.
            reopen: take new facts over into a batch that is open already.
            on_stage: called with each stage's name before it starts.
        """
        on_stage("roster", None)
        progress = self.roster(slate, reopen=reopen)
        if progress.batch.expected:
            on_stage("features", progress)
            self.features(slate)
            on_stage("staging", progress)
            self.stage(slate)
            progress = self._open_progress(slate)
        if is_nothing_to_predict(progress) and not self.warehouse.receipts(slate):
            return SlateResult(progress, None, None)
        on_stage("consolidation", progress)
        receipt = self.consolidate(slate)
        on_stage("completion", progress)
        announced_before = is_announced(receipt, self.events(slate))
        event = self.announce(receipt)
        return SlateResult(self.progress(slate) or progress, receipt, event, published=not announced_before)

    def _execute(
        self,
        job: str,
        *,
        ops: Mapping[str, Mapping[str, object]] | None = None,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
        selection: list[dg.AssetKey] | None = None,
    ) -> dg.ExecuteInProcessResult:
        config = {"ops": {name: {"config": dict(values)} for name, values in (ops or {}).items()}}
        return self._defs.resolve_job_def(job).execute_in_process(
            run_config=config,
            instance=self._instance,
            partition_key=partition,
            tags=dict(tags or {}),
            asset_selection=selection,
        )

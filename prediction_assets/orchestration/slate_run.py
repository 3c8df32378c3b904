"""One slate's steps as Dagster runs in this process: the same jobs that the sensors request, on the same instance.

For the command line and for tests. Every step is safe to repeat, and the UI shows its run.
What doesn't belong here: reading what a slate has; callers read :attr:`SlateRun.stores`.
"""

import ctypes
import logging
import resource
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import dagster as dg
import pyarrow as pa

from prediction_assets.errors import PredictionAssetsError, StageFailed, one_line
from prediction_assets.orchestration.jobs import (
    SLATE_JOBS,
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
from prediction_assets.orchestration.run_tags import MAX_RETRIES_TAG, RECEIPT_ID, SLATE_TAG
from prediction_assets.orchestration.runs import steps_of
from prediction_assets.orchestration.slate_defs import build_slate_defs
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress, is_nothing_to_predict
from prediction_assets.slate.completion_message import OutboxEntry, is_announced, outbox_entry_of
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.refresh import read_refresh
from prediction_assets.stores.profiles import STORES, open_stores
from prediction_assets.stores.protocols import open_progress

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SlateResult:
    """How a slate ended: its batch, its newest receipt and its completion message, None where there is none."""

    progress: Progress
    receipt: Receipt | None
    entry: OutboxEntry | None
    published: bool = False  # this run delivered the message, not an earlier one


_LARGE = 350 * 2**20
"""Bytes: the peak of a few games' players is below it."""

OnStage = Callable[[str, Progress | None], None]


class SlateRun:
    """Runs the steps of a slate in this process, on one Dagster instance."""

    def __init__(
        self, settings: Settings, instance: dg.DagsterInstance, resources: Mapping[str, object] | None = None
    ) -> None:
        self._settings = settings
        self._instance = instance
        self._resources = resources or {}
        replaced = {name: store for name, store in self._resources.items() if name in STORES}
        self.stores = open_stores(settings, **replaced)

    def ingest(self, facts: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, Any]]:
        """Materialize fact assets and return each one's metadata.

        Args:
            facts: the config of each asset to materialize: ``{"game_logs": {"path": "..."}}``.

        Raises:
            PredictionAssetsError: of the first asset that failed; the others were materialized as far as they didn't.
        """
        run_id = str(uuid.uuid4())
        try:
            result = self._execute(
                ingest_job.name, ops=facts, selection=[dg.AssetKey(name) for name in facts], run_id=run_id
            )
        except PredictionAssetsError:
            ended = dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE
            tried = steps_of(self._instance, run_id, *ended)
            left = {name: config for name, config in facts.items() if name not in tried}
            if left and tried:
                with suppress(PredictionAssetsError):
                    self.ingest(left)
            raise
        return {
            name: _metadata(done) for name in facts for done in result.asset_materializations_for_node(name)
        }

    def train(self, **config: str) -> dict[str, Any]:
        """Materialize ``points_model`` and return its metadata; ``cutoff`` and ``league`` are its config."""
        result = self._execute(training_job.name, ops={"points_model": config})
        return _metadata(*result.asset_materializations_for_node("points_model"))

    def roster(self, slate: str, *, reopen: bool = False, pin_again: bool = False) -> Progress:
        """Open the slate's batch, and pin its features if none are, or again."""
        config = {"slate_roster": {"slate": slate, "reopen": reopen, "pin_again": pin_again}}
        self._execute(roster_job.name, ops=config, tags={SLATE_TAG: slate})
        progress = self.stores.batch_state.progress(slate)
        if progress is None:
            raise StageFailed(f"slate {slate}: the roster run opened no batch; see its run in the UI")
        return progress

    def features(self, slate: str) -> None:
        self._execute(features_job.name, partition=slate)

    def stage(self, slate: str, slugs: Sequence[str] | None = None, *, until_tip_off: bool = False) -> bool:
        """Stage all of the slate's expected players, or only these, in one run unless the settings split it.

        Args:
            until_tip_off: leave out the players whose games have begun.

        Returns:
            False when a player failed.
        """
        if slugs is None:
            slugs = [player.slug for player in open_progress(self.stores.batch_state, slate).batch.expected]
        wanted = [player_key(slate, slug) for slug in slugs]
        registered = registered_keys(self._instance, wanted)
        done = True
        config = {"until_tip_off": True} if until_tip_off else {}
        for keys in ranges(registered, wanted, self._settings.players_per_run):
            try:
                self._execute(
                    staging_job.name, tags={SLATE_TAG: slate, **keys.tags()}, ops=keys.ops(**config)
                )
            except dg.Failure:  # the players who failed have their outcome; the slate goes on
                done = False
        return done

    def consolidate(
        self,
        slate: str,
        *,
        before_deadline: bool = False,
        accept: Sequence[str] = (),
        because: str = "",
        revert_to: int | None = None,
    ) -> Receipt:
        """Merge and audit the slate's parts, drop the merged parts, and return the receipt."""
        config: dict[str, object] = {
            "before_deadline": before_deadline,
            "accept": [*accept],
            "because": because,
        }
        if revert_to is not None:
            config["revert_to"] = revert_to
        ops = {"predictions": config}
        merged = [dg.AssetKey("predictions"), dg.AssetKey("staging_cleanup")]
        result = self._execute(consolidation_job.name, partition=slate, ops=ops, selection=merged)
        return self._receipt_of(result, slate)

    def _receipt_of(self, result: dg.ExecuteInProcessResult, slate: str) -> Receipt:
        """Return the receipt of a consolidation's run; another process may have written a newer one since."""
        receipt_id = _metadata(*result.asset_materializations_for_node("predictions"))[RECEIPT_ID]
        newest = self.stores.batch_state.consolidated(slate)
        if newest is not None and newest.receipt_id == receipt_id:
            return newest
        return next(r for r in self.stores.warehouse.receipts(slate) if r.receipt_id == receipt_id)

    def clean_up(self, slate: str) -> int:
        """Drop the parts that receipts name and return how many; ends a consolidation that passed its checks."""
        cleanup = dg.AssetKey("staging_cleanup")
        result = self._execute(consolidation_job.name, partition=slate, selection=[cleanup])
        return int(_metadata(*result.asset_materializations_for_node("staging_cleanup"))["parts_dropped"])

    def announce(self, receipt: Receipt, *, redeliver: bool = False) -> OutboxEntry:
        """Publish the receipt's completion message, unless it is published; return its outbox entry."""
        ops = {"phase5_completion": {"receipt_id": receipt.receipt_id, "redeliver": redeliver}}
        try:
            self._execute(completion_job.name, partition=receipt.slate, ops=ops)
        except Exception as error:
            if redeliver or not is_announced(receipt, self.stores.outbox.entries(receipt.slate)):
                raise
            _warn_of_board(receipt, error)
        return self._entry(receipt)

    def _publish(self, slate: str) -> Receipt:
        """Merge, announce and clean up in one run, as the sensors request it, and return its receipt."""
        run_id = str(uuid.uuid4())
        try:
            result = self._execute(consolidation_job.name, partition=slate, run_id=run_id)
        except Exception as error:
            done = steps_of(self._instance, run_id, dg.DagsterEventType.STEP_SUCCESS)
            if not {"phase5_completion", "staging_cleanup"} <= done:
                raise
            receipt = self.stores.warehouse.receipts(slate)[-1]
            _warn_of_board(receipt, error)
            return receipt
        return self._receipt_of(result, slate)

    def _entry(self, receipt: Receipt) -> OutboxEntry:
        entry = outbox_entry_of(receipt, self.stores.outbox.entries(receipt.slate))
        if entry is None:
            raise StageFailed(
                f"slate {receipt.slate}: the completion run left no message of receipt {receipt.receipt_id} in the "
                "outbox; see its run in the UI"
            )
        return entry

    def grade(self, slate: str) -> None:
        self._execute(grading_job.name, partition=slate)

    def whole(
        self,
        slate: str,
        *,
        reopen: bool = False,
        players: Sequence[str] = (),
        on_stage: OnStage = lambda stage, progress: None,
    ) -> SlateResult:
        """Carry one slate from its roster to its completion message, every step in order, done before or not.

        A slate that never had anything to predict ends without a receipt.

        Args:
            reopen: accept that players of an open batch are in another team or game.
            players: slugs of the only players to stage, of an open batch; its roster and its features stay.
            on_stage: called with each stage's name before it starts.

        Raises:
            BatchNotOpen: players are named, and the slate has no batch.
            BatchConflict: one of them is not expected.
        """
        if players:
            progress = open_progress(self.stores.batch_state, slate)
            progress.batch.players(players)
            if progress.feature_snapshot is None:
                on_stage("features", progress)
                self.features(slate)
        else:
            on_stage("roster", None)
            # Features that the roster finds pinned may be those of older facts.
            progress = self.roster(slate, reopen=reopen, pin_again=True)
        if progress.batch.expected:
            on_stage("staging", progress)
            self.stage(slate, players or None)
        return self._finish(slate, on_stage)

    def refresh(self, slate: str, now: datetime) -> SlateResult:
        """Stage again the players of a slate whose facts changed, and whoever is unsettled; merge and announce it."""
        progress = open_progress(self.stores.batch_state, slate)
        found = read_refresh(progress, self.stores.warehouse, now, markets=self._settings.markets)
        if found.needs_roster:
            progress = self.roster(slate, reopen=True, pin_again=found.needs_features)
        elif found.needs_features or progress.feature_snapshot is None:
            self.features(slate)
        if found.needs_roster or found.needs_features:
            progress = open_progress(self.stores.batch_state, slate)
            found = read_refresh(progress, self.stores.warehouse, now, markets=self._settings.markets)
        again = {*found.due, *progress.unsettled}
        if again:
            self.stage(slate, sorted(again), until_tip_off=True)
        return self._finish(slate, lambda stage, progress: None)

    def _finish(self, slate: str, on_stage: OnStage) -> SlateResult:
        """Merge and announce a slate as it stands, unless there never was anything to predict."""
        progress = open_progress(self.stores.batch_state, slate)
        if is_nothing_to_predict(progress) and not self.stores.warehouse.receipts(slate):
            return SlateResult(progress, None, None)
        on_stage("consolidation", progress)
        before = self.stores.outbox.entries(slate)
        receipt = self._publish(slate)
        progress = open_progress(self.stores.batch_state, slate)
        return SlateResult(
            progress, receipt, self._entry(receipt), published=not is_announced(receipt, before)
        )

    @cached_property
    def _slate_defs(self) -> dg.Definitions:
        return build_slate_defs(self._settings, self._resources)

    @cached_property
    def _defs(self) -> dg.Definitions:
        from prediction_assets.orchestration.build import build_defs  # parsers, live sources, sensors

        return build_defs(self._settings, self._resources)

    def _definition(self, job: str) -> dg.JobDefinition:
        of_slates = job in {each.name for each in SLATE_JOBS}
        return (self._slate_defs if of_slates else self._defs).resolve_job_def(job)

    def _execute(
        self,
        job: str,
        *,
        ops: Mapping[str, Mapping[str, object]] | None = None,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
        selection: list[dg.AssetKey] | None = None,
        run_id: str | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Execute a job, or some of its assets and the checks that it has of them; a partition's key is its slate."""
        definition = self._definition(job)
        if selection is not None:  # execute_in_process would add every check of these assets
            checks = definition.asset_layer.asset_graph.asset_check_keys
            definition = definition.get_subset(
                asset_selection=set(selection),
                asset_check_selection={key for key in checks if key.asset_key in selection},
            )
        result = definition.execute_in_process(
            run_config={"ops": {name: {"config": dict(values)} for name, values in (ops or {}).items()}},
            instance=self._instance,
            partition_key=partition,
            run_id=run_id,
            # A daemon can't retry a run of this process. Without the tag the sensors would wait for that.
            tags={MAX_RETRIES_TAG: "0", **({SLATE_TAG: partition} if partition else {}), **(tags or {})},
        )
        _return_memory()
        return result


def _return_memory() -> None:
    """Return to the system what a large run has freed: the allocators would keep it, and the next run's comes on top.

    A small one's is used again at once, and costs more to be mapped again than it takes.
    """
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < _LARGE:
        return
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)


def _warn_of_board(receipt: Receipt, error: Exception) -> None:
    """Say that what follows the message failed: the board is for people, and the slate is published without it."""
    _logger.warning(
        "slate %s: its message is delivered, but its board can't be written: %s; see the "
        "run in the UI, and try `prediction-assets board`",
        receipt.slate, one_line(str(error)), extra={"slate": receipt.slate, "batch": receipt.batch_id},
    )  # fmt: skip


def _metadata(done: dg.AssetMaterialization) -> dict[str, Any]:
    return {name: value.value for name, value in done.metadata.items()}

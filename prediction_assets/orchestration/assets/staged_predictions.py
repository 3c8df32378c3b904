"""The fan-out: one part per slate player, many players per run.

Skippable multi-asset: it logs one materialization per player that has rows and fails at the end if any
player failed, so that the partition page tells the truth about each. Each player's outcome is recorded in
batch state after his part, or his dead letter, is durable and his event is stored, a few dozen players at a
time: killed before, the players concerned are staged again, and none is settled who has no event.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import tenacity

from prediction_assets import __version__
from prediction_assets.errors import (
    CircuitOpen,
    PartOverdue,
    PredictionAssetsError,
    StoreUnreadable,
    TransientError,
)
from prediction_assets.nba.subject import Subject
from prediction_assets.orchestration.assets.describing import FAN_OUT, OWNERS, staged_lineage, table_schema
from prediction_assets.orchestration.assets.tagging import tag_run
from prediction_assets.orchestration.batched_events import LONGEST_WAIT_SECONDS, batched_events
from prediction_assets.orchestration.jobs import STAGED
from prediction_assets.orchestration.partitions import SLATE_PLAYERS, one_slate
from prediction_assets.orchestration.run_tags import CODE_VERSION_TAG
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import ExpectedPlayer, Progress
from prediction_assets.slate.dead_letter import Failure, replay_payload, traceback_digest
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.staged_rows import part_rows
from prediction_assets.steps.failpoints import reached
from prediction_assets.steps.worker_pool import CircuitBreaker, Overdue, bisect_failures, fan_out
from prediction_assets.stores.protocols import BatchState, DeadLetters, Parts, Warehouse, open_progress
from prediction_assets.stores.sql.tables import PART_SCHEMA, PREDICTIONS

PART_ATTEMPTS = 3
"""Attempts at writing a part before its player counts as failed."""

PART_CALLS = 2
"""A player's part, its attempts included, may take as long as so many calls may (``call_timeout``)."""

LONGEST_MESSAGE = 500
"""Characters of an error's text that a dead letter keeps."""


TRANSIENT_ERRORS = (OSError, TransientError)
"""Errors after which it is worth to try the same again."""


_logger = logging.getLogger(__name__)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            STAGED,
            description=(
                "One player's part of a slate: 5 forecasting systems (6 with `market_aware`) x 5 lines, staged "
                "until a consolidation merges them.\n\n"
                "Materialize a range for a whole slate, or one partition to re-run one player: it picks up "
                "the newest line and the pinned features, and the consolidation sensor merges it. A player "
                "whose game is off, who is reported Out, or who has no game log before the slate is skipped, "
                "with the reason as an observation. A part is written once; its row count and content hash travel "
                "in the player's completion and are verified before the MERGE."
            ),
            partitions_def=SLATE_PLAYERS,
            skippable=True,
            group_name=FAN_OUT,
            owners=OWNERS,
            kinds={"python", "scikitlearn", "parquet"},
            deps=[
                dg.AssetDep("player_features", partition_mapping=dg.AllPartitionMapping()),
                "prop_lines",
                "injury_reports",
                "schedule",
            ],
            metadata={
                "dagster/column_schema": table_schema(PREDICTIONS, only=PART_SCHEMA.names),
                "dagster/column_lineage": staged_lineage(),
            },
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def staged_predictions(
    context: dg.AssetExecutionContext,
    subject: dg.ResourceParam[Subject],
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    dead_letters: dg.ResourceParam[DeadLetters],
) -> Iterator[dg.MaterializeResult]:
    """Write each player's part and record his outcome; fails at the end if any player failed."""
    slate, slugs = one_slate(context.partition_keys)
    state, port = batch_state, warehouse
    progress = open_progress(state, slate)
    tag_run(context, slate, progress.batch.batch_id)
    players = progress.batch.players(slugs)
    parts, errors = _forecast(subject, port, progress, players)
    staging = _Staging(
        progress=progress,
        parts=parts,
        errors=errors,
        skipped=subject.reasons_to_skip(port, progress.batch, players, parts.keys() | errors.keys()),
        run_id=context.run.run_id,
        staging_area=port.parts,
        state=state,
        dead_letters=dead_letters,
        clock=clock,
        circuit=CircuitBreaker(len(players)),
    )
    with batched_events(context, on_stored=staging.record) as events:
        for player, done in fan_out(
            players,
            staging.settle,
            threads=settings.staging_threads,
            timeout_seconds=PART_CALLS * settings.call_timeout,
            idle_seconds=LONGEST_WAIT_SECONDS,
            on_idle=events.store,
            on_late=staging.drop_late,
        ):
            if isinstance(done, Overdue):
                done = staging.fail(player, PartOverdue(f"not written within {done.seconds:g} s"), 1)
            staging.unrecorded.append(done)
            events.log(_event(done))
    staging.drop_replaced_parts()
    settled = staging.settled
    failed = sorted((c for c in settled if c.outcome is Outcome.FAILED), key=lambda c: c.player_slug)
    staged = sum(c.outcome is Outcome.STAGED for c in settled)
    context.log.info(
        "slate %s: %d of %d players staged, %d skipped, %d failed",
        slate, staged, len(slugs), len(staging.skipped), len(failed),
        extra={"slate": slate, "batch": progress.batch.batch_id},
    )  # fmt: skip
    if failed:
        raise _failure(slate, len(slugs), failed, staging.circuit)
    # The players' own events are logged; a result for the whole range would add a second one to each.
    yield from ()


@dataclass
class _Staging:
    """One run's work on its players: each is settled in a thread, and recorded when his event is stored.

    Attributes:
        parts: the rows of each player who has features, by slug.
        errors: why no rows could be made for a player who has features, by slug.
        skipped: why each other player isn't predicted, by slug.
        unrecorded: outcomes whose events aren't stored yet.
        settled: outcomes that are recorded.
    """

    progress: Progress
    parts: Mapping[str, pa.Table]
    errors: Mapping[str, Exception]
    skipped: Mapping[str, str]
    run_id: str
    staging_area: Parts
    state: BatchState
    dead_letters: DeadLetters
    clock: Clock
    circuit: CircuitBreaker
    unrecorded: list[PlayerOutcome] = field(default_factory=list)
    settled: list[PlayerOutcome] = field(default_factory=list)

    @property
    def slate(self) -> str:
        return self.progress.batch.slate

    def settle(self, player: ExpectedPlayer) -> PlayerOutcome:
        """Write a player's part, and return his outcome."""
        if player.slug in self.skipped:
            return self._outcome(player, Outcome.SKIPPED, reason=self.skipped[player.slug])
        if player.slug in self.errors:
            return self.fail(player, self.errors[player.slug], 1)
        if self.circuit.tripped_by is not None:
            alike = CircuitOpen("not tried: most players of this run failed alike")
            return self.fail(player, alike, 0, self.circuit.tripped_by)
        again = _attempts(PART_ATTEMPTS, self.circuit)
        try:
            part = again(self.staging_area.write, self.slate, player.slug, self.parts[player.slug])
        except Exception as error:  # noqa: BLE001  one player's failure is his outcome, not the slate's
            return self.fail(player, error, again.statistics.get("attempt_number", 1))
        reached("part_written")
        return self._outcome(player, Outcome.STAGED, part=part)

    def fail(
        self, player: ExpectedPlayer, error: Exception, attempts: int, digest: str | None = None
    ) -> PlayerOutcome:
        """Write a player's dead letter, and return his outcome."""
        failure = Failure(
            slate=self.slate,
            player_slug=player.slug,
            run_id=self.run_id,
            error_class=type(error).__name__,
            message=" ".join(str(error).split())[:LONGEST_MESSAGE],
            traceback_digest=digest or traceback_digest(error),
            attempts=attempts,
            failed_at=self.clock.now(),
            payload=replay_payload(self.progress, player),
        )
        self.circuit.failed(failure.traceback_digest)
        # Before the outcome: killed in between, he is staged again, and never failed without a letter.
        self.dead_letters.add([failure])
        reached("dead_letter_written")
        reason = f"{failure.error_class}: {failure.message} ({attempts} attempts)"
        return self._outcome(player, Outcome.FAILED, reason=reason, at=failure.failed_at)

    def _outcome(
        self,
        player: ExpectedPlayer,
        kind: Outcome,
        *,
        reason: str = "",
        part: PartRef | None = None,
        at: datetime | None = None,
    ) -> PlayerOutcome:
        at, batch_id = at or self.clock.now(), self.progress.batch.batch_id
        return PlayerOutcome(
            self.slate, batch_id, player.slug, kind, self.run_id, at, reason=reason, part=part
        )

    def record(self) -> None:
        """Record the outcomes whose events are stored."""
        reached("events_stored")
        self.state.record(self.unrecorded)
        reached("outcome_recorded")
        for done in self.unrecorded:
            _logger.debug(
                "slate %s: %s %s%s", self.slate, done.player_slug, done.outcome.value,
                f": {done.reason}" if done.reason else "",
                extra={"slate": self.slate, "player": done.player_slug, "batch": self.progress.batch.batch_id},
            )  # fmt: skip
        self.settled.extend(self.unrecorded)
        self.unrecorded.clear()

    def drop_late(self, player: ExpectedPlayer, late: PlayerOutcome) -> None:
        """Drop a part that was written after its player had been given up on: no outcome will ever name it."""
        if late.part is not None:
            self.staging_area.drop(self.slate, player.slug, late.part.part_id)

    def drop_replaced_parts(self) -> None:
        """Drop the parts of earlier outcomes in whose place players settled without one: nobody would merge them."""
        replaced = {
            done.player_slug: before.part.part_id
            for done in self.settled
            if done.part is None
            and (before := self.progress.outcomes.get(done.player_slug)) is not None
            and before.part is not None
        }
        if not replaced:
            return
        # As the outcomes are now: a failure doesn't replace one that is newer.
        named = {
            done.part.part_id
            for done in open_progress(self.state, self.slate).outcomes.values()
            if done.part is not None
        }
        for slug, part_id in replaced.items():
            if part_id not in named:
                self.staging_area.drop(self.slate, slug, part_id)


def _failure(
    slate: str, players: int, failed: Sequence[PlayerOutcome], circuit: CircuitBreaker
) -> dg.Failure:
    """Return what fails a run that couldn't stage all of its players."""
    return dg.Failure(
        f"slate {slate}: {len(failed)} of {players} players failed, first "
        f"{failed[0].player_slug}: {failed[0].reason}; mend the cause, then materialize their partitions again "
        f"or run `prediction-assets dead-letters replay --slate {slate}`",
        metadata={
            "failed_players": [f"{c.player_slug}: {c.reason}" for c in failed[:50]],
            "common_cause": circuit.tripped_by or "",
        },
        allow_retries=False,
    )


def _attempts(attempts: int, circuit: CircuitBreaker) -> tenacity.Retrying:
    """Return what calls again with a growing pause while the error may pass and the circuit is closed."""

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, TRANSIENT_ERRORS) and circuit.tripped_by is None

    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential_jitter(multiplier=0.1, max=5.0),
        retry=tenacity.retry_if_exception(may_pass),
        reraise=True,
    )


def _forecast(
    subject: Subject, port: Warehouse, progress: Progress, players: Sequence[ExpectedPlayer]
) -> tuple[dict[str, pa.Table], dict[str, Exception]]:
    """Return the parts' rows by slug for the players who have features, and the errors of whom none can be made for.

    Computed for all of them at once; where that fails, for ever smaller groups, so that one player's odd facts
    cost nobody else his rows.
    """
    batch = progress.batch
    if progress.feature_snapshot is None:
        raise PredictionAssetsError(
            f"slate {batch.slate}: no features are pinned; materialize player_features for it first"
        )
    snapshot = port.snapshots.read(batch.slate, progress.feature_snapshot, [p.player_id for p in players])

    def of(group: Sequence[ExpectedPlayer]) -> dict[str, pa.Table]:
        ids = pa.array([player.player_id for player in group], pa.int64())
        theirs = replace(
            snapshot, players=snapshot.players.filter(pc.is_in(snapshot.players["player_id"], ids))
        )
        return part_rows(subject.forecasts(port, batch, theirs), batch, snapshot.snapshot_id, PART_SCHEMA)

    made, failed = bisect_failures(players, of, (*TRANSIENT_ERRORS, StoreUnreadable))
    if failed:
        _logger.warning(
            "slate %s: %d of %d players can't be forecast, first %s: %s",
            batch.slate, len(failed), len(players), failed[0][0].slug, failed[0][1],
            extra={"slate": batch.slate, "batch": batch.batch_id},
        )  # fmt: skip
    parts = {slug: rows for group in made for slug, rows in group.items()}
    return parts, {player.slug: error for player, error in failed}


def _event(done: PlayerOutcome) -> dg.AssetMaterialization | dg.AssetObservation:
    """Return what the player's partition shows of his outcome."""
    key = player_key(done.slate, done.player_slug)
    if not isinstance(done.part, PartRef):
        seen = {"outcome": done.outcome.value, "reason": done.reason}
        return dg.AssetObservation(STAGED, partition=key, metadata=seen)
    return dg.AssetMaterialization(
        STAGED,
        partition=key,
        metadata={
            "rows": done.part.rows,
            "part_id": done.part.part_id,
            "content_hash": done.part.content_hash,
            "feature_snapshot": done.part.feature_snapshot,
        },
        tags={CODE_VERSION_TAG: __version__},
    )

"""The fan-out: one part per slate player, many players per run.

Skippable multi-asset: it logs one materialization per player that has rows and fails at the end if any
player failed, so that the partition page tells the truth about each. Each player's outcome is recorded in
batch state after his part, or his dead letter, is durable and his event is stored, a few dozen players at a
time: killed before, the players concerned are staged again, and none is settled who has no event.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime

import dagster as dg
import pyarrow as pa
import tenacity

from prediction_assets import __version__
from prediction_assets.assets.describing import FAN_OUT, OWNERS, staged_lineage, table_schema, tag_run
from prediction_assets.batch_state.port import (
    BatchState,
    Completion,
    ExpectedPlayer,
    Outcome,
    Progress,
    open_progress,
)
from prediction_assets.batched_events import LONGEST_WAIT_SECONDS, batched_events
from prediction_assets.consolidation import replay_payload
from prediction_assets.crash_points import reached
from prediction_assets.dead_letters.port import Failure, traceback_digest
from prediction_assets.errors import PredictionAssetsError, TransientError
from prediction_assets.fan_out import Circuit, Overdue, fan_out
from prediction_assets.keys import player_key
from prediction_assets.partitions import SLATE_PLAYERS, one_slate
from prediction_assets.resources import (
    BatchStateResource,
    SettingsResource,
    SubjectResource,
    WarehouseResource,
)
from prediction_assets.staging import part_rows
from prediction_assets.subject import Subject
from prediction_assets.warehouse.port import PartRef, Warehouse
from prediction_assets.warehouse.tables import PART_SCHEMA, PREDICTIONS

STAGED = dg.AssetKey("staged_predictions")
CODE_VERSION_TAG = "prediction_assets/version"
"""Tag of a player's materialization: the package's version that staged him."""

LONGEST_MESSAGE = 500
"""Characters of an error's text that a dead letter keeps."""

_logger = logging.getLogger(__name__)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            STAGED,
            description=(
                "One player's part of a slate: 5 forecasting systems x 5 lines = 25 rows, staged until a "
                "consolidation merges them.\n\n"
                "Materialize a range for a whole slate, or one partition to re-run one player: it picks up "
                "the newest line and the pinned features, and the consolidation sensor merges it. A player "
                "whose game is off, who is reported Out, or who has no game log before the slate is skipped, "
                "with the reason as an observation. A part is an immutable Parquet file; its row count and "
                "content hash travel in the player's completion and are verified before the MERGE."
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
    subject: SubjectResource,
    warehouse: WarehouseResource,
    batch_state: BatchStateResource,
    settings: SettingsResource,
) -> Iterator[dg.MaterializeResult]:
    """Write each player's part and record his outcome; fails at the end if any player failed."""
    slate, slugs = one_slate(context.partition_keys)
    state, port = batch_state.port, warehouse.port
    progress = open_progress(state, slate)
    tag_run(context, slate, progress.batch.batch_id)
    players = progress.batch.players(slugs)
    parts = _forecast(subject.port, port, progress, players)
    skipped = subject.port.reasons_to_skip(port, progress.batch, players, parts.keys())
    run_id, circuit = context.run.run_id, Circuit(len(players))

    def outcome(
        player: ExpectedPlayer,
        kind: Outcome,
        *,
        reason: str = "",
        part: PartRef | None = None,
        at: datetime | None = None,
    ) -> Completion:
        at = at or settings.now()
        return Completion(
            slate, player.slug, kind, run_id, at, reason=reason, part=part, batch_id=progress.batch.batch_id
        )

    def fail(
        player: ExpectedPlayer, error: Exception, attempts: int, digest: str | None = None
    ) -> Completion:
        failure = Failure(
            slate=slate,
            player_slug=player.slug,
            run_id=run_id,
            error_class=type(error).__name__,
            message=" ".join(str(error).split())[:LONGEST_MESSAGE],
            traceback_digest=digest or traceback_digest(error),
            attempts=attempts,
            failed_at=settings.now(),
            payload=replay_payload(progress, player),
        )
        circuit.failed(failure.traceback_digest)
        # Before the outcome: killed in between, he is staged again, and never failed without a letter.
        batch_state.dead_letters.add([failure])
        reached("dead_letter_written")
        reason = f"{failure.error_class}: {failure.message} ({attempts} attempts)"
        return outcome(player, Outcome.FAILED, reason=reason, at=failure.failed_at)

    def settle(player: ExpectedPlayer) -> Completion:
        if player.slug in skipped:
            return outcome(player, Outcome.SKIPPED, reason=skipped[player.slug])
        if circuit.opened_by is not None:
            alike = CircuitOpen("not tried: most players of this run failed alike")
            return fail(player, alike, 0, circuit.opened_by)
        again = _attempts(settings.staging_attempts, circuit)
        try:
            part = again(port.parts.write, slate, player.slug, parts[player.slug])
        except Exception as error:  # noqa: BLE001  one player's failure is his outcome, not the slate's
            return fail(player, error, again.statistics.get("attempt_number", 1))
        reached("part_written")
        return outcome(player, Outcome.STAGED, part=part)

    def drop_late(player: ExpectedPlayer, late: Completion) -> None:
        """Drop a part that was written after its player had been given up on: no outcome will ever name it."""
        if late.part is not None:
            port.parts.drop(slate, player.slug, late.part.part_id)

    settled: list[Completion] = []
    unrecorded: list[Completion] = []

    def record() -> None:
        """Record the outcomes whose events are stored."""
        reached("events_stored")
        state.record(unrecorded)
        reached("completion_recorded")
        for done in unrecorded:
            _logger.debug(
                "slate %s: %s %s%s", slate, done.player_slug, done.outcome.value,
                f": {done.reason}" if done.reason else "",
                extra={"slate": slate, "player": done.player_slug, "batch": progress.batch.batch_id},
            )  # fmt: skip
        settled.extend(unrecorded)
        unrecorded.clear()

    with batched_events(context, on_stored=record) as events:
        for player, done in fan_out(
            players,
            settle,
            threads=settings.staging_threads,
            timeout_seconds=settings.part_timeout_seconds,
            idle_seconds=LONGEST_WAIT_SECONDS,
            on_idle=events.store,
            on_late=drop_late,
        ):
            if isinstance(done, Overdue):
                done = fail(player, PartOverdue(f"not written within {done.seconds:g} s"), 1)
            unrecorded.append(done)
            events.log(_event(done))
    _drop_replaced_parts(port, state, progress, settled)
    failed = sorted((c for c in settled if c.outcome is Outcome.FAILED), key=lambda c: c.player_slug)
    staged = sum(c.outcome is Outcome.STAGED for c in settled)
    context.log.info(
        "slate %s: %d of %d players staged, %d skipped, %d failed",
        slate, staged, len(slugs), len(skipped), len(failed),
        extra={"slate": slate, "batch": progress.batch.batch_id},
    )  # fmt: skip
    if failed:
        raise dg.Failure(
            f"slate {slate}: {len(failed)} of {len(slugs)} players failed, first "
            f"{failed[0].player_slug}: {failed[0].reason}; mend the cause, then materialize their partitions again "
            f"or run `prediction-assets dead-letters replay --slate {slate}`",
            metadata={
                "failed_players": [f"{c.player_slug}: {c.reason}" for c in failed[:50]],
                "common_cause": circuit.opened_by or "",
            },
            allow_retries=False,
        )
    # The players' own events are logged; a result for the whole range would add a second one to each.
    yield from ()


class PartOverdue(PredictionAssetsError):
    """A player's part took longer than its time and was given up on."""


class CircuitOpen(PredictionAssetsError):
    """Most players of the run had failed alike, so this one wasn't tried any more."""


def _attempts(attempts: int, circuit: Circuit) -> tenacity.Retrying:
    """Return what calls again with a growing pause while the error may pass and the circuit is closed."""

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, (OSError, TransientError)) and circuit.opened_by is None

    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential_jitter(multiplier=0.1, max=5.0),
        retry=tenacity.retry_if_exception(may_pass),
        reraise=True,
    )


def _forecast(
    subject: Subject, port: Warehouse, progress: Progress, players: Sequence[ExpectedPlayer]
) -> dict[str, pa.Table]:
    """Return the parts' rows by slug for the players who have features, computed for all of them at once."""
    batch = progress.batch
    if progress.feature_snapshot is None:
        raise PredictionAssetsError(
            f"slate {batch.slate}: no features are pinned; materialize player_features for it first"
        )
    snapshot = port.snapshots.read(batch.slate, progress.feature_snapshot, [p.player_id for p in players])
    return part_rows(subject.forecasts(port, batch, snapshot), batch, snapshot.snapshot_id)


def _drop_replaced_parts(
    port: Warehouse, state: BatchState, earlier: Progress, settled: Sequence[Completion]
) -> None:
    """Drop the parts of earlier outcomes in whose place players settled without one: nobody would merge them."""
    replaced = {
        done.player_slug: before.part.part_id
        for done in settled
        if done.part is None
        and (before := earlier.completions.get(done.player_slug)) is not None
        and before.part is not None
    }
    if not replaced:
        return
    # As the outcomes are now: a failure doesn't replace one that is newer.
    named = {
        done.part.part_id
        for done in open_progress(state, earlier.batch.slate).completions.values()
        if done.part is not None
    }
    for slug, part_id in replaced.items():
        if part_id not in named:
            port.parts.drop(earlier.batch.slate, slug, part_id)


def _event(done: Completion) -> dg.AssetMaterialization | dg.AssetObservation:
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

"""The fan-out: one part per slate player, many players per run.

Skippable multi-asset: it logs one materialization per player that has rows and fails at the end if any
player failed, so that the partition page tells the truth about each. Each player's outcome is recorded in
batch state after his part is durable and before his event is logged.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pyarrow as pa
import tenacity

from prediction_assets.assets.describing import FAN_OUT, OWNERS, staged_lineage, table_schema
from prediction_assets.batch_state.port import BatchNotOpen, Completion, ExpectedPlayer, Outcome, Progress
from prediction_assets.crash_points import reached
from prediction_assets.errors import PredictionAssetsError, TransientError
from prediction_assets.forecasting.lines import MarketLine, choose_market_lines
from prediction_assets.forecasting.predictions import predict_slate
from prediction_assets.keys import parse_slate, player_key
from prediction_assets.partitions import SLATE_PLAYERS, one_slate
from prediction_assets.resources import BatchStateResource, SettingsResource, WarehouseResource
from prediction_assets.staging import part_rows
from prediction_assets.warehouse import sql
from prediction_assets.warehouse.port import PartRef, Warehouse
from prediction_assets.warehouse.tables import PART_SCHEMA, PREDICTIONS

STAGED = dg.AssetKey("staged_predictions")
NO_FEATURES = "no features: he has no game log before the slate"

_logger = logging.getLogger(__name__)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            STAGED,
            description=(
                "One player's part of a slate: 5 forecasting systems x 5 lines = 25 rows, staged until a "
                "consolidation merges them.\n\n"
                "Materialize a range for a whole slate, or one partition to re-run one player: it picks up "
                "the newest line and the pinned features, and the consolidation sensor merges it. A part is "
                "an immutable Parquet file; its row count and content hash travel in the player's "
                "completion and are verified before the MERGE."
            ),
            partitions_def=SLATE_PLAYERS,
            skippable=True,
            group_name=FAN_OUT,
            owners=OWNERS,
            kinds={"python", "scikitlearn", "parquet"},
            deps=[
                dg.AssetDep("player_features", partition_mapping=dg.AllPartitionMapping()),
                "prop_lines",
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
    warehouse: WarehouseResource,
    batch_state: BatchStateResource,
    settings: SettingsResource,
) -> Iterator[dg.MaterializeResult]:
    """Write each player's part and record his outcome; fails at the end if any player failed."""
    slate, slugs = one_slate(context.partition_keys)
    state, port = batch_state.port, warehouse.port
    progress = state.progress(slate)
    if progress is None:
        raise BatchNotOpen(f"slate {slate}: no batch is open; materialize slate_roster for it first")
    players = progress.batch.players(slugs)
    parts = _forecast(port, progress, players, settings)

    def settle(player: ExpectedPlayer) -> Completion:
        part, outcome, reason = None, Outcome.SKIPPED, NO_FEATURES
        if player.slug in parts:
            part, reason = _write(port, slate, player.slug, parts[player.slug], settings.staging_attempts)
            outcome = Outcome.FAILED if part is None else Outcome.STAGED
        completion = Completion(
            slate, player.slug, outcome, context.run.run_id, settings.now(), reason=reason, part=part
        )
        reached("part_written")
        state.record([completion])
        reached("completion_recorded")
        _logger.debug(
            "slate %s: %s %s%s", slate, player.slug, outcome.value, f": {reason}" if reason else "",
            extra={"slate": slate, "player": player.slug, "batch": progress.batch.batch_id},
        )  # fmt: skip
        return completion

    failed: list[Completion] = []
    with ThreadPoolExecutor(settings.staging_threads, thread_name_prefix="staging") as pool:
        for completion in pool.map(settle, players):
            if completion.outcome is Outcome.FAILED:
                failed.append(completion)
            _log_outcome(context, completion)
    staged = sum(1 for slug in slugs if slug in parts) - len(failed)
    context.log.info(
        "slate %s: %d of %d players staged, %d skipped, %d failed",
        slate, staged, len(slugs), len(slugs) - staged - len(failed), len(failed),
        extra={"slate": slate, "batch": progress.batch.batch_id},
    )  # fmt: skip
    if failed:
        raise dg.Failure(
            f"slate {slate}: {len(failed)} of {len(slugs)} players failed, first "
            f"{failed[0].player_slug}: {failed[0].reason}; materialize their partitions again",
            metadata={"failed_players": [f"{c.player_slug}: {c.reason}" for c in failed[:50]]},
            allow_retries=False,
        )
    # The players' own events are logged; a result for the whole range would add a second one to each.
    yield from ()


def _write(
    port: Warehouse, slate: str, slug: str, rows: pa.Table, attempts: int
) -> tuple[PartRef | None, str]:
    """Write one part, again with a growing pause while the error may pass; return it, or None and why not."""
    again = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential_jitter(multiplier=0.1, max=5.0),
        retry=tenacity.retry_if_exception_type((OSError, TransientError)),
        reraise=True,
    )
    try:
        return again(port.parts.write, slate, slug, rows), ""
    except Exception as error:  # noqa: BLE001  one player's failure is his outcome, not the slate's
        tried = again.statistics.get("attempt_number", 1)
        return None, f"{type(error).__name__}: {error} ({tried} attempts)"


def _forecast(
    port: Warehouse, progress: Progress, players: Sequence[ExpectedPlayer], settings: SettingsResource
) -> dict[str, pa.Table]:
    """Return the parts' rows by slug for the players who have features, computed for all of them at once."""
    batch = progress.batch
    if progress.feature_snapshot is None:
        raise PredictionAssetsError(
            f"slate {batch.slate}: no features are pinned; materialize player_features for it first"
        )
    snapshot = port.snapshots.read(batch.slate, progress.feature_snapshot, [p.player_id for p in players])
    market = _market(port, progress)
    forecasts = predict_slate(snapshot.players, snapshot.history, market, threshold=settings.pass_threshold)
    return part_rows(forecasts, batch, snapshot.snapshot_id)


def _market(port: Warehouse, progress: Progress) -> dict[int, MarketLine]:
    offers = port.query(
        sql.MARKET_OFFERS,
        {"slate": parse_slate(progress.batch.slate), "league": progress.batch.league},
    )
    return choose_market_lines(offers)


def _log_outcome(context: dg.AssetExecutionContext, done: Completion) -> None:
    key = player_key(done.slate, done.player_slug)
    if isinstance(done.part, PartRef):
        context.log_event(
            dg.AssetMaterialization(
                STAGED,
                partition=key,
                metadata={
                    "rows": done.part.rows,
                    "part_id": done.part.part_id,
                    "content_hash": done.part.content_hash,
                    "feature_snapshot": done.part.feature_snapshot,
                },
            )
        )
    else:
        context.log_event(
            dg.AssetObservation(
                STAGED, partition=key, metadata={"outcome": done.outcome.value, "reason": done.reason}
            )
        )

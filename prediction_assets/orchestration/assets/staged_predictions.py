"""The fan-out: one part per slate player, many players per run."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from prediction_assets import __version__
from prediction_assets.board.values import SYSTEM
from prediction_assets.errors import plain
from prediction_assets.orchestration.assets.describing import FAN_OUT, OWNERS, staged_lineage, table_schema
from prediction_assets.orchestration.batched_events import LONGEST_WAIT_SECONDS, batched_events
from prediction_assets.orchestration.jobs import STAGED
from prediction_assets.orchestration.partitions import SLATE_PLAYERS, keys_of_players, one_slate
from prediction_assets.orchestration.run_tags import CODE_VERSION_TAG, tag_run
from prediction_assets.settings import Settings
from prediction_assets.slate.basis import causes
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.outcome import PlayerOutcome
from prediction_assets.slate.records import as_row
from prediction_assets.steps.stage import Staging, begin_staging
from prediction_assets.stores.protocols import BatchState, DeadLetters, Warehouse
from prediction_assets.stores.sql.tables import PART_SCHEMA, PREDICTIONS

_SHOWN = 50


class StagingConfig(dg.Config):
    """Whom of its range a run stages."""

    players: list[str] = Field(
        default=[],
        description="The players to stage, as slugs or partition keys. Empty: all partitions of the run. With players, "
        "select any range that covers them.",
    )
    until_tip_off: bool = Field(
        default=False,
        description="Leave out the players whose games have begun; their rows stay as they are.",
    )


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            STAGED,
            description=(
                "One player's part of a slate: 5 forecasting systems (6 with `market_aware`) x 5 lines. It stays "
                "staged until a consolidation merges it.\n\n"
                "Materialize a range of partitions to stage a whole slate, or one partition to stage one player again. "
                "For several players, select a range that covers them and name them in the config: it is one run. "
                "Staging reads the newest line and the pinned features; the sensors merge the new part. "
                "A player is skipped if his game is off, if he is reported Out, or if he has no game log before the "
                "slate; his partition then shows an observation with the reason. A part is written once. The player's "
                "outcome contains its row count and content hash, and the MERGE verifies them."
            ),
            partitions_def=SLATE_PLAYERS,
            skippable=True,
            group_name=FAN_OUT,
            owners=OWNERS,
            kinds={"python", "scikitlearn", "arrow"},
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
    config: StagingConfig,
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    dead_letters: dg.ResourceParam[DeadLetters],
) -> Iterator[dg.MaterializeResult]:
    """Stage the run's players; fails at the end if any player failed."""
    slate, slugs = one_slate(keys_of_players(context.partition_keys, config.players))
    staging = begin_staging(
        slate,
        slugs,
        warehouse,
        batch_state,
        dead_letters,
        settings,
        clock,
        run_id=context.run.run_id,
        until_tip_off=config.until_tip_off,
    )
    tag_run(context, slate, staging.progress.batch.batch_id)
    with batched_events(context, on_stored=staging.record) as events:
        for outcome in staging.outcomes(idle_seconds=LONGEST_WAIT_SECONDS, on_idle=events.store):
            events.log(_event(outcome, staging))
    staging.finish()
    if staging.failed:
        raise _failure(staging)
    # The players' own events are logged; a result for the whole range would add a second one to each.
    yield from ()


def _event(outcome: PlayerOutcome, staging: Staging) -> dg.AssetMaterialization | dg.AssetObservation:
    """Return what the player's partition shows of his outcome: a materialization only if he is staged."""
    key, part = player_key(outcome.slate, outcome.player_slug), outcome.part
    why = {"why": _why(staging.progress.outcomes.get(outcome.player_slug), outcome)}
    made_from = {} if outcome.basis is None else {"made_from": dg.MetadataValue.json(as_row(outcome.basis))}
    ids: dict[str, Any] = {"fence": outcome.fence, "facts_version": outcome.facts_version, **made_from}
    if part is None:
        shown = {"outcome": outcome.outcome.value, "reason": outcome.reason, **why, **ids}
        return dg.AssetObservation(STAGED, partition=key, metadata=shown)
    return dg.AssetMaterialization(
        STAGED,
        partition=key,
        metadata={
            **_forecast(staging.parts[outcome.player_slug]),
            **why,
            "rows": part.rows,
            "part_id": part.part_id,
            "content_hash": part.content_hash,
            "feature_snapshot": part.feature_snapshot,
            **ids,
        },
        tags={CODE_VERSION_TAG: __version__},
    )


_OF_THE_FORECAST = (
    "line",
    "predicted_points",
    "probability_over",
    "recommendation",
    "expected_value",
    "bookmaker",
)


def _forecast(rows: pa.Table) -> dict[str, Any]:
    """Return what the board's system says at the player's main line; nothing if it has no row there."""
    offsets = rows["line_offset"]
    for at, system in enumerate(rows["system"].to_pylist()):
        if system == SYSTEM and offsets[at].as_py() == 0:
            row = {name: rows[name][at].as_py() for name in _OF_THE_FORECAST}
            found = {name: value for name, value in row.items() if value is not None}
            if "bookmaker" in found:
                found["bookmaker"] = plain(found["bookmaker"])
            return {**found, "line": float(row["line"])}
    return {}


def _why(before: PlayerOutcome | None, now: PlayerOutcome) -> str:
    """Return what changed since the outcome that the player had when this run began."""
    if before is None:
        return "first outcome"
    if before.basis is None or now.basis is None:
        return "what he was made from isn't recorded"
    return plain("; ".join(causes(before.basis, now.basis))) or "nothing that he is made from changed"


def _failure(staging: Staging) -> dg.Failure:
    failed = staging.failed
    return dg.Failure(
        f"slate {staging.slate}: {len(failed)} of {len(staging.players)} players failed, first "
        f"{failed[0].player_slug}: {failed[0].reason}; fix the cause, then materialize their partitions again "
        f"or run `prediction-assets dead-letters replay --slate {staging.slate}`",
        metadata={
            "failed_players": [f"{done.player_slug}: {done.reason}" for done in failed[:_SHOWN]],
            "common_cause": staging.circuit.tripped_by or "",
        },
        allow_retries=False,
    )

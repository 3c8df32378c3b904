"""Point-in-time features of a slate, pinned by a snapshot id that every prediction row carries."""

from datetime import timedelta

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.assets.describing import OWNERS, SLATE, is_simulated, tag_run
from prediction_assets.batch_state.port import BatchNotOpen
from prediction_assets.crash_points import reached
from prediction_assets.forecasting.features import (
    FEATURE_COLUMNS,
    FEATURES_SQL,
    KEY_COLUMNS,
    TARGET_COLUMNS,
    split_snapshot,
)
from prediction_assets.keys import parse_slate
from prediction_assets.partitions import SLATES
from prediction_assets.resources import BatchStateResource, SettingsResource, WarehouseResource


@dg.asset(
    partitions_def=SLATES,
    group_name=SLATE,
    owners=OWNERS,
    kinds={"duckdb", "parquet"},
    deps=["slate_roster", "game_logs"],
    metadata={
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(name=column.name, type=str(column.type), description=column.description)
                for column in (*KEY_COLUMNS, *TARGET_COLUMNS, *FEATURE_COLUMNS)
            ]
        )
    },
)
def player_features(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    batch_state: BatchStateResource,
    settings: SettingsResource,
) -> dg.MaterializeResult:
    """Features of the slate's expected players, and of the past games that the systems are fitted on.

    One SQL query of window functions gives both, from games before the slate only. The result is stored as
    an immutable snapshot named by its content: the same facts give the same id, and every prediction row
    carries the id it was made from.
    """
    slate = context.partition_key
    state, port = batch_state.port, warehouse.port
    progress = state.progress(slate)
    if progress is None:
        raise BatchNotOpen(f"slate {slate}: no batch is open; materialize slate_roster for it first")
    tag_run(context, slate, progress.batch.batch_id)
    day = parse_slate(slate)
    rows = port.query(
        FEATURES_SQL,
        {
            "slate": day,
            "league": progress.batch.league,
            "history_start": day - timedelta(days=settings.history_days),
        },
    )
    history, candidates = split_snapshot(rows)
    expected = pa.array([p.player_id for p in progress.batch.expected], pa.int64())
    players = candidates.filter(pc.is_in(candidates["player_id"], expected)).sort_by("player_id")
    history = history.sort_by(
        [("game_date", "ascending"), ("game_id", "ascending"), ("player_id", "ascending")]
    )
    snapshot_id = port.snapshots.write(slate, players, history)
    reached("features_written")
    state.pin_features(slate, snapshot_id)
    reached("features_pinned")
    context.log.info(
        "slate %s: feature snapshot %s, %d players, %d past player-games",
        slate, snapshot_id, players.num_rows, history.num_rows,
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "snapshot_id": snapshot_id,
            "league": progress.batch.league,
            "simulated": is_simulated(progress.batch.league),
            "players": players.num_rows,
            "players_without_features": len(expected) - players.num_rows,
            "past_player_games": history.num_rows,
            "newest_game": str(pc.max(history["game_date"]).as_py() or ""),
            "dagster/row_count": players.num_rows,
        },
        tags={"feature_snapshot": snapshot_id},
    )

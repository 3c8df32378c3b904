"""Point-in-time features of a slate, pinned by a snapshot id that every prediction row carries."""

import dagster as dg
import pyarrow.compute as pc

from prediction_assets.nba.forecast import HISTORY_DAYS, slate_features
from prediction_assets.nba.forecasting.features import FEATURE_COLUMNS, KEY_COLUMNS, TARGET_COLUMNS
from prediction_assets.nba.model_store import choose_model
from prediction_assets.orchestration.assets.describing import OWNERS, SLATE
from prediction_assets.orchestration.partitions import SLATES
from prediction_assets.orchestration.run_tags import tag_run
from prediction_assets.slate.keys import is_simulated, parse_slate
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, Warehouse, open_progress


@dg.asset(
    partitions_def=SLATES,
    group_name=SLATE,
    owners=OWNERS,
    kinds={"duckdb", "parquet"},
    deps=["slate_roster", "game_logs", "points_model"],
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
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
) -> dg.MaterializeResult:
    """Features of the slate's expected players, and the id of the model that will forecast them.

    One SQL query computes them from games before the slate only. The newest `points_model` that was trained on such
    games is pinned with them. Without such a model, the past games are stored, too, and the systems are fitted on them.
    The result is an immutable snapshot that is named by its content: the same facts give the same id. Every
    prediction row carries the id of the snapshot that it was made from.
    """
    slate = context.partition_key
    batch = open_progress(batch_state, slate).batch
    tag_run(context, slate, batch.batch_id)
    model_id = choose_model(warehouse, batch.league, parse_slate(slate))
    player_ids = [player.player_id for player in batch.expected]
    players, history = slate_features(
        warehouse, batch.league, parse_slate(slate), player_ids, HISTORY_DAYS, model_id
    )
    snapshot_id = warehouse.snapshots.write(slate, players, history)
    reached("features_written")
    batch_state.pin_features(slate, snapshot_id)
    reached("features_pinned")
    context.log.info(
        "slate %s: feature snapshot %s, %d players, %d past player-games",
        slate, snapshot_id, players.num_rows, history.num_rows,
        extra={"slate": slate, "batch": batch.batch_id},
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "snapshot_id": snapshot_id,
            "league": batch.league,
            "simulated": is_simulated(batch.league),
            "players": players.num_rows,
            "players_without_features": len(batch.expected) - players.num_rows,
            "model_id": model_id or "none: the systems are fitted on the past player-games",
            "newest_game": str(pc.max(history["game_date"]).as_py() or ""),
            "past_player_games": history.num_rows,
            "dagster/row_count": players.num_rows,
        },
        tags={"feature_snapshot": snapshot_id},
    )

"""Point-in-time features of a slate, pinned by a snapshot id that every prediction row carries."""

import dagster as dg

from prediction_assets.nba.forecasting.features import FEATURE_COLUMNS, KEY_COLUMNS, TARGET_COLUMNS
from prediction_assets.nba.subject import Subject
from prediction_assets.orchestration.assets.describing import OWNERS, SLATE
from prediction_assets.orchestration.assets.tagging import tag_run
from prediction_assets.orchestration.partitions import SLATES
from prediction_assets.slate.keys import is_simulated
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
    subject: dg.ResourceParam[Subject],
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
) -> dg.MaterializeResult:
    """Features of the slate's expected players, and the id of the model that will forecast them.

    One SQL query of window functions, over games before the slate only. The newest `points_model` that was
    trained on such games is pinned with them; where there is none, the past games that the systems are then
    fitted on are stored, too. The result is an immutable snapshot named by its content: the same facts give
    the same id, and every prediction row carries the id it was made from.
    """
    slate = context.partition_key
    state, port = batch_state, warehouse
    progress = open_progress(state, slate)
    tag_run(context, slate, progress.batch.batch_id)
    features = subject.features(port, progress.batch)
    players, history = features.players, features.history
    snapshot_id = port.snapshots.write(slate, players, history)
    reached("features_written")
    state.pin_features(slate, snapshot_id)
    reached("features_pinned")
    context.log.info(
        "slate %s: feature snapshot %s, %d players, %d past player-games",
        slate, snapshot_id, players.num_rows, history.num_rows,
        extra={"slate": slate, "batch": progress.batch.batch_id},
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "snapshot_id": snapshot_id,
            "league": progress.batch.league,
            "simulated": is_simulated(progress.batch.league),
            "players": players.num_rows,
            "players_without_features": len(progress.batch.expected) - players.num_rows,
            **features.about,
            "past_player_games": history.num_rows,
            "dagster/row_count": players.num_rows,
        },
        tags={"feature_snapshot": snapshot_id},
    )

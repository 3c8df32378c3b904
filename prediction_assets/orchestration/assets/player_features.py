"""Point-in-time features of a slate, pinned by a snapshot id that every prediction row carries."""

from typing import Any

import dagster as dg
import pyarrow.compute as pc

from prediction_assets.nba.forecasting.features import FEATURE_COLUMNS, KEY_COLUMNS, TARGET_COLUMNS
from prediction_assets.orchestration.assets.describing import OWNERS, SLATE
from prediction_assets.orchestration.partitions import SLATES
from prediction_assets.orchestration.run_tags import tag_run
from prediction_assets.settings import Settings
from prediction_assets.slate.keys import is_simulated
from prediction_assets.steps.pin import PinnedFeatures, pin_features
from prediction_assets.stores.protocols import BatchState, Warehouse


@dg.asset(
    partitions_def=SLATES,
    group_name=SLATE,
    owners=OWNERS,
    kinds={"duckdb", "arrow"},
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
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Features of the slate's expected players, and the id of the model that will forecast them.

    One SQL query computes them from games before the slate only; each stat beside points that the settings' markets
    need has the same columns once more, named after it. The newest `points_model` that was trained on such
    games is pinned with them. Without such a model, the past games are stored, too, and the systems are fitted on them.
    The result is an immutable snapshot that is named by its content: the same facts give the same id. Every
    prediction row carries the id of the snapshot that it was made from.
    """
    pinned = pin_features(context.partition_key, warehouse, batch_state, settings.markets)
    tag_run(context, pinned.batch.slate, pinned.batch.batch_id)
    return dg.MaterializeResult(**_shown(pinned))


def log_features(context: dg.AssetExecutionContext, pinned: PinnedFeatures) -> None:
    """Log the materialization of features that another asset's run pinned."""
    context.log_event(
        dg.AssetMaterialization(player_features.key, partition=pinned.batch.slate, **_shown(pinned))
    )


def _shown(pinned: PinnedFeatures) -> dict[str, Any]:
    batch = pinned.batch
    metadata = {
        "snapshot_id": pinned.snapshot_id,
        "facts_version": pinned.facts_version,
        "league": batch.league,
        "simulated": is_simulated(batch.league),
        "players": pinned.players.num_rows,
        "players_without_features": len(batch.expected) - pinned.players.num_rows,
        "model_id": pinned.model_id or "none: the systems are fitted on the past player-games",
        "newest_game": str(pc.max(pinned.history["game_date"]).as_py() or ""),
        "past_player_games": pinned.history.num_rows,
        "dagster/row_count": pinned.players.num_rows,
    }
    return {"metadata": metadata, "tags": {"feature_snapshot": pinned.snapshot_id}}

"""The stored model: every system, fitted on seasons of games before the slates that it serves."""

from datetime import date, timedelta

import dagster as dg
from pydantic import Field

from prediction_assets.errors import NothingToTrainOn
from prediction_assets.nba.model_store import MODEL_HISTORY_DAYS, train_model
from prediction_assets.orchestration.assets.describing import FACTS, OWNERS, table_metadata
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import NBA_LEAGUE, is_simulated, parse_slate
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import POINTS_MODELS


class PointsModelConfig(dg.Config):
    """What to train on."""

    cutoff: str | None = Field(
        default=None,
        description="Train on the last four years of games before this date, YYYY-MM-DD. Empty: the day "
        "after the newest ingested game.",
    )
    league: str | None = Field(
        default=None, description="Empty: the NBA, or the simulated league if no NBA game is ingested."
    )


@dg.asset(
    group_name=FACTS,
    owners=OWNERS,
    kinds={"python", "scikitlearn", "duckdb"},
    deps=["game_logs", "schedule"],
    metadata=table_metadata(POINTS_MODELS),
)
def points_model(
    context: dg.AssetExecutionContext,
    config: PointsModelConfig,
    warehouse: dg.ResourceParam[Warehouse],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Every forecasting system, trained on the last four years of games before the cut-off.

    It serves slates from its cut-off on. A slate takes the newest model that saw only games before it, and pins it with
    its features. The id is derived from the data: materializing again on unchanged data trains nothing. A slate can do
    without a model: the systems are then fitted on its own feature snapshot, which takes longer and has less history.
    """
    league, newest = _league(warehouse, config.league)
    cutoff = parse_slate(config.cutoff) if config.cutoff else newest + timedelta(days=1)
    row, trained = train_model(warehouse, league, cutoff, MODEL_HISTORY_DAYS, now=clock.now())
    context.log.info(
        "model %s of %s before %s: %s, %s player-games",
        row["model_id"], league, cutoff, "trained" if trained else "stored before", row["trained_rows"],
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "model_id": str(row["model_id"]),
            "league": league,
            "simulated": is_simulated(league),
            "cutoff": str(cutoff),
            "newest_game": str(row["newest_game"] or ""),
            "trained_rows": dg.MetadataValue.int(int(str(row["trained_rows"]))),
            "seasons": str(row["seasons"]),
            "data_hash": str(row["data_hash"]),
            "systems": dg.MetadataValue.json(str(row["systems"])),
            "document_bytes": len(str(row["document"])),
            "trained_now": trained,
        }
    )


def _league(warehouse: Warehouse, wanted: str | None) -> tuple[str, date]:
    """Return the league to train on and the date of its newest game log."""
    logged = {row["league"]: row["newest_log"] for row in warehouse.query(queries.LOGGED_LEAGUES).to_pylist()}
    league = wanted or (NBA_LEAGUE if NBA_LEAGUE in logged else next(iter(logged), ""))
    if league not in logged:
        raise NothingToTrainOn(
            f"points_model: no game logs of {wanted or 'any league'} are ingested; ingest game logs, then "
            "materialize it again"
        )
    return league, logged[league]

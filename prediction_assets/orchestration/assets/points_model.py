"""The stored model: every system, fitted on seasons of games before the slates that it serves, and its trial."""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from prediction_assets.errors import NothingToTrainOn, one_line, without_markup
from prediction_assets.nba.forecasting.stats import further_stats
from prediction_assets.nba.model_store import MODEL_HISTORY_DAYS, challenge
from prediction_assets.orchestration.assets.describing import FACTS, OWNERS, table_metadata, table_of
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import NBA_LEAGUE, is_simulated, parse_slate
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import POINTS_MODELS

IS_PROMOTED = "challenger_is_promoted"


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
    check_specs=[
        dg.AssetCheckSpec(
            IS_PROMOTED,
            asset="points_model",
            description="Warns if the model that was trained is worse than the one in force on slates that neither was "
            "fitted on, or can't be trusted. The one in force stays.",
        )
    ],
)
def points_model(
    context: dg.AssetExecutionContext,
    config: PointsModelConfig,
    warehouse: dg.ResourceParam[Warehouse],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Every forecasting system, trained on the last four years of games before the cut-off, and tried.

    It serves slates from its cut-off on. A slate takes the newest promoted model that saw only games before it, and
    pins it with its features. The newest slates before the cut-off are kept from the fit, and the model in force is
    compared on them: only a model that isn't worse is promoted. The id is derived from the data: materializing again
    on unchanged data trains nothing. A slate can do without a model: the systems are then fitted on its own feature
    snapshot, which takes longer and has less history.
    """
    league, newest = _league(warehouse, config.league)
    cutoff = parse_slate(config.cutoff) if config.cutoff else newest + timedelta(days=1)
    stats = further_stats(settings.markets)
    row, trained = challenge(warehouse, league, cutoff, MODEL_HISTORY_DAYS, now=clock.now(), stats=stats)
    verdict = json.loads(row["verdict"])
    problems = "; ".join(verdict["problems"])
    context.log.info(
        "model %s of %s before %s: %s, %s player-games, %s",
        row["model_id"], league, cutoff, "trained" if trained else "stored before", row["trained_rows"],
        f"refused: {problems}" if problems else "promoted",
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "model_id": str(row["model_id"]),
            "league": league,
            "simulated": is_simulated(league),
            "cutoff": str(cutoff),
            "newest_game": str(row["newest_game"] or ""),
            "trained_rows": dg.MetadataValue.int(row["trained_rows"]),
            "seasons": row["seasons"],
            "data_hash": row["data_hash"],
            "systems": dg.MetadataValue.json(row["systems"]),
            "document_bytes": len(row["document"]),
            "trained_now": trained,
            "promoted": row["is_promoted"],
            "compared_with": verdict["champion"] or "a moving average",
            "trial": f"{verdict['players']} player-games of {verdict['slates']} slates, {verdict['since']} .. "
            f"{verdict['until']}",
            "problems": dg.MetadataValue.text(problems or "none"),
            "compared": table_of(_compared(verdict)),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=IS_PROMOTED,
                passed=row["is_promoted"],
                severity=dg.AssetCheckSeverity.WARN,
                description=without_markup(one_line(problems, 400)) or None,
                metadata={"model_id": str(row["model_id"])},
            )
        ],
    )


def _compared(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"system": system, "measure": name, **numbers}
        for system, measures in sorted(verdict["systems"].items())
        for name, numbers in measures.items()
    ]


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

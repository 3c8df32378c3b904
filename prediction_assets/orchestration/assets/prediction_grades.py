"""The morning after: the grades of each system's published forecasts, with a check on drift and bias.

The check warns and never blocks: a slate is announced before its games are played.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg

from prediction_assets.nba.forecasting.grading import Grade
from prediction_assets.nba.grades import (
    EARLIER_SLATES,
    PUBLISHED,
    RECENT_SLATES,
    Steadiness,
    grade_published,
    steadiness,
    store_grades,
    stored_grades,
)
from prediction_assets.orchestration.assets.describing import OWNERS, PUBLISHING, table_metadata, table_of
from prediction_assets.orchestration.partitions import SLATES, preview_features
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import is_simulated, parse_slate
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql.tables import PREDICTION_GRADES

STEADY = "systems_are_steady"
BIAS_LIMIT = 1.5
"""Points of bias over the last ten slates beyond which the check warns."""

_LOOKBACK = timedelta(days=200)


with preview_features():

    @dg.asset(
        partitions_def=SLATES,
        group_name=PUBLISHING,
        owners=OWNERS,
        kinds={"python", "duckdb"},
        deps=["predictions", "game_logs"],
        metadata=table_metadata(PREDICTION_GRADES),
        check_specs=[
            dg.AssetCheckSpec(
                STEADY,
                asset="prediction_grades",
                partitions_def=SLATES,
                description=f"Warns if a system's bias over its last {RECENT_SLATES} graded slates exceeds the "
                "limit, or if its mean absolute error is more than 10 % above that of the "
                f"{EARLIER_SLATES} slates before. It never blocks a slate.",
            )
        ],
    )
    def prediction_grades(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[dg.MaterializeResult]:
        """How accurate each system's active forecasts were, once all games have game logs.

        Mean absolute error and bias are over all players who played. Brier score, calibration by decile, hit rate and
        coverage are against the market lines. A player who didn't play is void and counts in none of them. The rows
        that each player had first, those that he had when his game began, and the closing lines are graded, too.
        Materializing again replaces the slate's grades.
        """
        slate = context.partition_key
        receipts = warehouse.receipts(slate)
        league, by_origin = grade_published(warehouse, slate)
        # The sensor looks for those of the rows in force, so they are stored last.
        for origin, found in sorted(by_origin.items(), key=lambda item: item[0] == PUBLISHED):
            store_grades(
                warehouse,
                parse_slate(slate),
                found,
                origin=origin,
                league=league,
                now=clock.now(),
                receipt_id=receipts[-1].receipt_id if receipts else "",
            )
        grades = by_origin[PUBLISHED]
        systems = _steadiness(warehouse, parse_slate(slate), BIAS_LIMIT)
        complaints = {j.system: j.complaint for j in systems if j.complaint}
        context.log.info("slate %s: %d systems graded, %d complaints", slate, len(grades), len(complaints))
        yield dg.MaterializeResult(
            metadata=_metadata(slate, league, grades),
            check_results=[
                dg.AssetCheckResult(
                    passed=not complaints,
                    severity=dg.AssetCheckSeverity.WARN,
                    check_name=STEADY,
                    metadata={
                        "complaints": complaints,
                        "recent_slates": RECENT_SLATES,
                        **{f"{j.system}/recent_error": j.recent.mean_absolute_error or 0.0 for j in systems},
                        **{f"{j.system}/recent_bias": j.recent.bias or 0.0 for j in systems},
                    },
                )
            ],
        )


def _metadata(slate: str, league: str, grades: list[Grade]) -> dict[str, Any]:
    plotted = {
        f"{grade.label}/{name}": value
        for grade in grades
        for name, value in (
            ("mean_absolute_error", grade.mean_absolute_error),
            ("bias", grade.bias),
            ("brier_score", grade.brier_score),
            ("hit_rate", grade.hit_rate),
            ("coverage", grade.coverage),
        )
        if value is not None
    }
    ensemble = next((grade for grade in grades if grade.label == "ensemble"), None)
    deciles = ensemble.calibration if ensemble is not None else ()
    return {
        **plotted,
        "slate": slate,
        "league": league,
        "simulated": is_simulated(league),
        "dagster/partition_row_count": len(grades),
        "grades": table_of(
            [
                {
                    "system": g.label,
                    "players": g.players,
                    "voids": g.voids,
                    "mean absolute error": g.mean_absolute_error,
                    "bias": g.bias,
                    "lines": g.lines,
                    "Brier score": g.brier_score,
                    "bets": g.bets,
                    "hit rate": g.hit_rate,
                }
                for g in grades
            ]
        ),
        "ensemble_calibration": table_of(
            [
                {
                    "P(over) from": n / 10,
                    "lines": d.lines,
                    "predicted": d.predicted / d.lines,
                    "over": d.over / d.lines,
                }
                for n, d in enumerate(deciles)
                if d.lines
            ]
        ),
    }


def _steadiness(warehouse: Warehouse, slate: date, bias_limit: float) -> list[Steadiness]:
    """Compare every system that was graded on this slate with its own past."""
    history = stored_grades(warehouse, slate - _LOOKBACK, slate, PUBLISHED)
    return [
        steadiness(rows, bias_limit)
        for rows in history.values()
        if rows[-1]["game_date"] == slate and rows[-1]["system_version"]
    ]

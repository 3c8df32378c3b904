"""Grades of slates: published forecasts against the results in the warehouse, and each system against its own past.

Forecasts and results are read here and grades are stored. The measures are in :mod:`.forecasting.grading`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import PredictionAssetsError, ResultsMissing
from prediction_assets.nba.forecasting.by_game import FIRST_DAYS_OF_SEASON, groups_of
from prediction_assets.nba.forecasting.grading import (
    MARKET_LINE,
    Grade,
    grade_forecasts,
    grade_yardstick,
    pool,
    published_at_moments,
)
from prediction_assets.nba.roster import roster_candidates
from prediction_assets.nba.season import is_first_days
from prediction_assets.nba.slate_facts import read_slate_facts
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.markets import MARKETS, POINTS
from prediction_assets.stores.protocols import Upserted, Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import PREDICTION_GRADES

PUBLISHED, BACKTEST, CLOSING_LINE = "published", "backtest", "closing_line"
"""Origins of grades, with those of :func:`.grading.published_at_moments`."""

RECENT_SLATES = 10
"""Newest slates that a system is evaluated on: some 1,200 player-games, a mean absolute error within 0.13 points."""

EARLIER_SLATES = 60
"""Slates before those that it is compared with."""

LEAST_EARLIER_SLATES = 10

DRIFT_SHARE = 0.1
"""Growth of the mean absolute error that counts as drift: four standard errors of ten slates."""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How one system did on the newest slates, compared with its own past."""

    system: str
    recent: Grade  # pooled over the newest `RECENT_SLATES`
    earlier: Grade | None  # pooled over the `EARLIER_SLATES` before them; None if there are fewer than ten
    complaint: str  # what is wrong, '' if nothing is


@dataclass(frozen=True, slots=True)
class GradableSlate:
    """A consolidated slate: whether every game has logs, and whether its newest receipt was graded."""

    slate: str
    receipt_id: str
    has_results: bool
    is_graded: bool


def gradable(warehouse: Warehouse, since: date, until: date) -> list[GradableSlate]:
    """Return the consolidated slates between two dates, both included, oldest first."""
    rows = warehouse.query(queries.GRADABLE_SLATES, {"since": since, "until": until}).to_pylist()
    return [
        GradableSlate(r["game_date"].isoformat(), r["receipt_id"], r["has_results"], r["is_graded"])
        for r in rows
    ]


def results_of(warehouse: Warehouse, league: str, slate: date) -> dict[str, dict[tuple[str, int], float]]:
    """Return what every player who played has in each market, by its name and ``(game_id, player_id)``."""
    rows = warehouse.query(queries.RESULTS, {"league": league, "slate": slate}).to_pylist()
    return {
        market.name: {
            (row["game_id"], row["player_id"]): float(sum(row[stat] for stat in market.stats)) for row in rows
        }
        for market in MARKETS.values()
    }


def require_results(warehouse: Warehouse, slate: str) -> None:
    """Refuse a slate that has a game without logs."""
    counts = warehouse.query(queries.RESULTS_IN, {"slate": parse_slate(slate)}).to_pylist()[0]
    if not counts["games"] or counts["logged"] < counts["games"]:
        raise ResultsMissing(
            f"slate {slate}: {counts['logged']} of {counts['games']} games have game logs; ingest its game logs, "
            "then grade it"
        )


def grade_published(warehouse: Warehouse, slate: str) -> tuple[str, dict[str, list[Grade]]]:
    """Return the league of a slate's rows in force, and by origin a grade for each market and system.

    The rows in force; those that each player had first, and had when his game began; and the closing lines, of the
    players who ever had rows.

    Raises:
        ResultsMissing: a game has no logs.
        PredictionAssetsError: nothing of the slate is in force.
    """
    require_results(warehouse, slate)
    forecasts = warehouse.query(queries.PUBLISHED_FORECASTS, {"slate": parse_slate(slate)})
    if not forecasts.num_rows:
        raise PredictionAssetsError(
            f"slate {slate}: no predictions are in force; run the slate first: `prediction-assets run --slate {slate}`"
        )
    league, day = forecasts["league"][0].as_py(), parse_slate(slate)
    results = results_of(warehouse, league, day)
    ledger = warehouse.query(queries.LEDGER_FORECASTS, {"slate": day})
    # Offers after the tip-off don't count as main lines: once the games are played, this is the closing line.
    facts = read_slate_facts(warehouse, slate, league, MARKETS)
    groups = groups_of(
        roster_candidates(warehouse, league, day, facts.lines),
        day,
        is_first_days=is_first_days(warehouse, league, FIRST_DAYS_OF_SEASON)(day),
    )
    grades: dict[str, list[Grade]] = {}
    for market in pc.unique(ledger["market"]).to_pylist():
        lines = facts.lines if market == POINTS.name else facts.further[market]
        closing = {player: float(line.line) for player, line in lines.items()}
        played, of_market = results[market], ledger.filter(pc.equal(ledger["market"], market))
        tables = published_at_moments(of_market, facts.tip_offs)
        tables[PUBLISHED] = forecasts.filter(pc.equal(forecasts["market"], market))
        for origin, rows in tables.items():
            grades.setdefault(origin, []).extend(_grade(rows, played, closing, groups, market))
        offered = zip(of_market["game_id"].to_pylist(), of_market["player_id"].to_pylist(), strict=True)
        closing_of = {(game, player): closing[player] for game, player in offered if player in closing}
        if closing_of:
            closed = grade_yardstick(MARKET_LINE, closing_of, played, closing_of)
            grades.setdefault(CLOSING_LINE, []).append(replace(closed, market=market))
    return league, {origin: found for origin, found in grades.items() if found}


def _grade(
    forecasts: pa.Table,
    results: Mapping[tuple[str, int], float],
    closing: Mapping[int, float],
    groups: Mapping[str, Collection[int]],
    market: str,
) -> list[Grade]:
    found = grade_forecasts(forecasts, results, groups, closing)
    return [replace(grade, market=market) for grade in found]


def store_grades(
    warehouse: Warehouse,
    slate: date,
    grades: Sequence[Grade],
    *,
    origin: str,
    league: str,
    now: datetime,
    model_id: str = "",
    receipt_id: str = "",
) -> Upserted:
    """Store a slate's grades in place of its earlier ones of the same origin."""
    rows = [
        {
            **grade.to_row(),
            "game_date": slate,
            "origin": origin,
            "league": league,
            "model_id": model_id,
            "receipt_id": receipt_id,
            "graded_at": now,
        }
        for grade in grades
    ]
    return warehouse.upsert(
        PREDICTION_GRADES, PREDICTION_GRADES.arrow_table(rows), replace_by=("game_date", "origin")
    )


def stored_grades(
    warehouse: Warehouse, since: date, until: date, origin: str, market: str | None = POINTS.name
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the rows of ``prediction_grades`` between two slates, both included, by system, oldest first.

    Args:
        market: None for every one.
    """
    named = {"since": since, "until": until, "origin": origin, "market": market}
    rows = warehouse.query(queries.GRADES, named).to_pylist()
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["system"], []).append(row)
    return found


def steadiness(rows: Sequence[Mapping[str, Any]], bias_limit: float) -> Steadiness:
    """Compare one system's newest grades with its earlier ones.

    Args:
        rows: its rows of ``prediction_grades``, oldest first, at least one.
        bias_limit: tolerated bias, in points.
    """
    grades = [Grade.from_row(row) for row in rows if row["players"]]
    if not grades:
        return Steadiness(rows[-1]["system"], Grade.from_row(rows[-1]), None, "")
    recent = pool(grades[-RECENT_SLATES:])
    before = grades[-RECENT_SLATES - EARLIER_SLATES : -RECENT_SLATES]
    earlier = pool(before) if len(before) >= LEAST_EARLIER_SLATES else None
    complaints = []
    if recent.bias is not None and abs(recent.bias) > bias_limit:
        complaints.append(f"bias {recent.bias:+.2f} points, limit {bias_limit:g}")
    now = recent.mean_absolute_error
    then = earlier.mean_absolute_error if earlier is not None else None
    if now is not None and then is not None and now > then * (1 + DRIFT_SHARE):
        complaints.append(f"mean absolute error {now:.2f} points, {then:.2f} before")
    return Steadiness(recent.system, recent, earlier, "; ".join(complaints))

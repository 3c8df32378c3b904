"""The backtest: past slates forecast again, point in time, by the code that forecasts tonight's.

Each slate takes one query each for roster, features, lines and results, wherever it stands in the season; a model is
trained for each quarter. Nothing is staged or announced. The measures are in :mod:`.forecasting.grading`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import BadInput
from prediction_assets.nba.forecast import (
    AskedFeatures,
    lines_by_market,
    pinned_model,
    slate_features,
    with_newcomers,
)
from prediction_assets.nba.forecasting.by_game import FIRST_DAYS_OF_SEASON, groups_of
from prediction_assets.nba.forecasting.grading import (
    MARKET_LINE,
    Grade,
    grade_forecasts,
    grade_yardstick,
    naive_forecasts,
    pool,
)
from prediction_assets.nba.forecasting.lines import MARKET
from prediction_assets.nba.forecasting.predictions import PREDICTION_SCHEMA, predict_slate
from prediction_assets.nba.forecasting.stats import further_stats
from prediction_assets.nba.forecasting.systems import fit_all
from prediction_assets.nba.grades import BACKTEST, results_of, store_grades
from prediction_assets.nba.model_store import MODEL_ID, train_model
from prediction_assets.nba.roster import expected_players, roster_candidates
from prediction_assets.nba.season import is_first_days
from prediction_assets.nba.sides import EVER, newest_report, slate_sides
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.slate.markets import MARKETS, POINTS
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

_LINE = PREDICTION_SCHEMA.field("line_offset").type


@dataclass(frozen=True, slots=True)
class BacktestOptions:
    """How a backtest forecasts."""

    model_history_days: int  # days of game logs that a model is trained on
    history_days: int  # days of game logs that the systems are fitted on where no model is trained
    least_value: float  # expected value that a recommendation needs
    train: bool = True  # train a model for each quarter. False: fit the systems on each slate's own history.
    markets: tuple[str, ...] = (POINTS.name,)  # what is forecast; points always are
    # the time of day, US Eastern, of the newest injury report that a slate may know; None: of all
    reports_at: time | None = None


@dataclass(frozen=True, slots=True)
class GradedSlate:
    """One slate of a backtest: how many were expected, and the grades."""

    slate: date
    league: str
    model_id: str
    expected: int
    grades: tuple[Grade, ...]


def slates_between(warehouse: Warehouse, since: date, until: date) -> list[tuple[str, date]]:
    """Return ``(league, slate)`` of the scheduled slates between two dates, both included, oldest first.

    Raises:
        BadInput: there is none, or the dates are in the wrong order.
    """
    if until < since:
        raise BadInput("--to", f"{until} is before {since}", hint="give the earlier date to --from")
    rows = warehouse.query(queries.SLATES_BETWEEN, {"first": since, "last": until}).to_pylist()
    if not rows:
        raise BadInput(
            "--from, --to",
            f"the ingested schedule has no game from {since} to {until}",
            hint="ingest the schedule that does: `prediction-assets ingest --schedule FILE`",
        )
    return [(row["league"], row["game_date"]) for row in rows]


def run_backtest(
    warehouse: Warehouse,
    since: date,
    until: date,
    options: BacktestOptions,
    *,
    write: bool,
    now: Callable[[], datetime],
    on_model: Callable[[str, date], None] = lambda league, cutoff: None,
) -> Iterator[GradedSlate]:
    """Yield each slate's grades, oldest first; a slate without any game log is left out.

    Args:
        write: store the grades, with the origin ``backtest``.
        now: returns the time that is stored with grades and models.
        on_model: called before the model of a quarter is trained or found.
    """
    models: dict[tuple[str, date], str] = {}
    begins: dict[str, Callable[[date], bool]] = {}
    for league, slate in slates_between(warehouse, since, until):
        results = results_of(warehouse, league, slate)
        if not results[POINTS.name]:
            continue
        model = ""
        if options.train:
            cutoff = quarter(slate)
            if (league, cutoff) not in models:
                on_model(league, cutoff)
                stats = further_stats(options.markets)
                row, _ = train_model(
                    warehouse, league, cutoff, options.model_history_days, now=now(), stats=stats
                )
                models[league, cutoff] = str(row[MODEL_ID])
            model = models[league, cutoff]
        if league not in begins:
            begins[league] = is_first_days(warehouse, league, FIRST_DAYS_OF_SEASON)
        first_days = begins[league](slate)
        done = grade_slate(warehouse, league, slate, results, options, model, is_first_days=first_days)
        if write and done.grades:
            store_grades(
                warehouse, slate, done.grades, origin=BACKTEST, league=league, now=now(), model_id=model
            )
        yield done


def quarter(slate: date) -> date:
    """Return the first day of the slate's quarter, the cut-off of its model; monthly models cost twice as much."""
    return slate.replace(month=(slate.month - 1) // 3 * 3 + 1, day=1)


def grade_slate(
    warehouse: Warehouse,
    league: str,
    slate: date,
    results: dict[str, dict[tuple[str, int], float]],
    options: BacktestOptions,
    model: str,
    *,
    is_first_days: bool,
) -> GradedSlate:
    """Return how every system, and every yardstick, did on one slate's expected players."""
    further = lines_by_market(warehouse, league, slate, options.markets)
    lines = further.pop(POINTS.name)
    candidates = roster_candidates(warehouse, league, slate, lines)
    expected = expected_players(candidates, slate, lines)
    ids, stats = [player.player_id for player in expected], further_stats(options.markets)
    players, history = slate_features(
        warehouse, AskedFeatures(league, slate, ids, options.history_days, model, stats)
    )
    players = with_newcomers(players, expected, lines, slate)
    until = datetime.combine(slate, options.reports_at, GAME_TIME_ZONE) if options.reports_at else EVER
    if not players.num_rows:
        return GradedSlate(slate, league, model, len(expected), ())
    forecasts = predict_slate(
        players,
        pinned_model(warehouse, players) or fit_all(history),
        lines,
        least_value=options.least_value,
        market_aware=True,
        further=further,
        sides=slate_sides(warehouse, league, slate, newest_report(warehouse, league, slate, until)),
    )
    at_main_line = forecasts.filter(pc.equal(forecasts["line_offset"], pa.scalar(Decimal(0), _LINE)))
    groups = groups_of(candidates, slate, is_first_days=is_first_days)
    grades: list[Grade] = []
    for market in (POINTS.name, *further):
        rows = at_main_line.filter(pc.equal(at_main_line["market"], market))
        found = grade_forecasts(rows, results[market], groups)
        offered = rows.filter(pc.equal(rows["line_source"], MARKET))
        lined = set(zip(offered["game_id"].to_pylist(), offered["player_id"].to_pylist(), strict=True))
        naive = naive_forecasts(players, MARKETS[market]).items()
        found += [grade_yardstick(name, said, results[market], lined) for name, said in naive]
        grades += [replace(grade, market=market) for grade in found]
    return GradedSlate(slate, league, model, len(expected), tuple(grades))


def pooled(grades: Iterable[Grade]) -> list[Grade]:
    """Return each system's grade over all slates: yardsticks, then systems, each by error; the line last."""
    by_system: dict[str, list[Grade]] = {}
    for grade in grades:
        by_system.setdefault(grade.system, []).append(grade)
    return sorted(
        (pool(found) for found in by_system.values()),
        key=lambda g: (g.system == MARKET_LINE, bool(g.system_version), -(g.mean_absolute_error or 0.0)),
    )

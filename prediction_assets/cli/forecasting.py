"""Commands about the forecasts themselves: ``train``, ``models``, ``grade`` and ``backtest``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from prediction_assets.cli.console import (
    CLOCK,
    PARTIAL,
    JsonOption,
    look_into_home,
    open_home,
    open_slate_run,
    say,
    say_json,
    standard_output,
)
from prediction_assets.errors import BadInput
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.markets import MARKETS

if TYPE_CHECKING:
    from prediction_assets.nba.forecasting.by_game import ByGame
    from prediction_assets.nba.forecasting.grading import Grade
    from prediction_assets.orchestration.slate_run import SlateRun

FromOption = Annotated[str, typer.Option("--from", metavar="DATE", help="the first slate, YYYY-MM-DD")]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="DATE", help="the last slate; default: the first one")
]


def span(since: str, until: str | None) -> tuple[date, date]:
    """Return the first and the last date of a span."""
    first = parse_slate(since, "--from")
    last = first if until is None else parse_slate(until, "--to")
    if last < first:
        raise BadInput("--to", f"{last} is before {first}", hint="give the earlier date to --from")
    return first, last


def train(
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="DATE", help="train on games before this date; default: all games"),
    ] = None,
) -> None:
    """Train a model, and try it against the one in force.

    Uses the last four years of games before the date. The same facts train nothing. Exit code 1 when the model is
    refused: the one in force stays.
    """
    config = {} if before is None else {"cutoff": parse_slate(before, "--before").isoformat()}
    with open_slate_run() as (_, runner):
        done = runner.train(**config)
    table = Table(title=f"model {done['model_id']}", show_header=False)
    for name in (
        "league", "cutoff", "newest_game", "trained_rows", "seasons", "data_hash", "trained_now", "promoted",
        "compared_with", "trial",
    ):  # fmt: skip
        table.add_row(name, str(done[name]))
    standard_output().print(table)
    if not done["promoted"]:
        say(f"refused: {done['problems']}; see `prediction-assets models`", err=True)
        raise typer.Exit(PARTIAL)


def models(as_json: JsonOption = False) -> None:
    """List the newest trained models and what became of each.

    A slate takes the newest promoted model whose cut-off isn't after it. The ensemble's mean absolute error beside the
    champion's is of slates that neither was fitted on.
    """
    from prediction_assets.stores.sql import queries

    with look_into_home() as (_, stores):
        rows = stores.warehouse.query(queries.NEWEST_MODELS).to_pylist()
    tried = [(row, json.loads(row["verdict"]) if row["verdict"] else None) for row in rows]
    if as_json:
        say_json([{**row, "verdict": verdict} for row, verdict in tried])
        return
    table = Table("cut-off", "league", "newest game", "became", "compared with", "ensemble beside it")
    table.add_column("model", no_wrap=True)
    for row, verdict in tried:
        became = "not tried" if verdict is None else "promoted" if row["is_promoted"] else "refused"
        compared = (verdict or {}).get("systems", {}).get("ensemble", {}).get("absolute_error")
        table.add_row(
            str(row["cutoff"]),
            row["league"],
            str(row["newest_game"] or ""),
            became,
            "" if verdict is None else verdict["champion"] or "a moving average",
            f"{compared['difference']:+.3f} +- {compared['standard_error']:.3f}" if compared else "",
            row["model_id"],
        )
    standard_output().print(table)
    for row, verdict in tried:
        for problem in (verdict or {}).get("problems", ()):
            say(f"{row['model_id']} refused: {problem}")


def grade(since: FromOption, until: ToOption = None, as_json: JsonOption = False) -> None:
    """Grade published slates against their results.

    Shows each system's results over all of them. Exit code 1 when a slate can't be graded yet, because one of its
    games has no game log.
    """
    first, last = span(since, until)
    with open_slate_run() as (_, runner):
        graded, waiting = grade_slates(runner, first, last)
    if not graded and not waiting:
        raise BadInput(
            "--from, --to",
            f"no slate was consolidated from {first} to {last}",
            hint="run one first: `prediction-assets run --slate DATE`, or see `prediction-assets backtest`",
        )
    _show(
        f"{len(graded)} slates, {first} .. {last}", [g for grades in graded.values() for g in grades], as_json
    )
    for slate in waiting:
        say(f"{slate}: not graded, one of its games has no game log yet", err=True)
    if waiting:
        raise typer.Exit(PARTIAL)


def grade_slates(runner: SlateRun, since: date, until: date) -> tuple[dict[str, list[Grade]], list[str]]:
    """Grade the consolidated slates between two dates, both included.

    Returns:
        each graded slate's grades, and the slates that still lack game logs.
    """
    from prediction_assets.nba.forecasting.grading import Grade
    from prediction_assets.nba.grades import PUBLISHED, gradable, stored_grades

    warehouse = runner.stores.warehouse
    slates = gradable(warehouse, since, until)
    for each in slates:
        if each.has_results:
            runner.grade(each.slate)
    graded: dict[str, list[Grade]] = {each.slate: [] for each in slates if each.has_results}
    for rows in stored_grades(warehouse, since, until, PUBLISHED, market=None).values():
        for row in rows:
            graded.setdefault(row["game_date"].isoformat(), []).append(Grade.from_row(row))
    return graded, [each.slate for each in slates if not each.has_results]


def backtest(
    since: FromOption,
    until: ToOption = None,
    write: Annotated[
        bool, typer.Option("--write/--no-write", help="store the grades in prediction_grades")
    ] = True,
    train: Annotated[
        bool,
        typer.Option(
            "--train/--no-train",
            help="train one model a quarter, or fit the systems on each slate's own history",
        ),
    ] = True,
    reports_at: Annotated[
        datetime,
        typer.Option(
            formats=["%H:%M"],
            metavar="TIME",
            help="use the injury reports until this time of the slate's day, US Eastern",
            show_default="17:30",
        ),
    ] = datetime(1900, 1, 1, 17, 30),
    as_json: JsonOption = False,
) -> None:
    """Forecast past slates again, and grade the forecasts.

    A slate's forecasts use only what was known before it. The systems are compared with simple means (season_mean,
    last_5_mean, last_game) and with the market's line. Nothing is staged, merged or announced.
    """
    from prediction_assets.nba.backtest import BacktestOptions, run_backtest
    from prediction_assets.nba.model_store import HISTORY_DAYS, MODEL_HISTORY_DAYS

    first, last = span(since, until)
    console = Console(stderr=True, soft_wrap=True)
    settings, stores = open_home()
    options = BacktestOptions(
        model_history_days=MODEL_HISTORY_DAYS,
        history_days=HISTORY_DAYS,
        least_value=settings.least_expected_value,
        train=train,
        markets=settings.markets,
        reports_at=reports_at.time(),
    )

    def on_model(league: str, cutoff: date) -> None:
        console.print(f"model of {league} before {cutoff} ...", highlight=False)

    graded = []
    for slate in run_backtest(
        stores.warehouse, first, last, options, write=write, now=CLOCK.now, on_model=on_model
    ):
        graded.append(slate)
        console.print(f"{slate.slate}: {slate.expected} expected", highlight=False)
    if not graded:
        raise BadInput(
            "--from, --to", f"no game from {first} to {last} has a game log", hint="ingest the game logs"
        )
    _show(
        f"{len(graded)} slates, {first} .. {last}, point-in-time",
        [grade for slate in graded for grade in slate.grades],
        as_json,
    )


def _show(title: str, grades: Sequence[Grade], as_json: bool) -> None:
    from prediction_assets.nba.backtest import pooled

    markets = {market: pooled([g for g in grades if g.market == market]) for market in MARKETS}
    markets = {market: by_system for market, by_system in markets.items() if by_system}
    if as_json:
        rows = [row for by_system in markets.values() for row in _rows(by_system)]
        say_json({"title": title, "grades": rows})
        return
    for market, by_system in markets.items():
        _show_market(title if len(markets) == 1 else f"{MARKETS[market].label}: {title}", by_system)


def _rows(by_system: Sequence[Grade]) -> list[dict[str, Any]]:
    line = next((g.line_error for g in by_system if g.system == "market_line"), None)
    return [_row(grade, line) for grade in by_system]


_SHOWN = {
    "players": ("players", 0), "MAE": ("mean_absolute_error", 4), "bias": ("bias", 3), "lines": ("line_players", 0),
    "MAE on lines": ("line_error", 4), "x line": ("error_to_line", 4), "Brier": ("brier_score", 4), "bets": ("bets", 0),
    "hit rate": ("hit_rate", 3), "return": ("mean_return", 3),
}  # fmt: skip
"""The columns of a table of grades: the value of each, and its digits."""


def _show_market(title: str, by_system: Sequence[Grade]) -> None:
    rows = _rows(by_system)
    table = Table("system", *(Column(name, justify="right") for name in _SHOWN), title=title)
    for row in rows:
        table.add_row(row["system"], *(_number(row[name], digits) for name, digits in _SHOWN.values()))
    standard_output().print(table)
    standard_output().print(
        _measures("with standard errors by game", {g.system: g.measures.get("all", {}) for g in by_system})
    )
    for grade in by_system:
        if grade.system == "ensemble":
            standard_output().print(_measures("the ensemble by group", grade.measures))
    for row in rows:
        if row["system"] == "ensemble" and row["lines"]:
            standard_output().print(_calibration(row))
            weight, error = row["own_weight"] or (0.0, 0.0)
            say(
                f"beside the market's, the ensemble's own log-odds of the over have a weight of {weight:.3f} +- "
                f"{error:.3f} on these {row['lines']:,} lines"
            )


def _measures(title: str, of: Mapping[str, Mapping[str, ByGame]]) -> Table:
    """Return means and their errors: a row for each measure, a column for each system or group that has any."""
    found = {name: measures for name, measures in of.items() if measures}
    columns = (Column(name, justify="right") for name in found)
    table = Table(Column("", no_wrap=True), *columns, title=title)
    table.add_row("players", *(f"{measures['absolute_error'].count:,}" for measures in found.values()))
    for shown, measure, digits in (
        ("MAE", "absolute_error", 3),
        ("less the ensemble's", "less_ensemble", 3),
        ("less the line's", "less_line", 3),
        ("CRPS", "crps", 3),
        ("80 % covers", "interval_80", 3),
        ("Brier less a coin's", "brier_less_coin", 4),
        ("hit rate", "hit_rate", 3),
        ("return", "mean_return", 3),
    ):
        table.add_row(shown, *(_with_error(measures[measure], digits) for measures in found.values()))
    return table


def _with_error(measure: ByGame, digits: int) -> str:
    error = measure.standard_error
    return _number(measure.mean, digits) + ("" if error is None else f" +- {error:.{digits}f}")


def _calibration(row: Mapping[str, Any]) -> Table:
    columns = (Column(name, justify="right") for name in ("P(over) from", "lines", "predicted", "over"))
    table = Table(*columns, title="calibration of the ensemble's P(over) on market lines")
    for tenth, decile in enumerate(row["calibration"]):
        if decile["lines"]:
            n = decile["lines"]
            table.add_row(
                f"{tenth / 10:.1f}", f"{n:,}", f"{decile['predicted'] / n:.3f}", f"{decile['over'] / n:.3f}"
            )
    return table


def _row(grade: Grade, line: float | None) -> dict[str, Any]:
    row = grade.to_row()
    ratio = grade.line_error / line if grade.line_error is not None and line else None
    return {
        **row,
        "calibration": json.loads(row["calibration"]),
        "measures": {
            group: {
                name: {"players": each.count, "mean": each.mean, "standard_error": each.standard_error}
                for name, each in by_name.items()
            }
            for group, by_name in grade.measures.items()
        },
        "error_to_line": ratio,
        "mean_return": grade.mean_return,
        "own_weight": grade.own_weight,
    }


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"

"""``coverage``: which facts and results each date of a season has."""

from __future__ import annotations

import typer
from rich.table import Table

from prediction_assets.cli.console import (
    CLOCK,
    PARTIAL,
    JsonOption,
    look_into_home,
    say,
    say_json,
    standard_output,
)
from prediction_assets.cli.forecasting import FromOption, ToOption, span
from prediction_assets.slate.keys import GAME_TIME_ZONE

_SIGNS = {"complete": "+", "partial": "~", "missing": "MISSING", "may be empty": "."}


def coverage(since: FromOption, until: ToOption = None, as_json: JsonOption = False) -> None:
    """Show what each date has, and what is missing.

    A date per row: schedule, game logs, lines, roster, predictions, message, grades. + complete, ~ partial, . may be
    empty. Exit code 1 when something is missing.
    """
    from prediction_assets.monitoring.coverage import COLUMNS  # fmt: skip
    from prediction_assets.monitoring.coverage import coverage as covered

    first, last = span(since, until)
    with look_into_home() as (_, stores):
        days = covered(
            stores.warehouse, stores.outbox, first, last, CLOCK.now().astimezone(GAME_TIME_ZONE).date()
        )
    lacking = [day for day in days if day.missing]
    if as_json:
        grid = [
            {"slate": day.slate, "games": day.games, **day.cells, "missing": list(day.missing)}
            for day in days
        ]
        say_json(grid)
    else:
        table = Table("slate", "games", *COLUMNS)
        for day in days:
            table.add_row(day.slate, str(day.games), *(_SIGNS[day.cells[name]] for name in COLUMNS))
        standard_output().print(table)
        say(f"{len(days)} dates, {len(lacking)} lack something")
        for name in COLUMNS:
            without = [day.slate for day in lacking if name in day.missing]
            if without:
                say(f"  {name}: {len(without)} dates, from {without[0]} to {without[-1]}")
    if lacking:
        raise typer.Exit(PARTIAL)

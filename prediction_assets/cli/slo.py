"""``slo``: the share of slates that phase 6 had before their games began."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.table import Table

from prediction_assets.cli.console import CLOCK, JsonOption, look_into_home, say, say_json, standard_output
from prediction_assets.cli.forecasting import FromOption, ToOption, span
from prediction_assets.slate.keys import GAME_TIME_ZONE


def slo(since: FromOption, until: ToOption = None, as_json: JsonOption = False) -> None:
    """Show each month's share of slates in time.

    Published, acknowledged by phase 6, and acknowledged before tip-off, of the slates with games from the first
    receipt up to yesterday. The newest lines say when the first game began; without lines it is noon Eastern.
    """
    from prediction_assets.monitoring.slo import read_months

    first, last = span(since, until)
    with look_into_home() as (_, stores):
        today = CLOCK.now().astimezone(GAME_TIME_ZONE).date()
        found = read_months(stores.warehouse, stores.outbox, first, last, today)
    if as_json:
        say_json([asdict(month) for month in found])
        return
    table = Table("month", "slates", "published", "acknowledged", "before tip-off")
    for month in found:
        counts = (month.published, month.acknowledged, month.before_tip_off)
        table.add_row(
            month.month, str(month.slates), *(f"{count} ({count / month.slates:.0%})" for count in counts)
        )
    standard_output().print(table)
    for month in found:
        if month.late:
            say(f"  {month.month}, not before tip-off: {', '.join(month.late)}")
    if not found:
        typer.echo("no slate with games since the first receipt", err=True)

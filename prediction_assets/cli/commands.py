"""The application: every command in its panel of the help."""

from __future__ import annotations

from copy import copy
from typing import Annotated

import typer
from typer.main import get_command_name

from prediction_assets import __version__
from prediction_assets.cli import (
    alerts,
    backfill,
    board,
    coverage,
    dead_letters,
    dev,
    forecasting,
    gcp,
    health,
    ledger,
    maintenance,
    quarantine,
    refresh,
    repair,
    slates,
    slo,
)
from prediction_assets.cli.console import Commands, say
from prediction_assets.logs import configure_logging
from prediction_assets.orchestration.run_tags import labels_of
from prediction_assets.settings import load_log_settings

app = Commands(
    name="prediction-assets",
    help="Turn tonight's NBA slate into points predictions, safely, every game day.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_DAILY, _RECORD, _REPAIR = "Every day", "What was published", "When something is wrong"
_MODEL, _INSTALLATION = "Forecasts", "Installation"
_COMMANDS = {
    _DAILY: (
        slates.run,
        slates.ingest,
        slates.status,
        slates.messages,
        refresh.refresh,
        health.health,
        coverage.coverage,
        slo.slo,
        backfill.backfill,
        dev.dev,
    ),
    _RECORD: (ledger.predictions, board.board, ledger.diff, board.why, ledger.verify),
    _REPAIR: (repair.consolidate, repair.revert, repair.republish, repair.acknowledge, repair.clean_up),
    _MODEL: (forecasting.train, forecasting.models, forecasting.grade, forecasting.backtest),
    _INSTALLATION: (maintenance.prune, maintenance.migrate),
}
for panel, commands in _COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(alerts.app, name="alerts", rich_help_panel=_REPAIR)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=_REPAIR)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=_REPAIR)
app.add_typer(gcp.app, name="gcp", rich_help_panel=_INSTALLATION)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        say(__version__)
        raise typer.Exit
    configure_logging(load_log_settings(), labels_of)


def only(named: str) -> Commands:
    """Return the application with the named command alone, for which Typer makes no parsers of the forty others.

    Without such a command it is the whole application.
    """
    chosen = copy(app)
    chosen.registered_groups = [each for each in app.registered_groups if each.name == named]
    chosen.registered_commands = [
        each for each in app.registered_commands
        if each.callback is not None and get_command_name(each.callback.__name__) == named
    ]  # fmt: skip
    return chosen if chosen.registered_groups or chosen.registered_commands else app

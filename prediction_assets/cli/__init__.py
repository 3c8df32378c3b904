"""The command line: one module for each group of commands, and what they share in :mod:`.console`.

A command reads the settings, runs the jobs that the sensors request or reads the stores, and prints the result. What
doesn't belong here: a rule or an effect of its own. Exit codes: 0 done, 1 done but partial, 2 failed; an error is one
line on standard error. Dagster takes seconds to import, so commands import it only where they need it.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from copy import copy
from typing import Annotated, NoReturn

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
from prediction_assets.cli.console import FAILED, Commands, say
from prediction_assets.errors import PredictionAssetsError, one_line
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


def _only(named: str) -> Commands:
    """Return the application with the named command alone, for which Typer makes no parsers of the forty others.

    Without such a command it is the whole application.
    """
    only = copy(app)
    only.registered_groups = [each for each in app.registered_groups if each.name == named]
    only.registered_commands = [
        each for each in app.registered_commands
        if each.callback is not None and get_command_name(each.callback.__name__) == named
    ]  # fmt: skip
    return only if only.registered_groups or only.registered_commands else app


_ALLOCATIONS_PER_COLLECTION = 50_000


def main() -> None:
    """Run the command line; every error becomes one line and exit code 2."""
    # Dagster's import makes many objects that live as long as the process: collecting them frees nothing.
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
    # pydantic would read the metadata of every installed package, in case one of them is a plugin of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        _only("".join(sys.argv[1:2]))()
    except PredictionAssetsError as error:
        say(f"error: {error}", err=True)
    except Exception as error:  # noqa: BLE001  the traceback is in the Dagster run; the terminal gets one line
        text = one_line(str(error)) or "no message"
        say(
            f"error: unexpected {type(error).__name__}: {text}; the traceback is in the failed run, see "
            "`prediction-assets dev`, Runs. Steps that were done stay done; run the command again",
            err=True,
        )
    else:
        return
    sys.exit(FAILED)


def script() -> NoReturn:
    """Run :func:`main` as a process of its own, and end it without freeing a quarter of a million objects one by one.

    What is registered for the end runs first: connections are closed, logs written.
    """
    try:
        main()
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        code = ended.code
    else:
        code = 0
    atexit._run_exitfuncs()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None where it was closed before the start
            stream.flush()
    except OSError:  # Python says what it couldn't write, and has an exit code for it
        sys.exit(code)
    os._exit(code)

"""What every command shares: exit codes, options, the opened home and how things are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from prediction_assets.settings import Settings, load_settings
from prediction_assets.slate.keys import parse_slate

if TYPE_CHECKING:
    from prediction_assets.orchestration.slate_run import SlateRun

PARTIAL, FAILED = 1, 2


def _a_date(slate: str | None) -> str | None:
    """Refuse what is no date before a command opens anything."""
    if slate is not None:
        parse_slate(slate)
    return slate


def _slate(default: str = "") -> Any:
    """Return the option ``--slate``; ``default`` says what the command takes without it."""
    said = f"; default: {default}" if default else ""
    return typer.Option(
        "--slate", metavar="DATE", help=f"the games' date, YYYY-MM-DD{said}", callback=_a_date
    )


NewestSlateOption = Annotated[str | None, _slate("newest with games up to today")]
TonightOption = Annotated[str | None, _slate("tonight")]
EverySlateOption = Annotated[str | None, _slate("all")]
RequiredSlateOption = Annotated[str, _slate()]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="say what it would do and change nothing")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


@contextmanager
def open_slate_run(
    settings: Settings | None = None, *, capture_output: bool = False
) -> Iterator[tuple[Settings, SlateRun]]:
    """Open the home. Dagster takes seconds to import, so `--help` and a bad argument don't wait for it.

    Args:
        settings: the process's settings, if the command has loaded them already.
        capture_output: see :func:`~prediction_assets.orchestration.instance.open_instance`.
    """
    settings = settings or load_settings()
    # Dagster's own switch: it stores the planned events of a range, and ours of its players, in batches.
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "500")
    from prediction_assets.orchestration.instance import open_instance
    from prediction_assets.orchestration.slate_run import SlateRun

    with open_instance(settings, capture_output=capture_output) as instance:
        yield settings, SlateRun(settings, instance)


def standard_output() -> Console:
    """Return standard output; a pipe or a file gets whole lines, not the width of a terminal that isn't there."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def simulated_label(league: str) -> str:
    """Return what follows a slate's date wherever it is shown: nothing for real games."""
    from prediction_assets.slate.keys import is_simulated

    return " (simulated league)" if is_simulated(league) else ""

"""What the commands share: exit codes, options, opening the home, and printing."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core
from rich.console import Console
from rich.text import Text
from typer.models import CommandFunctionType

from prediction_assets.errors import BadInput, plain
from prediction_assets.settings import Settings, load_settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate

if TYPE_CHECKING:
    from prediction_assets.orchestration.slate_run import SlateRun
    from prediction_assets.stores.profiles import Stores
    from prediction_assets.stores.protocols import Warehouse

PARTIAL, FAILED = 1, 2

CLOCK = Clock()
"""The clock of every command."""


class _Command(typer.core.TyperCommand):
    """A command that refuses an option that is given twice; the last one would count, and the others be lost."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        *_, given = self.make_parser(ctx).parse_args(args=[*args])
        for option in {*given}:
            is_single = isinstance(option, typer.core.TyperOption) and not (option.multiple or option.is_flag)
            if is_single and given.count(option) > 1:
                raise BadInput(option.opts[-1], "is there more than once", hint="give it once")
        return super().parse_args(ctx, args)


class Commands(typer.Typer):
    def command(self, *args: Any, **options: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        return super().command(*args, cls=_Command, **options)


def _a_date(slate: str | None) -> str | None:
    """Refuse a slate that is no date before the command opens anything."""
    if slate is not None:
        parse_slate(slate)
    return slate


def _slate(default: str = "") -> Any:
    """Return the option ``--slate``; ``default`` names the slate that the command takes without it."""
    suffix = f"; default: {default}" if default else ""
    return typer.Option(
        "--slate", metavar="DATE", help=f"the games' date, YYYY-MM-DD{suffix}", callback=_a_date
    )


NewestSlateOption = Annotated[str | None, _slate("newest with games up to today")]
TonightOption = Annotated[str | None, _slate("tonight")]
EverySlateOption = Annotated[str | None, _slate("all")]
RequiredSlateOption = Annotated[str, _slate()]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="say what it would do and change nothing")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


def open_home() -> tuple[Settings, Stores]:
    """Return the settings and the stores of the home, for a command that starts no run.

    Raises:
        SchemaTooNew: a newer version made or migrated a store; nothing was created.
    """
    from prediction_assets.stores.profiles import make_home, open_stores, refuse_newer

    settings = load_settings()
    refuse_newer(settings)
    make_home(settings)
    return settings, open_stores(settings)


@contextmanager
def look_into_home(settings: Settings | None = None) -> Iterator[tuple[Settings, Stores]]:
    """Open the stores of the home for a command that only reads: it creates nothing there.

    A store that isn't there yet is read as an empty one, and the home that was looked in is named on standard error.
    """
    from prediction_assets.stores.profiles import empty_stores, missing_stores, open_stores, refuse_newer

    settings = settings or load_settings()
    refuse_newer(settings)
    missing = missing_stores(settings)
    if not missing:
        yield settings, open_stores(settings)
        return
    typer.echo(
        f"{settings.home}: nothing of {', '.join(missing)} is here yet; PREDICTION_ASSETS_HOME names the home",
        err=True,
    )
    with empty_stores(settings) as empty:
        yield settings, open_stores(settings, **{name: getattr(empty, name) for name in missing})


@contextmanager
def _uncollected() -> Iterator[None]:
    """Import without collecting garbage: what is imported lives as long as the process, and isn't looked at again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@contextmanager
def open_slate_run(settings: Settings | None = None) -> Iterator[tuple[Settings, SlateRun]]:
    """Open the home and its Dagster instance, for a command that starts runs."""
    settings = settings or load_settings()
    # Dagster's own switch: it stores the planned events of a range, and ours of its players, in batches.
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "500")
    with _uncollected():
        from prediction_assets.stores.profiles import refuse_newer
        from prediction_assets.stores.without import without

        refuse_newer(settings)
        with without("pygments"):  # it would color tracebacks and templates, which a command doesn't print
            from prediction_assets.orchestration import instance_storage  # noqa: F401  the opening imports it
            from prediction_assets.orchestration.instance import open_instance
            from prediction_assets.orchestration.slate_run import SlateRun

    # Outside, because modules that only this instance names may need pygments.
    with open_instance(settings, capture_output=False) as instance:
        yield settings, SlateRun(settings, instance)


def newest_slate(warehouse: Warehouse) -> str:
    """Return the newest slate with games up to today, which a command takes when none is named."""
    from prediction_assets.nba.tonight import default_slate

    return default_slate(warehouse, CLOCK.now().astimezone(GAME_TIME_ZONE).date(), tonight=False)


def has_facts(warehouse: Warehouse, league: str | None = None) -> bool:
    """Return whether a league, or any league, has what a slate is made from.

    That is a schedule and game logs. A simulated league's lines are part of it, too: an ingestion that was stopped
    between them and the games is done again.
    """
    from prediction_assets.slate.keys import is_simulated
    from prediction_assets.stores.sql import queries
    from prediction_assets.stores.sql.tables import GAME_LOGS, PROP_LINES, SCHEDULE

    held: dict[str, set[str]] = {}
    for row in warehouse.query(queries.LEAGUES_HELD).to_pylist():
        held.setdefault(row["league"], set()).add(row["facts"])
    games = {GAME_LOGS.name, SCHEDULE.name}
    whole = {
        name
        for name, facts in held.items()
        if facts >= games and (PROP_LINES.name in facts or not is_simulated(name))
    }
    return league in whole if league is not None else bool(whole)


class _Terminal(Console):
    """A console on which a name is only its letters: no mark-up, no emoji, no control characters."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(plain(text), **options)


def standard_output() -> Console:
    """Return standard output; lines to a pipe or a file are 140 characters wide."""
    return _Terminal(markup=False, emoji=False, width=None if sys.stdout.isatty() else 140)


def say(text: str, *, err: bool = False) -> None:
    """Print lines that may hold facts to standard output, or to standard error."""
    typer.echo(plain(text), err=err)


def say_json(value: Any) -> None:
    """Print a value as JSON; dates and what else JSON doesn't know as text."""
    say(json.dumps(value, indent=2, default=str))


def simulated_label(league: str) -> str:
    """Return the label that follows a simulated slate's date, nothing for real games."""
    from prediction_assets.slate.keys import is_simulated

    return " (simulated league)" if is_simulated(league) else ""


def write_output(path: Path, content: str | bytes) -> None:
    """Write the file of ``--output``; it appears when it is whole."""
    from prediction_assets.stores.local.files import replace_file

    if not path.absolute().parent.is_dir():
        raise BadInput("--output", f"{path.parent} is no folder", hint="create it first")
    try:
        replace_file(path.absolute(), content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise BadInput(
            "--output", f"{path}: {error.strerror}", hint="name a file that can be written"
        ) from error

"""The command line: the same assets, in process, on the same Dagster instance as the UI.

Commands are thin: they read settings, call :mod:`prediction_assets.slate_run` and show what came of it.
Exit codes: 0 done, 1 finished but partial, 2 failed; every error of ours is one line on standard error.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from prediction_assets import __version__
from prediction_assets.errors import BadInput, PredictionAssetsError
from prediction_assets.keys import parse_slate
from prediction_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from prediction_assets.batch_state.port import Progress as BatchProgress
    from prediction_assets.slate_run import SlateResult, SlateRun

DONE, PARTIAL, FAILED = 0, 1, 2

app = typer.Typer(
    name="prediction-assets",
    help="Turn tonight's NBA slate into points predictions, safely, every game day.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SlateOption = Annotated[
    str | None, typer.Option("--slate", metavar="DATE", help="the games' date, YYYY-MM-DD")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
GameLogsOption = Annotated[
    Path | None, typer.Option("--game-logs", metavar="PATH", help="Parquet, CSV(.gz), or a folder of them")
]
PropLinesOption = Annotated[Path | None, typer.Option("--prop-lines", metavar="PATH", help="prop lines")]
ScheduleOption = Annotated[Path | None, typer.Option("--schedule", metavar="PATH", help="the schedule")]
SimulatedOption = Annotated[
    int | None,
    typer.Option(
        "--simulated-players", metavar="N", help="a simulated league whose slate expects N players, 1 to 5000"
    ),
]


@app.command()
def run(
    slate: SlateOption = None,
    game_logs: GameLogsOption = None,
    prop_lines: PropLinesOption = None,
    schedule: ScheduleOption = None,
    simulated_players: SimulatedOption = None,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="take new facts over into a batch that is open already")
    ] = False,
) -> None:
    """Carry one slate from its facts to its completion.

    Without --slate: the newest slate up to today that the schedule has games on. Without any facts, in this
    command or in the home: the simulated league.
    """
    files = {"game_logs": game_logs, "schedule": schedule, "prop_lines": prop_lines}
    if simulated_players is not None and any(files.values()):
        raise BadInput("--simulated-players", "can't be combined with files", hint="choose one of them")
    if slate is not None:
        parse_slate(slate)
        _require_simulated_slate(slate, simulated_players)
    console = Console(stderr=True, soft_wrap=True)
    with _slate_run() as (settings, runner), _stages(console, runner) as on_stage:
        facts, slate = _facts(settings, runner, files, simulated_players, slate)
        if facts:
            on_stage("ingest", None)
            runner.ingest(facts)
        chosen = slate or runner.default_slate()
        result = runner.whole(chosen, reopen=reopen, on_stage=on_stage)
    _show_summary(result)
    if result.receipt is not None and result.receipt.status != "success":
        raise typer.Exit(PARTIAL)


@app.command()
def ingest(
    game_logs: GameLogsOption = None,
    prop_lines: PropLinesOption = None,
    schedule: ScheduleOption = None,
    season: Annotated[
        str | None,
        typer.Option(
            "--season",
            metavar="YYYY-YY",
            help="game logs and schedule of a season, from stats.nba.com (extra: live)",
        ),
    ] = None,
    simulated_players: SimulatedOption = None,
) -> None:
    """Ingest facts; the same file again changes nothing, a corrected row replaces the old one."""
    files = {"game_logs": game_logs, "schedule": schedule, "prop_lines": prop_lines}
    if simulated_players is None and season is None and not any(files.values()):
        raise BadInput(
            "ingest",
            "nothing to ingest",
            hint="name at least one of --game-logs, --schedule, --prop-lines, --season",
        )
    if simulated_players is not None and any(files.values()):
        raise BadInput("--simulated-players", "can't be combined with files", hint="choose one of them")
    if simulated_players is not None and season is not None:
        raise BadInput("--simulated-players", "can't be combined with --season", hint="choose one of them")
    with _slate_run() as (settings, runner):
        if season is not None:
            live = {name: {"season": season} for name in ("game_logs", "schedule")}
            facts = live | _given(files)
        else:
            facts, _ = _facts(settings, runner, files, simulated_players, None)
        ingested = runner.ingest(facts)
    table = Table("facts", "inserted", "updated", "unchanged", "replaced", "unresolved names")
    for name, counts in ingested.items():
        cells = ("rows_inserted", "rows_updated", "rows_unchanged", "rows_replaced", "unresolved_names")
        table.add_row(name, *(f"{counts.get(cell, 0):,}" for cell in cells))
    _console().print(table)


@app.command()
def status(slate: SlateOption = None, as_json: JsonOption = False) -> None:
    """Say where a slate stands: batch, outcomes, receipt, events and what is left in staging."""
    with _slate_run() as (_, runner):
        chosen = slate or runner.default_slate()
        parse_slate(chosen)
        report = _status(runner, chosen)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    table = Table(title=f"slate {chosen}{_simulated(report['league'])}", show_header=False)
    for name, value in report.items():
        table.add_row(name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
    _console().print(table)


@app.command()
def messages(slate: SlateOption = None, as_json: JsonOption = False) -> None:
    """List the Phase 5 completions, oldest first."""
    if slate is not None:
        parse_slate(slate)
    with _slate_run() as (_, runner):
        entries = runner.events(slate)
    if as_json:
        typer.echo(json.dumps([{**e.message, "message_id": e.message_id} for e in entries], indent=2))
        return
    table = Table("slate", "status", "players", "rows", "inserted, updated, unchanged, superseded")
    table.add_column("event id", no_wrap=True)
    for entry in entries:
        m = entry.message
        changes = ("rows_inserted", "rows_updated", "rows_unchanged", "rows_superseded")
        table.add_row(
            m["slate"] + _simulated(m["league"]),
            m["status"] if entry.message_id else f"{m['status']}, not delivered yet",
            f"{m['staged_players']} of {m['expected_players']}",
            f"{m['rows']:,}",
            ", ".join(f"{m[name]:,}" for name in changes),
            m["event_id"],
        )
    _console().print(table)


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="port of the UI")] = 3000,
    host: Annotated[str, typer.Option(help="the UI has no login: keep it on this machine")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI with the daemon; the sensors carry a slate from slate_roster to its completion.

    A home without facts gets the simulated league first.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(
                "--port", f"{host}:{port}: {error.strerror}", hint="name another with --port"
            ) from error
    with _slate_run() as (settings, runner):
        if not runner.has_facts():
            simulated = {"simulated_players": settings.simulated_players}
            runner.ingest(dict.fromkeys(("game_logs", "schedule", "prop_lines"), simulated))
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    os.environ["PREDICTION_ASSETS_HOME"] = str(settings.home)
    command = [sys.executable, "-m", "dagster", "dev", "-m", "prediction_assets.definitions"]
    os.execv(sys.executable, [*command, "-h", host, "-p", str(port)])  # noqa: S606  our own arguments, no shell


gcp_app = typer.Typer(help="Prepare the Google Cloud project of the gcp profile.", no_args_is_help=True)
app.add_typer(gcp_app, name="gcp")


@gcp_app.command("set-up")
def gcp_set_up() -> None:
    """Create the datasets, tables, topics and subscriptions that are missing; safe to repeat."""
    settings = _gcp_settings()
    from prediction_assets.gcp_resources import gcp_resources

    stores = gcp_resources(settings)
    stores["warehouse"].port.set_up()
    typer.echo(f"BigQuery: datasets and tables of {stores['warehouse'].port.output_table} are as declared")
    done = stores["messaging"].set_up()
    for path in (done.topic, done.subscription, done.dead_letter_topic, done.dead_letter_subscription):
        state = (
            "created"
            if path in done.created
            else "brought in line"
            if path in done.mended
            else "as it should be"
        )
        typer.echo(f"Pub/Sub: {path}: {state}")


@gcp_app.command("smoke-test")
def gcp_smoke_test() -> None:
    """Check on the real project what no emulator can show; works in datasets and topics named smoke_*."""
    settings = _gcp_settings()
    from prediction_assets.gcp_smoke import smoke_test

    problems = 0
    for finding in smoke_test(settings):
        problems += bool(finding.problem)
        typer.echo(
            f"{'FAILED' if finding.problem else 'ok':<7} {finding.name}" + f": {finding.problem}".rstrip(": ")
        )
    if problems:
        raise typer.Exit(FAILED)


def _gcp_settings() -> Settings:
    settings = load_settings()
    if settings.profile != "gcp":
        raise BadInput(
            "PREDICTION_ASSETS_PROFILE", f"{settings.profile!r} uses no project", hint="set it to gcp"
        )
    return settings


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; every error becomes one line and exit code 2."""
    try:
        app()
    except PredictionAssetsError as error:
        typer.echo(f"error: {error}", err=True)
    except Exception as error:  # noqa: BLE001  the traceback is in the Dagster run; a person gets one line
        text = " ".join(str(error).split()) or "no message"
        typer.echo(
            f"error: unexpected {type(error).__name__}: {text}; the traceback is in the failed run, see "
            "`prediction-assets dev`, Runs. What was done before it stays; run the command again",
            err=True,
        )
    else:
        return
    sys.exit(FAILED)


@contextmanager
def _slate_run() -> Iterator[tuple[Settings, SlateRun]]:
    """Open the home. Dagster takes seconds to import, so `--help` and a bad argument don't wait for it."""
    settings = load_settings()
    from prediction_assets.instance import open_instance
    from prediction_assets.slate_run import SlateRun

    with open_instance(settings) as instance:
        yield settings, SlateRun(settings, instance)


def _require_simulated_slate(slate: str, simulated_players: int | None) -> None:
    if simulated_players is None:
        return
    from prediction_assets.simulation.league import simulated_slate

    simulated = simulated_slate(simulated_players).isoformat()
    if slate != simulated:
        raise BadInput(
            "--slate",
            f"{slate} is not the slate of the simulated league of {simulated_players} ({simulated})",
            hint="leave out --slate or --simulated-players",
        )


def _given(files: dict[str, Path | None]) -> dict[str, dict[str, Any]]:
    """Return the config of the facts whose files were named."""
    return {
        name: {"path": str(path.expanduser().absolute())} for name, path in files.items() if path is not None
    }


def _facts(
    settings: Settings,
    runner: SlateRun,
    files: dict[str, Path | None],
    simulated_players: int | None,
    slate: str | None,
) -> tuple[dict[str, dict[str, Any]], str | None]:
    """Return what to ingest, and the slate if the facts decide it."""
    given = _given(files)
    if given:
        return given, slate
    configured: dict[str, dict[str, Any]] = {
        name: {} for name in files if getattr(settings, name) is not None
    }
    if simulated_players is None and (configured or runner.has_facts()):
        return configured, slate
    from prediction_assets.simulation.league import simulated_slate

    expected = settings.simulated_players if simulated_players is None else simulated_players
    return (
        {name: {"simulated_players": expected} for name in files},
        slate or simulated_slate(expected).isoformat(),
    )


@contextmanager
def _stages(console: Console, runner: SlateRun) -> Iterator[Any]:
    """Show the stages as they start, and how many players have settled while they are staged."""
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=False, disable=not console.is_terminal,
    )  # fmt: skip
    stop = threading.Event()
    # Each look reads every outcome of the slate, which Firestore bills.
    pause = 0.2 if runner.profile == "local" else 5.0
    watched: tuple[str, TaskID, datetime] | None = None  # replaced as a whole: two threads see it

    def watch() -> None:
        while not stop.wait(pause):
            if watched is not None:
                slate, task, since = watched
                bar.update(task, completed=runner.settled_since(slate, since))

    def on_stage(stage: str, progress: BatchProgress | None) -> None:
        nonlocal watched
        watched = None
        for task in bar.task_ids:
            bar.update(task, completed=bar.tasks[task].total)
        total = len(progress.batch.expected) if progress is not None and stage == "staging" else 1
        task = bar.add_task(stage, total=total)
        if progress is not None and stage == "staging":
            watched = (progress.batch.slate, task, runner.now())
        if not console.is_terminal:
            console.print(f"{stage} ...", highlight=False)

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    with bar:
        watcher.start()
        try:
            yield on_stage
            for task in bar.task_ids:
                bar.update(task, completed=bar.tasks[task].total)
        finally:
            stop.set()
            watcher.join()


def _console() -> Console:
    """Return standard output; a pipe or a file gets whole lines, not the width of a terminal that isn't there."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def _simulated(league: str) -> str:
    return " (simulated league)" if league.startswith("simulated") else ""


def _status(runner: SlateRun, slate: str) -> dict[str, Any]:
    progress = runner.progress(slate)
    report: dict[str, Any] = {"slate": slate, "league": "", "batch": "not open"}
    if progress is None:
        return report
    batch = progress.batch
    receipt = next(reversed(runner.warehouse.receipts(slate)), None)
    by_outcome = {
        outcome: sum(c.outcome.value == outcome for c in progress.completions.values())
        for outcome in ("staged", "skipped", "failed")
    }
    events = runner.events(slate)
    report |= {
        "league": batch.league,
        "batch": batch.batch_id,
        "deadline": batch.deadline.isoformat(timespec="seconds"),
        "games": batch.games,
        "expected_players": len(batch.expected),
        **{f"{name}_players": count for name, count in by_outcome.items()},
        "unsettled_players": len(progress.unsettled),
        "missing": [
            f"{slug}: {c.outcome.value}: {c.reason}"
            for slug, c in sorted(progress.completions.items())
            if c.part is None
        ],
        "feature_snapshot": progress.feature_snapshot,
        "receipt": None if receipt is None else receipt.receipt_id,
        "status": None if receipt is None else receipt.status,
        "revision": None if receipt is None else receipt.revision,
        "rows": 0 if receipt is None else receipt.rows,
        "events_published": sum(e.message_id is not None for e in events),
        "events_pending": sum(e.message_id is None for e in events),
        "parts_in_staging": len(runner.warehouse.parts.staged(slate)),
        "next_step": runner.next_step(progress),
    }
    return report


def _show_summary(result: SlateResult) -> None:
    batch, receipt, event = result.progress.batch, result.receipt, result.event
    table = Table(title=f"slate {batch.slate}{_simulated(batch.league)}", show_header=False)
    if receipt is None or event is None:
        table.add_row("games", "0: nothing to predict")
        _console().print(table)
        return
    table.add_row("status", receipt.status)
    table.add_row("games", str(batch.games))
    table.add_row(
        "players",
        f"{receipt.expected_players} expected, {receipt.staged_players} staged, "
        f"{receipt.skipped_players} skipped, {receipt.failed_players} failed",
    )
    table.add_row("rows in force", f"{receipt.rows:,} in {event.message['output_table']}")
    table.add_row(
        "MERGE",
        f"{receipt.rows_staged:,} staged = {receipt.rows_inserted:,} inserted + {receipt.rows_updated:,} updated + "
        f"{receipt.rows_unchanged:,} unchanged; {receipt.rows_superseded:,} superseded; {receipt.merge_ms:.0f} ms",
    )
    for missing in receipt.missing[:10]:
        table.add_row(missing["outcome"], f"{missing['player_slug']}: {missing['reason']}")
    again = "" if result.published else " (nothing new, not published again)"
    table.add_row("completion", f"{event.event_id}{again}")
    table.add_row("receipt", receipt.receipt_id)
    _console().print(table)


if __name__ == "__main__":
    main()

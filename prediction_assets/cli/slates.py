"""Commands that carry a slate and show where it stands: ``run``, ``ingest``, ``status``, ``messages``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from prediction_assets.cli.console import (
    CLOCK,
    PARTIAL,
    EverySlateOption,
    JsonOption,
    NewestSlateOption,
    has_facts,
    look_into_home,
    newest_slate,
    open_slate_run,
    say,
    say_json,
    simulated_label,
    standard_output,
)
from prediction_assets.errors import BadInput
from prediction_assets.settings import Settings, load_settings
from prediction_assets.slate.keys import GAME_TIME_ZONE

if TYPE_CHECKING:
    from rich.progress import TaskID

    from prediction_assets.orchestration.slate_run import SlateResult
    from prediction_assets.slate.batch import Progress as BatchProgress
    from prediction_assets.slate.completion_message import OutboxEntry
    from prediction_assets.stores.profiles import Stores
    from prediction_assets.stores.protocols import BatchState, Warehouse

_logger = logging.getLogger(__name__)

GameLogsOption = Annotated[
    Path | None,
    typer.Option(
        "--game-logs",
        metavar="PATH",
        help="box scores: Parquet, CSV, stats.nba.com's JSON, or a folder of them",
    ),
]
PropLinesOption = Annotated[
    Path | None,
    typer.Option(
        "--prop-lines",
        metavar="PATH",
        help="The Odds API's lines: its JSON, or a table of event, player, bookmaker, side, line, price",
    ),
]
ScheduleOption = Annotated[
    Path | None,
    typer.Option(
        "--schedule", metavar="PATH", help="games: id, date, home and away team; or scheduleLeagueV2's JSON"
    ),
]
InjuryReportsOption = Annotated[
    Path | None,
    typer.Option("--injury-reports", metavar="PATH", help="the NBA's injury reports: PDF or a table"),
]
SimulatedOption = Annotated[
    int | None,
    typer.Option(
        "--simulated-players", metavar="N", help="a simulated league whose slate expects N players, 1 to 5000"
    ),
]


def run(
    slate: NewestSlateOption = None,
    game_logs: GameLogsOption = None,
    prop_lines: PropLinesOption = None,
    schedule: ScheduleOption = None,
    injury_reports: InjuryReportsOption = None,
    simulated_players: SimulatedOption = None,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="accept that expected players are in another team or game now")
    ] = False,
    player: Annotated[
        list[str] | None,
        typer.Option("--player", metavar="SLUG", help="stage only this player of an open slate, repeatable"),
    ] = None,
) -> None:
    """Take one slate from its facts to its completion message.

    Ingests the files named here, or else in the settings. If there are no facts at all, it takes the simulated
    league, which it ingests once. Exit code 1 when a player failed.
    """
    if player and reopen:
        raise BadInput("--player", "can't be combined with --reopen", hint="choose one of them")
    files = _files(game_logs, schedule, prop_lines, injury_reports, simulated_players)
    if slate is not None:
        _require_simulated_slate(slate, simulated_players)
    settings = load_settings()
    _refuse_bad(settings, files, simulated_players)
    console = Console(stderr=True, soft_wrap=True)
    with (
        open_slate_run(settings) as (_, runner),
        _stages(console, settings.profile, runner.stores.batch_state) as on_stage,
    ):
        facts, slate = _facts(settings, runner.stores.warehouse, files, simulated_players, slate)
        if facts:
            on_stage("ingest", None)
            _say_what_waits(runner.ingest(facts))
        from prediction_assets.nba.roster import refuse_unknown_slate  # imported with the runner by now

        with runner.stores.warehouse.reading():
            chosen = slate or newest_slate(runner.stores.warehouse)
            refuse_unknown_slate(runner.stores.warehouse, chosen)
        result = runner.whole(chosen, reopen=reopen, players=player or (), on_stage=on_stage)
    _show_summary(result, settings)
    if result.receipt is not None and result.receipt.status != "success":
        raise typer.Exit(PARTIAL)


def ingest(
    game_logs: GameLogsOption = None,
    prop_lines: PropLinesOption = None,
    schedule: ScheduleOption = None,
    injury_reports: InjuryReportsOption = None,
    season: Annotated[
        str | None,
        typer.Option(
            "--season",
            metavar="YYYY-YY",
            help="game logs and schedule of a season, from the live sources of the settings, else stats.nba.com",
        ),
    ] = None,
    simulated_players: SimulatedOption = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="remove what a schedule, lines or reports omit, and let games move"),
    ] = False,
) -> None:
    """Ingest facts from files or live sources.

    Without options it asks the sources of the settings. A file that was ingested before changes nothing; a corrected
    row replaces the old one. A row that contradicts what is stored waits in quarantine; exit code 1 then.
    """
    from prediction_assets.ingest.seasons import first_year, season_of

    files = _files(game_logs, schedule, prop_lines, injury_reports, simulated_players)
    settings = load_settings()
    is_named = simulated_players is not None or season is not None or any(files.values())
    if not is_named and not any(settings.names(name) for name in files):
        raise BadInput(
            "ingest",
            "nothing to ingest: no file is named, here or in the settings, and no live source is set",
            hint="name --game-logs, --schedule, --prop-lines, --injury-reports or --season, or set "
            "PREDICTION_ASSETS_GAME_LOGS or PREDICTION_ASSETS_GAME_LOGS_SOURCES and the like",
        )
    if simulated_players is not None and season is not None:
        raise BadInput("--simulated-players", "can't be combined with --season", hint="choose one of them")
    _refuse_bad(settings, files, simulated_players, season)
    today = CLOCK.now().astimezone(GAME_TIME_ZONE).date()
    if season is not None and first_year(season) > today.year:
        raise BadInput(
            "season",
            f"{season} begins in a year to come",
            hint=f"its schedule isn't published yet; this season is {season_of(today)}",
        )
    with open_slate_run(settings) as (_, runner):
        if season is not None:
            live = {name: {"season": season} for name in ("game_logs", "schedule")}
            facts = live | _given(files)
        elif simulated_players is not None:
            from prediction_assets.simulation.slates import simulated_facts

            facts = simulated_facts(simulated_players)
        else:
            facts, _ = _facts(settings, runner.stores.warehouse, files, None, None)
        if replace:
            _replacing(facts)
        ingested = runner.ingest(facts)
    table = Table("facts", "inserted", "updated", "unchanged", "removed", "unresolved names", "in quarantine")
    for name, counts in ingested.items():
        cells = ("rows_inserted", "rows_updated", "rows_unchanged", "rows_replaced", "unresolved_names")
        table.add_row(name, *(f"{counts.get(cell, 0):,}" for cell in (*cells, "rows_quarantined")))
    standard_output().print(table)
    if _say_what_waits(ingested):
        raise typer.Exit(PARTIAL)


def _replacing(facts: dict[str, dict[str, Any]]) -> None:
    """Let the sources replace what they omit."""
    chosen = [
        config for name, config in facts.items() if name != "game_logs" and "simulated_players" not in config
    ]
    if not chosen:
        raise BadInput(
            "--replace",
            "is about a schedule, lines or reports, and none is ingested",
            hint="name --schedule, --season, --prop-lines or --injury-reports",
        )
    for config in chosen:
        config["replace_omitted"] = True


def _say_what_waits(ingested: dict[str, dict[str, Any]]) -> bool:
    """Print what was left out and the rows in quarantine on standard error; return whether any row waits."""
    for counts in ingested.values():
        for line in counts.get("games_off", ()):
            say(f"left out, as the game isn't played: {line}", err=True)
    waiting = {name: counts["quarantined"] for name, counts in ingested.items() if "quarantined" in counts}
    for name, lines in waiting.items():
        for line in lines:
            say(f"{name}, in quarantine: {line}", err=True)
    if waiting:
        typer.echo("not used until you decide: `prediction-assets quarantine list`", err=True)
    return bool(waiting)


def status(
    slate: NewestSlateOption = None,
    watched: Annotated[
        bool, typer.Option("--watch", help="show it live, until its message is delivered or you press Ctrl-C")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the progress of a slate.

    Its batch, outcomes, receipt, completion messages and the parts in staging. With --watch it exits 0 when the slate
    was announced or has nothing to predict, 1 when it was announced without a player, and 130 at Ctrl-C.
    """
    if watched and as_json:
        raise BadInput("--watch", "can't be combined with --json", hint="choose one of them")
    with look_into_home() as (settings, stores):
        chosen = slate or newest_slate(stores.warehouse)
        if watched:
            from prediction_assets.cli.watch import watch

            raise typer.Exit(watch(stores, settings, chosen))
        report = _status(stores, chosen)
        if as_json:
            say_json(report)
            return
        table = Table(title=f"slate {chosen}{simulated_label(report['league'])}", show_header=False)
        for name, value in report.items():
            table.add_row(name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        standard_output().print(table)


def messages(slate: EverySlateOption = None, as_json: JsonOption = False) -> None:
    """List the completion messages, oldest first."""
    from prediction_assets.monitoring.findings import utc

    with look_into_home() as (_, stores):
        entries = stores.outbox.entries(slate)
        if as_json:
            listed = [
                {
                    **e.message,
                    "delivery_id": e.delivery_id,
                    "replaced_by": e.replaced_by,
                    "acknowledged_at": utc(e.acknowledged_at),
                }
                for e in entries
            ]
            say_json(listed)
            return
        table = Table("slate", "status", "players", "rows", "inserted, updated, unchanged, superseded")
        table.add_column("message id", no_wrap=True)
        for entry in entries:
            m = entry.message
            changes = ("rows_inserted", "rows_updated", "rows_unchanged", "rows_superseded")
            table.add_row(
                m["slate"] + simulated_label(m["league"]),
                m["status"] + _delivery(entry),
                f"{m['staged_players']} of {m['expected_players']}",
                f"{m['rows']:,}",
                ", ".join(f"{m[name]:,}" for name in changes),
                m["message_id"],
            )
        standard_output().print(table)


def _delivery(entry: OutboxEntry) -> str:
    if entry.is_pending:
        return ", not delivered yet"
    if not entry.delivery_id:
        return ", replaced by a newer one"
    return ", acknowledged" if entry.acknowledged_at is not None else ""


def _files(
    game_logs: Path | None,
    schedule: Path | None,
    prop_lines: Path | None,
    injury_reports: Path | None,
    simulated_players: int | None,
) -> dict[str, Path | None]:
    """Return the file of each kind of facts, None where none was named."""
    files = {
        "game_logs": game_logs,
        "schedule": schedule,
        "prop_lines": prop_lines,
        "injury_reports": injury_reports,
    }
    if simulated_players is not None and any(files.values()):
        raise BadInput("--simulated-players", "can't be combined with files", hint="choose one of them")
    return files


def _refuse_bad(
    settings: Settings,
    files: dict[str, Path | None],
    simulated_players: int | None,
    season: str | None = None,
) -> None:
    """Refuse what will be ingested before a run about it is recorded, or anything is created."""
    if simulated_players is not None:
        from prediction_assets.simulation.slates import simulated_slate

        simulated_slate(simulated_players)
        return
    # Where a live source stands beside files, it takes over from a file that can't be read.
    configured = {name: getattr(settings, name) for name in files if settings.sources(name) == ("files",)}
    named = files if any(files.values()) or season is not None else configured
    if any(named.values()) or season is not None or settings.player_aliases is not None:
        from prediction_assets.ingest.precheck import refuse_bad_sources  # the readers of all files

        refuse_bad_sources(named, season, settings.player_aliases)


def _require_simulated_slate(slate: str, simulated_players: int | None) -> None:
    if simulated_players is None:
        return
    from prediction_assets.simulation.slates import simulated_slate

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
    warehouse: Warehouse,
    files: dict[str, Path | None],
    simulated_players: int | None,
    slate: str | None,
) -> tuple[dict[str, dict[str, Any]], str | None]:
    """Return what to ingest, and the slate if the facts decide it.

    A simulated league that is stored is not drawn again.
    """
    given = _given(files)
    if given:
        return given, slate
    configured: dict[str, dict[str, Any]] = {name: {} for name in files if settings.names(name)}
    if simulated_players is None and (configured or has_facts(warehouse)):
        return configured, slate
    if simulated_players is None:
        _refuse_half_of_the_facts(warehouse)
    from prediction_assets.simulation.slates import simulated_facts, simulated_name, simulated_slate

    expected = settings.simulated_players if simulated_players is None else simulated_players
    slate = slate or simulated_slate(expected).isoformat()
    return {} if has_facts(warehouse, simulated_name(expected)) else simulated_facts(expected), slate


def _refuse_half_of_the_facts(warehouse: Warehouse) -> None:
    """Refuse to mix the simulated league with real games unless --simulated-players is given."""
    from prediction_assets.nba.tonight import holds_real_facts

    if holds_real_facts(warehouse):
        raise BadInput(
            "run",
            "this home holds real games, but game logs or schedule are missing",
            hint="`prediction-assets ingest --game-logs FILE --schedule FILE`, or use the simulated "
            "league with --simulated-players, best in a home of its own",
        )


@contextmanager
def _stages(console: Console, profile: str, batch_state: BatchState) -> Iterator[Any]:
    """Show each stage on a terminal as it starts, and during staging how many players have settled."""
    if not console.is_terminal:
        yield lambda stage, progress: _logger.debug("%s begins", stage)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=False,
    )  # fmt: skip
    stop = threading.Event()
    # Each look reads every outcome of the slate; Firestore bills each read.
    pause = 0.2 if profile == "local" else 5.0
    watched: tuple[BatchProgress, TaskID] | None = None  # replaced as a whole: two threads read it

    def watch() -> None:
        while not stop.wait(pause):
            if watched is not None:
                before, task = watched
                now = batch_state.progress(before.batch.slate)
                settled = now.outcomes.items() - before.outcomes.items() if now else ()
                bar.update(task, completed=len(settled))

    def on_stage(stage: str, progress: BatchProgress | None) -> None:
        nonlocal watched
        watched = None
        for task in bar.task_ids:
            bar.update(task, completed=bar.tasks[task].total)
        total = len(progress.batch.expected) if progress is not None and stage == "staging" else 1
        task = bar.add_task(stage, total=total)
        if progress is not None and stage == "staging":
            watched = (progress, task)
        _logger.debug("%s begins", stage)

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


def _status(stores: Stores, slate: str) -> dict[str, Any]:
    from prediction_assets.monitoring.findings import utc
    from prediction_assets.nba.tonight import read_first_tip_off
    from prediction_assets.slate.acknowledgement import handover
    from prediction_assets.slate.next_step import next_step
    from prediction_assets.slate.outcome import Outcome

    progress = stores.batch_state.progress(slate)
    report: dict[str, Any] = {"slate": slate, "league": "", "batch": "not open"}
    if progress is None:
        return report
    batch = progress.batch
    receipt = next(reversed(stores.warehouse.receipts(slate)), None)
    entries = stores.outbox.entries(slate)
    came, begins = handover(entries), read_first_tip_off(stores.warehouse, slate)
    report |= {
        "league": batch.league,
        "batch": batch.batch_id,
        "deadline": batch.deadline.isoformat(timespec="seconds"),
        "games": batch.games,
        "expected_players": len(batch.expected),
        **{f"{outcome.value}_players": progress.count(outcome) for outcome in Outcome},
        "unsettled_players": len(progress.unsettled),
        "missing": [
            f"{slug}: {c.outcome.value}: {c.reason}"
            for slug, c in sorted(progress.outcomes.items())
            if c.part is None
        ]
        + [f"{slug}: unsettled" for slug in sorted(progress.unsettled)],
        "feature_snapshot": progress.feature_snapshot,
        "receipt": None if receipt is None else receipt.receipt_id,
        "status": None if receipt is None else receipt.status,
        "revision": None if receipt is None else receipt.revision,
        "rows": 0 if receipt is None else receipt.rows,
        "messages_delivered": sum(entry.delivery_id is not None for entry in entries),
        "messages_pending": sum(entry.is_pending for entry in entries),
        "messages_replaced": sum(entry.replaced_by is not None for entry in entries),
        "phase_6": came.state,
        "acknowledged_revision": came.acknowledged or None,
        "acknowledged_at": utc(came.acknowledged_at),
        "first_tip_off": utc(begins),
        "before_tip_off": came.is_before(begins),
        "parts_in_staging": len(stores.warehouse.parts.staged(slate)),
        "next_step": next_step(progress, CLOCK.now()).value,
    }
    return report


def _show_summary(result: SlateResult, settings: Settings) -> None:
    batch, receipt, entry = result.progress.batch, result.receipt, result.entry
    table = Table(title=f"slate {batch.slate}{simulated_label(batch.league)}", show_header=False)
    if receipt is None or entry is None:
        skipped = f": all {len(batch.expected)} expected players are skipped" if batch.expected else ""
        table.add_row("games", f"{batch.games}{skipped or ': nothing to predict'}")
        standard_output().print(table)
        return
    table.add_row("status", receipt.status)
    table.add_row("games", str(batch.games))
    table.add_row(
        "players",
        f"{receipt.expected_players} expected, {receipt.staged_players} staged, "
        f"{receipt.skipped_players} skipped, {receipt.failed_players} failed",
    )
    table.add_row("rows in force", f"{receipt.rows:,} in {entry.message['output_table']}")
    table.add_row(
        "MERGE",
        f"{receipt.rows_staged:,} staged = {receipt.rows_inserted:,} inserted + {receipt.rows_updated:,} updated + "
        f"{receipt.rows_unchanged:,} unchanged; {receipt.rows_superseded:,} superseded; {receipt.merge_ms:.0f} ms",
    )
    for missing in receipt.missing[:10]:
        table.add_row(missing["outcome"], f"{missing['player_slug']}: {missing['reason']}")
    again = "" if result.published else " (nothing new, not published again)"
    table.add_row("message", f"{entry.message_id}{again}")
    table.add_row("receipt", receipt.receipt_id)
    board = settings.board_file(batch.slate)
    if board.exists():
        table.add_row("board", settings.board_link(batch.slate) or str(board))
    standard_output().print(table)

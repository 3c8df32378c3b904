"""``dead-letters``: look at the players who failed, try them again, or let them go."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from prediction_assets.cli.console import (
    PARTIAL,
    EverySlateOption,
    JsonOption,
    RequiredSlateOption,
    open_slate_run,
    standard_output,
)
from prediction_assets.errors import NoSuchLetter

if TYPE_CHECKING:
    from prediction_assets.orchestration.slate_run import SlateRun
    from prediction_assets.slate.dead_letter import DeadLetter

app = typer.Typer(help="List and replay players who failed.", no_args_is_help=True)

PlayersOption = Annotated[
    list[str] | None,
    typer.Option("--player", metavar="SLUG", help="a player's slug, repeatable (default: all)"),
]
PlayerOption = Annotated[str, typer.Option("--player", metavar="SLUG", help="the player's slug")]


@app.command("list")
def list_letters(
    slate: EverySlateOption = None,
    closed: Annotated[bool, typer.Option("--closed", help="also the ones that were dealt with")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the open dead letters: player, error, attempts, when."""
    with open_slate_run() as (_, runner):
        letters = runner.dead_letters(slate, include_closed=closed)
    if as_json:
        typer.echo(json.dumps([_values(letter) for letter in letters], indent=2))
        return
    table = Table("slate", "player", "error", "digest", "attempts", "first seen", "last seen", "state")
    for letter in letters:
        newest = letter.newest
        table.add_row(
            letter.slate,
            letter.player_slug,
            f"{newest.error_class}: {newest.message}",
            newest.traceback_digest,
            str(letter.attempts),
            f"{letter.first_seen:%Y-%m-%d %H:%M:%S}",
            f"{letter.last_seen:%Y-%m-%d %H:%M:%S}",
            letter.closed.value if letter.closed else "open",
        )
    standard_output().print(table if letters else "no dead letters")


@app.command()
def show(slate: RequiredSlateOption, player: PlayerOption) -> None:
    """Show all about one player's letter, as JSON.

    Each failure with its run and payload.
    """
    with open_slate_run() as (_, runner):
        (letter,) = _wanted(runner, slate, [player], include_closed=True)
    typer.echo(json.dumps(_values(letter), indent=2))


@app.command()
def replay(slate: EverySlateOption = None, player: PlayersOption = None) -> None:
    """Stage the players of open letters again.

    Their slates are merged and announced where that completes them. Exit code 1 when a letter is still open afterwards.
    """
    with open_slate_run() as (_, runner):
        letters = _wanted(runner, slate, player)
        if not letters:
            typer.echo("no dead letters to replay")
            return
        left = 0
        for each in sorted({letter.slate for letter in letters}):
            slugs = [letter.player_slug for letter in letters if letter.slate == each]
            event = runner.replay(each, slugs)
            still = {letter.player_slug for letter in runner.dead_letters(each)} & set(slugs)
            left += len(still)
            told = f"newest completion {event.message_id}" if event else "no completion yet"
            typer.echo(
                f"slate {each}: {len(slugs) - len(still)} of {len(slugs)} letters closed, "
                f"{len(still)} still open; {told}"
            )
    if left:
        raise typer.Exit(PARTIAL)


@app.command()
def discard(slate: RequiredSlateOption, player: PlayersOption = None) -> None:
    """Close letters without trying again.

    The players stay failed, and their earlier rows in force.
    """
    with open_slate_run() as (_, runner):
        slugs = [letter.player_slug for letter in _wanted(runner, slate, player)]
        count = runner.discard(slate, slugs)
    typer.echo(f"slate {slate}: {count} dead letters discarded")


def _wanted(
    runner: SlateRun, slate: str | None, players: list[str] | None, *, include_closed: bool = False
) -> list[DeadLetter]:
    """Return the letters that were asked for.

    Raises:
        NoSuchLetter: a named player has none.
    """
    letters = runner.dead_letters(slate, include_closed=include_closed)
    missing = sorted(set(players or ()) - {letter.player_slug for letter in letters})
    if missing:
        raise NoSuchLetter(
            f"{missing[0]} has no {'' if include_closed else 'open '}dead letter{f' on {slate}' if slate else ''}; "
            "see `prediction-assets dead-letters list --closed`"
        )
    return [letter for letter in letters if not players or letter.player_slug in players]


def _values(letter: DeadLetter) -> dict[str, Any]:
    return {
        "slate": letter.slate,
        "player_slug": letter.player_slug,
        "state": letter.closed.value if letter.closed else "open",
        "attempts": letter.attempts,
        "first_seen": letter.first_seen.isoformat(),
        "last_seen": letter.last_seen.isoformat(),
        "failures": [
            {**asdict(failure), "failed_at": failure.failed_at.isoformat()} for failure in letter.failures
        ],
    }

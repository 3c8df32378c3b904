"""``dead-letters``: list the players who failed, stage them again, or close their letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from prediction_assets.cli.console import (
    CLOCK,
    PARTIAL,
    Commands,
    EverySlateOption,
    JsonOption,
    RequiredSlateOption,
    look_into_home,
    open_home,
    open_slate_run,
    say,
    say_json,
    standard_output,
)
from prediction_assets.errors import NoSuchLetter

if TYPE_CHECKING:
    from prediction_assets.orchestration.slate_run import SlateRun
    from prediction_assets.slate.completion_message import OutboxEntry
    from prediction_assets.slate.dead_letter import DeadLetter
    from prediction_assets.stores.protocols import DeadLetters

app = Commands(help="List and replay players who failed.", no_args_is_help=True)

PlayersOption = Annotated[
    list[str] | None,
    typer.Option("--player", metavar="SLUG", help="a player's slug, repeatable (default: all)"),
]
PlayerOption = Annotated[str, typer.Option("--player", metavar="SLUG", help="the player's slug")]


@app.command("list")
def list_letters(
    slate: EverySlateOption = None,
    closed: Annotated[bool, typer.Option("--closed", help="list closed letters too")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the open dead letters: player, error, attempts, when."""
    with look_into_home() as (_, stores):
        letters = stores.dead_letters.letters(slate, include_closed=closed)
        if as_json:
            say_json([_values(letter) for letter in letters])
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
    """Show one player's letter as JSON.

    It holds every failure with its run and payload.
    """
    with look_into_home() as (_, stores):
        (letter,) = _wanted(stores.dead_letters, slate, [player], include_closed=True)
        say_json(_values(letter))


@app.command()
def replay(slate: EverySlateOption = None, player: PlayersOption = None) -> None:
    """Stage the players of open letters again.

    Merges and announces their slates when the batch is then complete. Exit code 1 when a letter stays open.
    """
    with open_slate_run() as (_, runner):
        store = runner.stores.dead_letters
        letters = _wanted(store, slate, player)
        if not letters:
            say("no dead letters to replay")
            return
        left = 0
        for each in sorted({letter.slate for letter in letters}):
            slugs = [letter.player_slug for letter in letters if letter.slate == each]
            entry = stage_again(runner, each, slugs)
            still = {letter.player_slug for letter in store.letters(each)} & set(slugs)
            left += len(still)
            newest = f"newest message {entry.message_id}" if entry else "no message yet"
            say(
                f"slate {each}: {len(slugs) - len(still)} of {len(slugs)} letters closed, "
                f"{len(still)} still open; {newest}"
            )
    if left:
        raise typer.Exit(PARTIAL)


@app.command()
def discard(slate: RequiredSlateOption, player: PlayersOption = None) -> None:
    """Close letters without a replay.

    The players stay failed; their earlier rows stay in force.
    """
    from prediction_assets.slate.dead_letter import Closing

    _, stores = open_home()
    # A failure that is stored meanwhile, by a run with a higher fence, stays open: nobody has seen it.
    seen = {letter.player_slug: letter.newest.fence for letter in _wanted(stores.dead_letters, slate, player)}
    count = stores.dead_letters.close(slate, seen, Closing.DISCARDED)
    say(f"slate {slate}: {count} dead letters discarded")


def stage_again(runner: SlateRun, slate: str, slugs: Sequence[str]) -> OutboxEntry | None:
    """Stage these players again; merge and announce the slate if that is what it needs next."""
    from prediction_assets.slate.next_step import Step, next_step
    from prediction_assets.stores.protocols import open_progress

    runner.stage(slate, slugs)
    progress = open_progress(runner.stores.batch_state, slate)
    if next_step(progress, CLOCK.now()) is Step.CONSOLIDATE:
        return runner.announce(runner.consolidate(slate))
    return max(runner.stores.outbox.entries(slate), key=lambda entry: entry.revision, default=None)


def _wanted(
    store: DeadLetters, slate: str | None, players: list[str] | None, *, include_closed: bool = False
) -> list[DeadLetter]:
    """Return the letters of the named players, of all when none is named."""
    letters = store.letters(slate, include_closed=include_closed)
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

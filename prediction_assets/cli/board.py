"""A slate to look at: ``board`` writes its page, and ``why`` explains one player. Neither imports Dagster."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from prediction_assets.cli.console import (
    JsonOption,
    RequiredSlateOption,
    look_into_home,
    say,
    say_json,
    simulated_label,
    write_output,
)


def board(
    slate: RequiredSlateOption,
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="the HTML file; it appears when it is whole")
    ],
) -> None:
    """Write a slate's board: one HTML file to open in a browser.

    Bets by expected value, every player, what changed and why, who is missing, and the record so far.
    """
    from prediction_assets.board.page import board_page
    from prediction_assets.board.values import read_board

    with look_into_home() as (_, stores):
        found = read_board(stores.warehouse, slate)
    write_output(output, board_page(found))


def why(
    slate: RequiredSlateOption,
    player: Annotated[str, typer.Option("--player", metavar="SLUG", help="an expected player of the slate")],
    as_json: JsonOption = False,
) -> None:
    """Show why a player's rows are what they are.

    From the facts through part, receipt and revision to the message, each with its id.
    """
    from prediction_assets.board.why import read_why

    with look_into_home() as (_, stores):
        found = read_why(stores, slate, player)
    if as_json:
        say_json(asdict(found))
        return
    say(f"slate {slate}{simulated_label(found.league)}, {player}")
    for step in found.steps:
        say(f"{step.name:8}  {step.id or '-'}")
        for line in step.says:
            say(f"{'':8}  {line}")

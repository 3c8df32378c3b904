"""``quarantine``: list the rows of facts that are not used, accept them, or discard them."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from prediction_assets.cli.console import (
    Commands,
    JsonOption,
    look_into_home,
    open_home,
    say,
    standard_output,
)
from prediction_assets.errors import BadInput

app = Commands(help="Decide about facts that contradict others.", no_args_is_help=True)

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="ids, as `list` shows them", show_default=False)
]
FactsOption = Annotated[
    str | None,
    typer.Option("--facts", metavar="NAME", help="game_logs, schedule, prop_lines or injury_reports"),
]
AllOption = Annotated[bool, typer.Option("--all", help="every open row, or those of --facts")]


@app.command("list")
def list_rows(
    facts: FactsOption = None,
    decided: Annotated[bool, typer.Option("--decided", help="list decided rows too")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the rows that wait: what each says, and what it contradicts."""
    from prediction_assets.ingest.quarantine import State, read_all

    _known(facts)
    with look_into_home() as (_, stores):
        entries = [
            entry
            for entry in read_all(stores.warehouse)
            if facts in (None, entry.facts) and (decided or entry.state is State.OPEN)
        ]
        if as_json:
            say(json.dumps([entry.to_row() for entry in entries], indent=2, default=str, ensure_ascii=False))
            return
        table = Table("id", "facts", "about", "what contradicts what", "where", "since", "state")
        for entry in entries:
            since = f"{entry.first_seen_at:%Y-%m-%d %H:%M}Z"
            table.add_row(
                entry.quarantine_id, entry.facts, entry.subject, entry.reason, entry.source_row or entry.source,
                since, entry.state.value,
            )  # fmt: skip
        standard_output().print(table if entries else "nothing is in quarantine")


@app.command()
def accept(ids: IdsArgument = None, facts: FactsOption = None, every: AllOption = False) -> None:
    """Store rows in place of what they contradict.

    Of a stored row that a source no longer lists: remove it. Rows that contradict each other are refused together.
    """
    _decide(ids, facts, every=every, accepts=True)


@app.command()
def discard(ids: IdsArgument = None, facts: FactsOption = None, every: AllOption = False) -> None:
    """Leave rows out for good.

    They are neither stored nor reported when they come again. What is stored stays.
    """
    _decide(ids, facts, every=every, accepts=False)


def _decide(ids: list[str] | None, facts: str | None, *, every: bool, accepts: bool) -> None:
    from prediction_assets.ingest import quarantine

    _known(facts)
    if bool(ids) == every:
        raise BadInput("quarantine", "name ids, or --all", hint="see `prediction-assets quarantine list`")
    _, stores = open_home()
    entries = quarantine.find(stores.warehouse, ids or (), facts)
    (quarantine.accept if accepts else quarantine.discard)(stores.warehouse, entries)
    word = "accepted" if accepts else "discarded"
    say(
        f"{len(entries)} rows {word}"
        + ("; stage their slates again to use them" if accepts and entries else "")
    )


def _known(facts: str | None) -> None:
    from prediction_assets.ingest.quarantine import TABLES

    if facts is not None and facts not in TABLES:
        raise BadInput("--facts", f"{facts!r} is no kind of facts", hint=f"choose {', '.join(TABLES)}")

"""What was published, now or at any time before: ``predictions``, ``diff``, ``verify``.

The commands only read, and import neither Dagster nor a model. ``revert`` is in :mod:`.repair`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from prediction_assets.cli.console import (
    CLOCK,
    JsonOption,
    RequiredSlateOption,
    look_into_home,
    say,
    say_json,
    simulated_label,
    standard_output,
    write_output,
)
from prediction_assets.errors import BadInput, ChainBroken
from prediction_assets.slate.keys import parse_slate

if TYPE_CHECKING:
    import pyarrow as pa

    from prediction_assets.slate.chain import ChainReport
    from prediction_assets.slate.receipt import Receipt
    from prediction_assets.slate.row_diff import MainLine, PlayerDiff


class Format(StrEnum):
    """How predictions are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


_NOT_PUBLISHED = ("is_active", "superseded_at", "superseded_by")
"""Columns that say what happened to a row later."""

_NAMED = 5


def predictions(
    slate: RequiredSlateOption,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="what was in force then, as 2026-01-02T19:00-05:00"),
    ] = None,
    revision: Annotated[
        int | None, typer.Option("--revision", metavar="N", help="what was in force as this revision")
    ] = None,
    bets: Annotated[
        bool, typer.Option("--bets", help="only OVER and UNDER, with what each pays, best first")
    ] = False,
    system: Annotated[
        str | None, typer.Option("--system", metavar="NAME", help="of this forecasting system; default: all")
    ] = None,
    output_format: Annotated[
        Format,
        typer.Option("--format", metavar="FORMAT", help="table, csv, json or parquet", case_sensitive=False),
    ] = Format.TABLE,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="write a file instead; it appears when it is whole"),
    ] = None,
) -> None:
    """Show the predictions of one slate.

    Those in force, or those of an earlier moment or revision.
    """
    if as_of is not None and revision is not None:
        raise BadInput("--as-of", "can't be combined with --revision", hint="choose one of them")
    if output_format is Format.PARQUET and output is None:
        raise BadInput("--format", "parquet is no text", hint="name a file with --output")
    moment = None if as_of is None else _moment(as_of)
    from prediction_assets.cli.prediction_rows import (
        bets_of,
        bets_text,
        csv_text,
        json_text,
        parquet_bytes,
        table_text,
    )
    from prediction_assets.steps.ledger import read_rows

    with look_into_home() as (_, stores):
        receipt, found = read_rows(stores.warehouse, slate, moment=moment, revision=revision)
    rows = found.drop_columns([*_NOT_PUBLISHED])
    if system is not None:
        rows = _of_system(rows, system)
    if bets:
        rows = bets_of(rows)
    title = _title(receipt, rows, "bets" if bets else "rows")
    written: dict[Format, Callable[[], str | bytes]] = {
        Format.TABLE: lambda: (bets_text if bets else table_text)(rows, title),
        Format.CSV: lambda: csv_text(rows),
        Format.JSON: lambda: json_text(rows),
        Format.PARQUET: lambda: parquet_bytes(rows),
    }
    content = written[output_format]()
    if output is not None:
        write_output(output, content)
    else:
        typer.echo(content, nl=False)  # its texts are plain already


def diff(
    slate: RequiredSlateOption,
    first: Annotated[
        int | None, typer.Option("--from", metavar="N", help="a revision; default: the one before the other")
    ] = None,
    second: Annotated[
        int | None, typer.Option("--to", metavar="N", help="another revision; default: the newest")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what changed between two revisions.

    For each player: points moved, recommendations changed, lines changed.
    """
    from prediction_assets.slate.row_diff import diff_rows
    from prediction_assets.steps.ledger import read_rows, receipts_of, why_between

    with look_into_home() as (_, stores):
        receipts = receipts_of(stores.warehouse, slate)
        since, to = _two_revisions(receipts, first, second)
        found = diff_rows(*(read_rows(stores.warehouse, slate, revision=number)[1] for number in (since, to)))
    why = why_between(receipts, since, to, found)
    if as_json:
        players = [{**_diff_values(each), "causes": why[each.player_slug]} for each in found]
        report = {"slate": slate, "from": since, "to": to, "players": players}
        say_json(report)
        return
    flipped = sum(each.flipped for each in found)
    table = Table("player", "rows", "points", "recommendations", "main line", "why")
    table.title = (
        f"slate {slate}{simulated_label(receipts[-1].league)}, revision {since} to {to}: "
        f"{len(found)} players changed, {flipped} recommendations flipped"
    )
    for each in found:
        points = [f"{name} {_number(was)} -> {_number(now)}" for name, (was, now) in each.points.items()]
        advice = [
            f"{name} {line}: {was} -> {now}" for (name, line), (was, now) in each.recommendations.items()
        ]
        lines = " -> ".join(map(_line, each.lines)) if each.lines else ""
        player = each.player_slug if each.change == "changed" else f"{each.player_slug} ({each.change})"
        causes = "\n".join(why[each.player_slug])
        cells = (player, str(each.rows), "\n".join(points), "\n".join(advice), lines, causes)
        table.add_row(*cells)
    standard_output().print(table)


def verify(
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="first slate; default: all")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="last slate; default: all")] = None,
    published: Annotated[
        str | None,
        typer.Option(
            "--published",
            metavar="HASH",
            help="the receipt_hash of a message: one of the receipts must have it",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify that no published row or receipt was changed.

    Recomputes every row's hash and the chain of receipts of each slate, and prints the newest receipt's hash. Exits
    with 2 and names the first broken link.
    """
    from prediction_assets.steps.ledger import merged_slates, verify_slate

    since = date.min if first is None else parse_slate(first, "--from")
    until = date.max if last is None else parse_slate(last, "--to")
    with look_into_home() as (_, stores):
        slates = merged_slates(stores.warehouse, since, until)
        if not slates:
            merged = merged_slates(stores.warehouse)
            there = f"predictions of {merged[0]} to {merged[-1]}" if merged else "no predictions yet"
            raise BadInput("verify", "no slate in these dates was merged", hint=f"there are {there}")
        reports = {slate: verify_slate(stores.warehouse, slate) for slate in slates}
    if as_json:
        say_json([_chain_values(*each) for each in reports.items()])
    else:
        table = Table("slate", "receipts", "rows", "receipts pruned", "newest receipt's hash", "chain")
        for slate, report in reports.items():
            numbers = (f"{number:,}" for number in (report.receipts, report.rows, report.pruned))
            table.add_row(slate, *numbers, report.head, "broken" if report.broken else "holds")
        standard_output().print(table)
    _refuse_broken(reports)
    if published is not None:
        _require_published(reports, published, is_printed=not as_json)


def _moment(text: str) -> datetime:
    """Return the moment that was typed.

    Raises:
        BadInput: it is no time with an offset, or later than now.
    """
    hint = "for example 2026-01-02T19:00-05:00, or with Z for UTC"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("--as-of", f"{text!r} is no time", hint=hint) from None
    if moment.tzinfo is None:
        raise BadInput("--as-of", f"{text!r} has no offset from UTC", hint=hint)
    if moment > CLOCK.now():
        raise BadInput("--as-of", f"{text!r} is in the future", hint="leave it out for what is in force")
    return moment


def _two_revisions(receipts: Sequence[Receipt], first: int | None, second: int | None) -> tuple[int, int]:
    """Return the revisions to compare; without others, the newest one and the one before it."""
    revisions = sorted({receipt.revision for receipt in receipts})
    to = revisions[-1] if second is None else second
    before = [number for number in revisions if number < to]
    if first is None and not before:
        known = ", ".join(map(str, revisions))
        raise BadInput(
            "--from", f"slate {receipts[-1].slate} has no revision before {to}", hint=f"it has {known}"
        )
    return before[-1] if first is None else first, to


def _of_system(rows: pa.Table, system: str) -> pa.Table:
    import pyarrow.compute as pc

    systems = sorted(set(rows["system"].to_pylist()))
    if system not in systems:
        raise BadInput(
            "--system", f"no row is of {system!r}", hint=f"there are {', '.join(systems) or 'no rows'}"
        )
    return rows.filter(pc.equal(rows["system"], system))


def _title(receipt: Receipt, rows: pa.Table, what: str) -> str:
    return (
        f"slate {receipt.slate}{simulated_label(receipt.league)}, revision {receipt.revision} "
        f"of {receipt.consolidated_at:%Y-%m-%d %H:%M:%S}Z: {rows.num_rows:,} {what}"
    )


def _number(points: float | None) -> str:
    return "none" if points is None else f"{points:.1f}"


def _line(main: MainLine | None) -> str:
    return "none" if main is None else f"{main.line} {main.bookmaker or 'estimated'}"


def _diff_values(each: PlayerDiff) -> dict[str, Any]:
    return {
        "player_slug": each.player_slug,
        "change": each.change,
        "rows": each.rows,
        "points": [{"system": name, "before": was, "after": now} for name, (was, now) in each.points.items()],
        "recommendations": [
            {"system": name, "line": float(line), "before": was, "after": now}
            for (name, line), (was, now) in each.recommendations.items()
        ],
        "flipped": each.flipped,
        "lines": None
        if each.lines is None
        else dict(
            zip(
                ("before", "after"),
                (main and {"line": float(main.line), "bookmaker": main.bookmaker} for main in each.lines),
                strict=True,
            )
        ),
    }


def _chain_values(slate: str, report: ChainReport) -> dict[str, Any]:
    broken = report.broken
    return {
        "slate": slate,
        "head": report.head,
        "receipts": report.receipts,
        "receipt_hashes": [*report.hashes],
        "rows": report.rows,
        "pruned": report.pruned,
        "broken": None
        if broken is None
        else {"sequence": broken.sequence, "receipt_id": broken.receipt_id, "reason": broken.reason},
    }


def _refuse_broken(reports: dict[str, ChainReport]) -> None:
    """Raise the first broken link there is."""
    broken = [(slate, report.broken) for slate, report in reports.items() if report.broken is not None]
    if broken:
        slate, link = broken[0]
        where = f"receipt {link.sequence} ({link.receipt_id})" if link.receipt_id else "no receipt"
        others: Sequence[str] = [each for each, _ in broken[1 : 1 + _NAMED]]
        more = f"; also broken: {', '.join(others)}" if others else ""
        raise ChainBroken(
            f"slate {slate}: the chain is broken at {where}: {link.reason}{more}. Something was changed after it was "
            "published; restore the warehouse from a backup and verify that"
        )


def _require_published(reports: dict[str, ChainReport], published: str, *, is_printed: bool) -> None:
    """Say which receipt has a hash."""
    for slate, report in reports.items():
        if published in report.hashes:
            if is_printed:
                number = report.hashes.index(published) + 1
                pruned = (
                    f"; {report.pruned} of them can't be compared with rows, which were pruned"
                    if report.pruned
                    else ""
                )
                say(f"{published} is receipt {number} of {report.receipts} of slate {slate}{pruned}")
            return
    raise ChainBroken(
        f"no receipt of {', '.join([*reports][:_NAMED])}{' ...' if len(reports) > _NAMED else ''} has the hash "
        f"{published}: what was published with it isn't in this warehouse any more"
    )

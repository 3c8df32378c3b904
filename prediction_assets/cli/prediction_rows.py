"""Predictions as text and files: a table for people, CSV for spreadsheets, JSON and Parquet for programs.

Names come from facts, so they are data here and never markup, a formula or a terminal's command.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prediction_assets.errors import plain

WIDTH = 100
"""Columns of a terminal that the table fits."""

_FORMULA = ("=", "+", "-", "@")
"""Spreadsheets run a cell as a formula if it begins with one of these."""


def bets_of(rows: pa.Table) -> pa.Table:
    """Return the rows that say OVER or UNDER at a line that a book offers, the surest first."""
    is_bet = pc.and_(
        pc.is_in(rows["recommendation"], pa.array(["OVER", "UNDER"])),
        pc.and_(pc.equal(rows["line_source"], "market"), pc.equal(rows["line_offset"], Decimal(0))),
    )
    return rows.filter(is_bet).sort_by(
        [("confidence", "descending"), ("player_slug", "ascending"), ("system", "ascending")]
    )


def table_text(rows: pa.Table, title: str) -> str:
    """Return the rows as a table of at most :data:`WIDTH` columns; the system has a column if there are several."""
    with_system = len(set(rows["system"].to_pylist())) > 1
    longest_player, longest_book = (20, 14) if with_system else (26, 22)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), title=Text(title), title_justify="left")
    table.add_column("player", no_wrap=True, max_width=longest_player)
    table.add_column("game", no_wrap=True, max_width=10)
    if with_system:
        table.add_column("system", no_wrap=True, max_width=17)
    table.add_column("line", justify="right")
    table.add_column("book", no_wrap=True, max_width=longest_book)
    table.add_column("points", justify="right")
    table.add_column("P(over)", justify="right")
    table.add_column("recommendation", no_wrap=True)
    for row in rows.to_pylist():
        between = "-" if row["is_home"] is None else "vs" if row["is_home"] else "@"
        cells = [
            row["player_name"],
            f"{row['team']} {between} {row['opponent']}",
            *([row["system"]] if with_system else []),
            f"{row['line']:.1f}" if row["line"] * 10 % 1 == 0 else str(row["line"]),
            row["bookmaker"] or row["line_source"],
            f"{row['predicted_points']:.1f}",
            f"{row['probability_over']:.3f}",
            row["recommendation"],
        ]
        table.add_row(*(Text(plain(cell).replace("\n", " ")) for cell in cells))
    text = io.StringIO()
    Console(file=text, width=WIDTH).print(table)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def csv_text(rows: pa.Table) -> str:
    """Return the rows as CSV with a header; NULL is empty, and no text is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.column_names)
    writer.writerows([_cell(value) for value in row.values()] for row in rows.to_pylist())
    return text.getvalue()


def json_text(rows: pa.Table) -> str:
    """Return the rows as a JSON list of objects; control characters in it are escaped."""
    values = [{name: _json(value) for name, value in row.items()} for row in rows.to_pylist()]
    return json.dumps(values, indent=2) + "\n"


def parquet_bytes(rows: pa.Table) -> bytes:
    """Return the rows as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    return sink.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(_json(value))
    # Before the codes of control characters are spelt: a leading tab or line end counts as the start of a formula, too.
    starts_formula = value.lstrip()[:1] in _FORMULA or not value[:1].isprintable()
    return f"'{plain(value)}" if value and starts_formula else plain(value)


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | datetime) else value

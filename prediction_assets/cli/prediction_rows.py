"""Predictions as text and files: a table for people, CSV for spreadsheets, JSON and Parquet for programs.

Names come from facts, so they are data here and never markup, a formula or a terminal's command.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from rich.cells import cell_len, set_cell_size

from prediction_assets.errors import plain
from prediction_assets.slate.markets import MARKETS

WIDTH = 100
"""Columns of a terminal that the table fits."""

_FORMULA = "=+@＝＋－＠-"
"""Spreadsheets run a cell as a formula if it begins with one of these, or with a double-byte one in some languages.
https://owasp.org/www-community/attacks/CSV_Injection
"""
_NEXT_CELL = re.compile(rf"(?<=;)(?=\s*[{_FORMULA}])")
"""Where a formula would begin in a language whose spreadsheets separate cells by semicolons."""


def bets_of(rows: pa.Table) -> pa.Table:
    """Return the rows that say OVER or UNDER, the highest expected value first."""
    # Without pyarrow.compute, whose import takes longer than the rest of this.
    said = enumerate(rows["recommendation"].to_pylist())
    bets = [rows.slice(at, 1) for at, recommendation in said if recommendation in ("OVER", "UNDER")]
    found = [row for bet in bets for row in bet.to_pylist()]
    found.sort(
        key=lambda row: (
            -(row["expected_value"] or 0.0),
            row["player_slug"],
            row["market"],
            row["system"],
            row["line"],
        )
    )
    return pa.Table.from_pylist(found, schema=rows.schema)


def table_text(rows: pa.Table, title: str) -> str:
    """Return the rows as a table of at most :data:`WIDTH` columns; the system has a column if there are several."""
    return _text(
        rows,
        title,
        ((26, 22), (20, 13)),
        {
            "book": lambda row: row["bookmaker"] or row["line_source"],
            "points": lambda row: f"{row['predicted_points']:.1f}",
            "P(over)": lambda row: f"{row['probability_over']:.3f}",
            "recommendation": lambda row: row["recommendation"],
        },
    )


def bets_text(rows: pa.Table, title: str) -> str:
    """Return bets as such a table: what each pays, American and decimal, what would be fair, expected value."""
    return _text(
        rows,
        title,
        ((24, 20), (16, 12)),
        {
            "bet": lambda row: row["recommendation"],
            "book": lambda row: row["bet_bookmaker"],
            "price": lambda row: f"{row['bet_price']:+d}",
            "odds": lambda row: f"{row['bet_odds']:.2f}",
            "fair": lambda row: f"{row['fair_odds']:.2f}",
            "value": lambda row: f"{row['expected_value']:.3f}",
        },
    )


_SHORT = {
    name: market.label if len(market.stats) == 1 else "+".join(stat[:3] for stat in market.stats)
    for name, market in MARKETS.items()
}
"""A market's name in a table: ``poi+reb+ass``."""

_TEXTS = ("player", "game", "market", "system", "book", "bet", "recommendation")

Longest = tuple[int, int]


def _text(
    rows: pa.Table,
    title: str,
    longest: Sequence[Longest],
    cells: Mapping[str, Callable[[dict[str, Any]], str]],
) -> str:
    """Return the rows as a table: player, game, market and system where there are several, line, and these cells.

    Args:
        longest: the longest names of a player and a book, without and with a column for the system.
    """
    with_system = len(set(rows["system"].to_pylist())) > 1
    with_market = len(set(rows["market"].to_pylist())) > 1
    longest_player, longest_book = longest[with_system]
    if with_market:
        longest_player, longest_book = longest_player - 9, longest_book - 4
    most = {"player": longest_player, "game": 10, "market": 12, "system": 17, "book": longest_book}
    sometimes = [*(["market"] if with_market else []), *(["system"] if with_system else [])]
    names = ["player", "game", *sometimes, "line", *cells]
    found = []
    for row in rows.to_pylist():
        between = "-" if row["is_home"] is None else "vs" if row["is_home"] else "@"
        said = [
            row["player_name"],
            f"{row['team']} {between} {row['opponent']}",
            *([_SHORT[row["market"]]] if with_market else []),
            *([row["system"]] if with_system else []),
            f"{row['line']:.1f}" if row["line"] * 10 % 1 == 0 else str(row["line"]),
            *(cell(row) for cell in cells.values()),
        ]
        printable = (plain(cell).replace("\n", " ") for cell in said)
        found.append([_cut(cell, most.get(name, WIDTH)) for name, cell in zip(names, printable, strict=True)])
    # Not rich's table: it would take a second of processor time for a slate of forty.
    widths = [max(map(cell_len, column)) for column in zip(names, *found, strict=True)]
    lines = [
        " ".join(
            cell + blank if name in _TEXTS else blank + cell
            for name, cell, width in zip(names, line, widths, strict=True)
            for blank in (" " * (width - cell_len(cell)),)
        ).rstrip()
        for line in (names, *found)
    ]
    return "".join(f"{line}\n" for line in (title, *lines))


def _cut(text: str, most: int) -> str:
    """Return a text that takes at most so many columns of a terminal."""
    return text if cell_len(text) <= most else f"{set_cell_size(text, most - 1)}…"


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
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(rows, sink)
    return sink.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(_json(value))
    # Before the codes of control characters are spelt: a leading tab or line end counts as the start of a formula, too.
    starts_formula = value.lstrip()[:1] in [*_FORMULA] or not value[:1].isprintable()
    shown = plain(value).replace("\n", " ")
    return _NEXT_CELL.sub("'", f"'{shown}" if value and starts_formula else shown)


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | datetime) else value

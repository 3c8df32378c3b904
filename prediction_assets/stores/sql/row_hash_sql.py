"""SQL that computes a row's ``content_hash`` from its values, as :mod:`prediction_assets.slate.staged_rows` does.

The text that is hashed is made of integers, dates and strings with their length only, so that Python, DuckDB and
BigQuery write it alike. How each of them writes a float or an exact decimal differs.
"""

from __future__ import annotations

from prediction_assets.slate.staged_rows import FINE, LARGEST, STEPS
from prediction_assets.stores.sql.tables import PART_COLUMNS, Column, ColumnType


def _text(column: Column) -> str:
    """Return the SQL of one value's text, with its name.

    ``CONCAT`` copies each of its parts once, a chain of ``||`` all that stands before each part.
    """
    name = f'"{column.name}"'
    known: tuple[str, ...]  # the parts of a value's text
    match column.type:
        case ColumnType.STRING | ColumnType.JSON:
            known = (f"CAST(LENGTH({name}) AS VARCHAR)", "':'", name)
        case ColumnType.BOOL:
            known = (f"CASE WHEN {name} THEN '1' ELSE '0' END",)
        case ColumnType.NUMERIC:
            known = (_whole(f"{name} * 100"),)
        case ColumnType.FLOAT64:
            scaled = f"{name} * {STEPS:.1f}"
            rest = f"FLOOR(({scaled} - FLOOR({scaled})) * {FINE:.1f})"
            exact = f"CONCAT({_whole(f'FLOOR({scaled})')}, '.', {_whole(rest)})"
            is_within = f"{name} BETWEEN -{LARGEST:.1f} AND {LARGEST:.1f}"
            known = (f"CASE WHEN {is_within} THEN {exact} ELSE 'beyond' END",)
        case _:
            known = (f"CAST({name} AS VARCHAR)",)
    return f"CASE WHEN {name} IS NULL THEN '' ELSE CONCAT('{column.name}=', {', '.join(known)}, ',') END"


def _whole(number: str) -> str:
    return f"CAST(CAST({number} AS BIGINT) AS VARCHAR)"


ROW_HASH = f"SHA256(CONCAT({', '.join(_text(c) for c in PART_COLUMNS if c.name != 'content_hash')}))"
"""What a row's ``content_hash`` must be, over the columns of a part."""

"""A player's part: his forecasts as complete prediction rows, each with a hash of its values. Pure functions.

A row's ``content_hash`` covers every value that a reader can see, so a second run with the same values keeps it and the
MERGE leaves the row alone.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from prediction_assets.errors import SnapshotUnreadable
from prediction_assets.slate.batch import Batch, ExpectedPlayer

PREDICTIONS_SCHEMA_VERSION = 1
"""Stored in every row; raise it when a column of a part is added or changes its meaning."""

STEPS, FINE, LARGEST = 2.0**32, 2.0**53, 1e6
"""How a float is hashed: in steps of 1/STEPS, what is left of them in steps of 1/(STEPS * FINE), up to LARGEST."""

_CONTENT_ID = 20
"""Hex digits of a content id."""

_SNAPSHOT_ID = re.compile(rf"[0-9a-f]{{{2 * _CONTENT_ID}}}")

_HASHED_AT_ONCE = 1_000
"""Rows whose values are text in memory at one time: those of 5,000 players would take half a gigabyte."""

_FIRST_DAY = date(1970, 1, 1)

_OF_THE_PLAYER = {
    "game_id": "game_id",
    "player_slug": "slug",
    "player_name": "name",
    "team": "team",
    "opponent": "opponent",
    "is_home": "is_home",
}
"""Columns that the batch decides, and the attribute of an expected player that each one holds."""


def part_rows(forecasts: pa.Table, batch: Batch, snapshot_id: str, schema: pa.Schema) -> dict[str, pa.Table]:
    """Return each player's part, by slug; computed for all players together, column by column.

    Args:
        forecasts: the result of :func:`prediction_assets.nba.forecasting.predictions.predict_slate`, one row per
            player, market, system and line.
        snapshot_id: the feature snapshot that the forecasts were made from.

    Returns:
        tables of that schema, rows in the forecasts' order.
    """
    by_id = {player.player_id: player for player in batch.expected}
    players = [by_id[player_id] for player_id in forecasts["player_id"].to_pylist()]
    rows = len(players)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        name: forecasts[name] for name in forecasts.column_names if name in schema.names
    }
    for name, value in {
        "game_date": date.fromisoformat(batch.slate),
        "league": batch.league,
        "feature_snapshot": snapshot_id,
        "schema_version": PREDICTIONS_SCHEMA_VERSION,
    }.items():
        columns[name] = pa.repeat(pa.scalar(value, schema.field(name).type), rows)
    for name, attribute in _OF_THE_PLAYER.items():
        values = [getattr(player, attribute) for player in players]
        columns[name] = pa.array(values, schema.field(name).type)
    hashed = {name: columns[name] for name in schema.names if name != "content_hash"}
    columns["content_hash"] = pa.array(_content_hashes(hashed), pa.string())
    whole = pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema)
    return {slug: _rows_at(whole, positions) for slug, positions in _positions(players).items()}


def row_hashes(rows: pa.Table) -> list[str]:
    """Return the hash that each row of a part should have, over all its values except ``content_hash`` itself."""
    return _content_hashes({name: rows[name] for name in rows.column_names if name != "content_hash"})


def part_content_hash(rows: pa.Table) -> str:
    """Return SHA-256 over the rows' sorted ``content_hash`` values, as the MERGE's SQL computes it."""
    return hashlib.sha256("".join(sorted(rows["content_hash"].to_pylist())).encode()).hexdigest()


def content_id(*tables: pa.Table) -> str:
    """Return the first 20 hex digits of SHA-256 over the tables' columns: names, types and values.

    Tables of equal values have one id, however they lie in memory: what is read from a file has the id of what was
    written.
    """
    digest = hashlib.sha256()
    for table in tables:
        digest.update(f"{table.num_columns} columns\n".encode())
        for name, column in zip(table.column_names, table.columns, strict=True):
            for part in _plain_arrays(column):
                digest.update(f"{name} {part.type} {len(part)}\n".encode())
                with pa.ipc.new_stream(_Hashed(digest), pa.schema([("values", part.type)])) as writer:
                    writer.write_table(pa.table({"values": part}))
    return digest.hexdigest()[:_CONTENT_ID]


def id_of_snapshot(players: pa.Table, history: pa.Table) -> str:
    """Return a feature snapshot's id: the :func:`content_id` of its players' rows, then that of its history."""
    return content_id(players) + content_id(history)


def content_ids_of_snapshot(snapshot_id: str) -> tuple[str, str]:
    """Return the :func:`content_id` of a snapshot's players' rows and that of its history, without reading them.

    Raises:
        SnapshotUnreadable: it is no id of :func:`id_of_snapshot`.
    """
    if not _SNAPSHOT_ID.fullmatch(snapshot_id):
        raise SnapshotUnreadable(
            f"{snapshot_id!r} is no feature snapshot's id of this version; materialize player_features for its slate "
            "again"
        )
    return snapshot_id[:_CONTENT_ID], snapshot_id[_CONTENT_ID:]


class _Hashed(io.RawIOBase):
    """A file that keeps nothing of what is written but its digest."""

    def __init__(self, digest: hashlib._Hash) -> None:
        self._digest = digest

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._digest.update(content)
        return len(content)


def _plain_arrays(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """Yield arrays that hold a column's values and nothing else; memory beneath a NULL or beside a bit is arbitrary."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_list(values.type):
        yield from _plain_arrays(values.value_lengths())
        yield from _plain_arrays(values.flatten())
        return
    if values.null_count:
        yield values.is_null().cast(pa.int8())
        values = values.drop_null()
    yield values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values


def _positions(players: list[ExpectedPlayer]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for position, player in enumerate(players):
        positions.setdefault(player.slug, []).append(position)
    return positions


def _rows_at(table: pa.Table, positions: list[int]) -> pa.Table:
    """Return the rows at ascending positions; without a copy when they follow each other."""
    first, last = positions[0], positions[-1]
    if last - first + 1 == len(positions):
        return table.slice(first, len(positions))
    return table.take(pa.array(positions, pa.int64()))


def _content_hashes(columns: Mapping[str, Any]) -> list[str]:
    """Return SHA-256 over each row's values with their names; a NULL adds nothing, so that a column may be added."""
    hashes: list[str] = []
    for first in range(0, len(next(iter(columns.values()))), _HASHED_AT_ONCE):
        some = {name: column.slice(first, _HASHED_AT_ONCE) for name, column in columns.items()}
        texts = zip(*(_texts(name, column) for name, column in some.items()), strict=True)
        hashes += [hashlib.sha256("".join(row).encode()).hexdigest() for row in texts]
    return hashes


def _texts(name: str, column: pa.Array | pa.ChunkedArray) -> list[str]:
    """Return each value with its name as text that the warehouses' SQL can write too, "" for NULL."""
    # Without pyarrow.compute, whose import takes longer than all that a command that reads computes.
    values, made_of = _plain_values(column)
    distinct = [value for value in set(values) if value is not None]
    if pa.types.is_floating(column.type):
        written = _float_texts(distinct)
    else:
        written = [_text(made_of(value)) for value in distinct]
    texts = {value: f"{name}={text}," for value, text in zip(distinct, written, strict=True)}
    return [texts.get(value, "") for value in values]


def _plain_values(column: pa.Array | pa.ChunkedArray) -> tuple[list[Any], Callable[[Any], Any]]:
    """Return a column's values as they are cheap to make, and what makes the real one of each distinct value.

    Dates are days since 1970, and decimals whole numbers: a column of Python's own takes ten times as long.
    """
    kind = column.type
    chunks = [c for c in (column.chunks if isinstance(column, pa.ChunkedArray) else [column]) if len(c)]
    if pa.types.is_date32(kind):
        days = [day for chunk in chunks for day in chunk.view(pa.int32()).to_pylist()]
        return days, lambda day: _FIRST_DAY + timedelta(days=day)
    # Up to 18 digits fit into the first of the two words that hold a decimal; a column of lines has no NULL.
    if pa.types.is_decimal128(kind) and kind.precision <= 18 and not column.null_count:
        words = [np.frombuffer(chunk.buffers()[1], np.int64)[2 * chunk.offset :: 2] for chunk in chunks]
        numbers = [n for chunk, low in zip(chunks, words, strict=True) for n in low[: len(chunk)].tolist()]
        return numbers, lambda number: Decimal(number).scaleb(-kind.scale)
    return column.to_pylist(), lambda value: value


def _text(value: Any) -> str:
    match value:
        case bool():
            return "1" if value else "0"
        case str():
            return f"{len(value)}:{value}"
        case Decimal():
            return str(int(value * 100))
        case _:
            return str(value)  # an integer, or a date as 2026-01-02


def _float_texts(values: Sequence[float]) -> list[str]:
    """Return each float as two whole numbers: steps of 2^-32, and what is left of them in steps of 2^-85.

    That is exact from 2^-32 up. Floating-point numbers are multiplied by powers of two without rounding everywhere,
    but each language writes them in its own way.
    """
    numbers = np.array(values, dtype=np.float64)
    within = np.abs(numbers) <= LARGEST
    scaled = np.where(within, numbers, 0.0) * STEPS
    steps = np.floor(scaled)
    left = np.floor((scaled - steps) * FINE)
    parts = zip(steps.tolist(), left.tolist(), within.tolist(), strict=True)
    return [f"{int(whole)}.{int(rest)}" if is_within else "beyond" for whole, rest, is_within in parts]

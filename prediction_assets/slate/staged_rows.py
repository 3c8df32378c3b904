"""A player's part: his forecasts as complete prediction rows, each with a hash of its values. Pure functions.

A row's ``content_hash`` covers every value that a reader can see, so a second run with the same values keeps it and the
MERGE leaves the row alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from datetime import date
from typing import Any

import pyarrow as pa

from prediction_assets.slate.batch import Batch, ExpectedPlayer

PREDICTIONS_SCHEMA_VERSION = 1
"""Stored in every row; raise it when a column of a part is added or changes its meaning."""

POINTS_MARKET = "player_points"
"""What is predicted, as The Odds API names it."""

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
            player, system and line.
        batch: the slate's batch: the players and their opponents.
        snapshot_id: the feature snapshot that the forecasts were made from.
        schema: a part's columns, as the predictions table declares them.

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
        "market": POINTS_MARKET,
        "league": batch.league,
        "feature_snapshot": snapshot_id,
        "schema_version": PREDICTIONS_SCHEMA_VERSION,
    }.items():
        columns[name] = pa.repeat(pa.scalar(value, schema.field(name).type), rows)
    for name, attribute in _OF_THE_PLAYER.items():
        values = [getattr(player, attribute) for player in players]
        columns[name] = pa.array(values, schema.field(name).type)
    hashed = [columns[name] for name in schema.names if name != "content_hash"]
    columns["content_hash"] = pa.array(_content_hashes(hashed), pa.string())
    whole = pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema)
    return {slug: _rows_at(whole, positions) for slug, positions in _positions(players).items()}


def row_hashes(rows: pa.Table) -> list[str]:
    """Return the hash that each row of a part should have, over all its values except ``content_hash`` itself."""
    return _content_hashes([rows[name] for name in rows.column_names if name != "content_hash"])


def part_content_hash(rows: pa.Table) -> str:
    """Return SHA-256 over the rows' sorted ``content_hash`` values, as the MERGE's SQL computes it."""
    return hashlib.sha256("".join(sorted(rows["content_hash"].to_pylist())).encode()).hexdigest()


def content_id(*tables: pa.Table) -> str:
    """Return the first 20 hex digits of SHA-256 over the tables' Arrow stream."""
    digest = hashlib.sha256()
    for table in tables:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        digest.update(sink.getvalue())
    return digest.hexdigest()[:20]


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


def _content_hashes(columns: list[Any]) -> list[str]:
    """Return SHA-256 over each row's values as a JSON list; each distinct value is encoded once."""
    encoded = zip(*map(_encoded, columns), strict=True)
    return [hashlib.sha256(f"[{','.join(row)}]".encode()).hexdigest() for row in encoded]


def _encoded(column: pa.Array | pa.ChunkedArray) -> list[str]:
    """Return each value as JSON; floats one by one, because 0.0 and -0.0 are equal but differ as text."""
    values = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [
            repr(value) if value is not None and math.isfinite(value) else json.dumps(value)
            for value in values
        ]
    as_json = {value: json.dumps(value, default=str) for value in set(values)}
    return [as_json[value] for value in values]

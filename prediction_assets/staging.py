"""A player's part: forecasts with everything that a prediction row carries, hashed. Pure functions.

The row's ``content_hash`` covers every value that a reader could see, so a re-run that changes nothing
keeps it and the MERGE leaves the row alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date

import pyarrow as pa

from prediction_assets.batch_state.port import Batch
from prediction_assets.warehouse.tables import PART_SCHEMA, PREDICTIONS_SCHEMA_VERSION


def part_rows(forecasts: pa.Table, batch: Batch, snapshot_id: str) -> dict[str, pa.Table]:
    """Return each player's part, keyed by slug.

    Args:
        forecasts: the result of :func:`prediction_assets.forecasting.predictions.predict_slate`, one row per
            player, system and line.
        batch: the slate's batch, which says who the players are and whom they meet.
        snapshot_id: the feature snapshot that the forecasts were made from.

    Returns:
        tables of :data:`~prediction_assets.warehouse.tables.PART_SCHEMA`.
    """
    players = {player.player_id: player for player in batch.expected}
    common = {
        "game_date": date.fromisoformat(batch.slate),
        "league": batch.league,
        "feature_snapshot": snapshot_id,
        "schema_version": PREDICTIONS_SCHEMA_VERSION,
    }
    by_slug: dict[str, list[dict[str, object]]] = {}
    for forecast in forecasts.to_pylist():
        player = players[forecast["player_id"]]
        row = {
            **forecast,
            **common,
            "game_id": player.game_id,
            "player_slug": player.slug,
            "player_name": player.name,
            "team": player.team,
            "opponent": player.opponent,
            "is_home": player.is_home,
        }
        row["content_hash"] = row_content_hash(row)
        by_slug.setdefault(player.slug, []).append(row)
    return {slug: pa.Table.from_pylist(rows, schema=PART_SCHEMA) for slug, rows in by_slug.items()}


def row_content_hash(row: Mapping[str, object]) -> str:
    """Return SHA-256 over a row's values in the declared column order."""
    values = [row[name] for name in PART_SCHEMA.names if name != "content_hash"]
    return hashlib.sha256(json.dumps(values, default=str, separators=(",", ":")).encode()).hexdigest()

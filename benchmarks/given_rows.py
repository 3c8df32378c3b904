"""The rows that every peer is given: 25 per player, made up from a seed, in one Parquet file.

python -m benchmarks.given_rows FILE PLAYERS SEED
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from prediction_assets.slate.batch import Batch, ExpectedPlayer
from prediction_assets.slate.markets import POINTS
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.staged_rows import part_rows
from prediction_assets.stores.sql.tables import PART_SCHEMA

SLATE = "2026-01-02"
SYSTEMS = ("moving_average", "matchup", "similarity", "gradient_boosting", "ensemble")
ROWS_PER_PLAYER = 25


def expected(players: int, slate: str = SLATE) -> Batch:
    """Return a made-up batch of this many players."""
    opened = datetime.fromisoformat(slate).replace(hour=15, tzinfo=UTC)
    who = tuple(
        ExpectedPlayer(n, f"player-{n:05}", f"Player {n}", "S01", "S02", True, f"9{n // 20:09}")
        for n in range(1, players + 1)
    )
    return Batch(slate, f"{slate}@bench", "simulated", 1, opened, opened + timedelta(minutes=30), who)


def parts(players: int, seed: int, slate: str = SLATE) -> dict[str, pa.Table]:
    """Return each player's part; another seed gives the same keys with other values."""
    from prediction_assets.nba.forecasting.predictions import PREDICTION_SCHEMA  # scikit-learn takes seconds

    random = np.random.default_rng(seed)
    n = players * ROWS_PER_PLAYER
    points = np.round(random.uniform(2, 35, n), 4)
    over = np.round(random.uniform(0, 0.9, n), 6)
    lines = [Decimal(10 + offset) + Decimal("0.5") for offset in range(5)] * (players * 5)
    offsets = [Decimal(offset) for offset in range(-2, 3)] * (players * 5)
    given = {
        "player_id": np.repeat(np.arange(1, players + 1), ROWS_PER_PLAYER),
        "game_id": [""] * n,
        "market": [POINTS.name] * n,
        "system": [system for system in SYSTEMS for _ in range(5)] * players,
        "system_version": ["1"] * n,
        "line": lines,
        "line_offset": offsets,
        "line_source": ["market"] * n,
        "bookmaker": ["Simulated Book A"] * n,
        "predicted_points": points,
        "standard_deviation": np.full(n, 6.0),
        "probability_over": over,
        "probability_push": np.zeros(n),
        "recommendation": ["NO_PRICE"] * n,
        "confidence": np.maximum(over, 1 - over),
    }
    columns = [
        pa.array(given[field.name], field.type) if field.name in given else pa.nulls(n, field.type)
        for field in PREDICTION_SCHEMA
    ]
    forecasts = pa.Table.from_arrays(columns, schema=PREDICTION_SCHEMA)
    return part_rows(forecasts, expected(players, slate), f"snapshot{seed}", PART_SCHEMA)


def staged(part: PartRef) -> PlayerOutcome:
    """Return the completion of a part."""
    return PlayerOutcome(
        part.slate,
        f"{part.slate}@bench",
        part.player_slug,
        Outcome.STAGED,
        "bench",
        datetime.now(UTC),
        1,
        1,
        part=part,
    )


if __name__ == "__main__":
    pq.write_table(pa.concat_tables(parts(int(sys.argv[2]), int(sys.argv[3])).values()), Path(sys.argv[1]))

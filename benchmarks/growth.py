"""MERGE of a slate of 450 players into a table that has more and more rows of earlier slates.

    python -m benchmarks.growth FOLDER ROWS...

The history is written by DuckDB itself, slate after slate as a season would, 11,250 rows each; its content
hashes repeat, which saves disk and changes nothing for a MERGE that does not read them. Each figure is the
median of three slates that are new, then of the same three with changed values. Parts are staged beforehand; what
is timed opens the file, merges, writes the receipt and closes the file.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.given_rows import ROWS_PER_PLAYER, expected, parts, staged
from benchmarks.measuring import table
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.merge_plan import plan
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.sql.queries import COUNT_FACTS
from prediction_assets.stores.sql.tables import PREDICTIONS

PLAYERS = 450
NEWEST = date(2026, 1, 1)
SLATES = 3
BATCH = 10**6

FILL = f"""
    INSERT INTO {PREDICTIONS.qualified_name} BY NAME
    SELECT DATE '{NEWEST}' - CAST(($total - 1 - i) // {PLAYERS * ROWS_PER_PLAYER} AS INTEGER) AS game_date,
           '9' || lpad(CAST(i // 500 % 15 AS VARCHAR), 9, '0') AS game_id,
           i // {ROWS_PER_PLAYER} % {PLAYERS} + 1 AS player_id, 'player_points' AS market,
           ['moving_average', 'matchup', 'similarity', 'gradient_boosting', 'ensemble'][1 + i // 5 % 5] AS system,
           CAST(10.5 + i % 5 AS DECIMAL(6, 2)) AS line,
           'simulated' AS league, 'player-' || lpad(CAST(i // {ROWS_PER_PLAYER} % {PLAYERS} + 1 AS VARCHAR), 5, '0')
               AS player_slug,
           'Player' AS player_name, 'S01' AS team, 'S02' AS opponent, TRUE AS is_home,
           i % 350 / 10.0 AS predicted_points, 6.0 AS standard_deviation, 0.5 AS probability_over,
           0.0 AS probability_push, 'PASS' AS recommendation, 0.5 AS confidence, 'market' AS line_source,
           CAST(0 AS DECIMAL(6, 2)) AS line_offset, 'Simulated Book A' AS bookmaker, '1' AS system_version,
           'snapshot' AS feature_snapshot, 1 AS schema_version, sha256(CAST(i % 1000 AS VARCHAR)) AS content_hash,
           TRUE AS is_active, NULL AS superseded_at, NULL AS superseded_by, 'receipt' AS receipt_id,
           TIMESTAMPTZ '2026-01-01 12:00:00Z' AS created_at
    FROM range($first, $last) AS made(i)"""


def main(folder: Path, sizes: list[int]) -> None:
    """Grow one table and merge at each size."""
    root = Path(tempfile.mkdtemp(dir=folder))
    warehouse = DuckDBWarehouse(
        root / "warehouse.duckdb", ArrowParts(root / "staging"), ArrowSnapshots(root / "features")
    )
    warehouse.query(COUNT_FACTS["game_logs"])  # creates the tables
    rows: list[list[object]] = []
    filled = 0
    for size in sorted(sizes):
        fill(root / "warehouse.duckdb", filled, size, max(sizes))
        filled = size
        days = [NEWEST + timedelta(days=1 + len(rows) * SLATES + n) for n in range(SLATES)]
        new = [merged(warehouse, day, seed=0) for day in days]
        changed = [merged(warehouse, day, seed=1) for day in days]
        size_mb = (root / "warehouse.duckdb").stat().st_size / 2**20
        rows.append([size, size_mb, statistics.median(new), statistics.median(changed)])
    base = {row[0]: row for row in rows}.get(10**5, rows[0])
    table_rows = [[*row, row[2] / base[2], row[3] / base[3]] for row in rows]  # type: ignore[operator]
    columns = ("history rows", "file MiB", "new slate s", "changed slate s", "ratio new", "ratio changed")
    print(
        table(
            f"MERGE of {PLAYERS} players into a growing table, ratios to {base[0]:,} rows",
            columns,
            table_rows,
        )
    )


def fill(database: Path, done: int, size: int, total: int) -> None:
    """Write history rows up to this many; the oldest slates come first."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("SET preserve_insertion_order = true; SET memory_limit = '3GB'")
        for first in range(done, size, BATCH):
            connection.execute(FILL, {"first": first, "last": min(first + BATCH, size), "total": total})


def merged(warehouse: DuckDBWarehouse, day: date, seed: int) -> float:
    """Stage a slate, then merge it; return the seconds of the latter."""
    slate = day.isoformat()
    made = parts(PLAYERS, seed, slate)
    written = [warehouse.parts.write(slate, slug, rows, 1) for slug, rows in made.items()]
    progress = Progress(
        expected(PLAYERS, slate), {p.player_slug: staged(p) for p in written}, written[0].feature_snapshot
    )
    work = plan(progress, warehouse.receipts(slate), limits=AuditLimits(minimum_staged_share=0.8))
    started = time.perf_counter()
    receipt = warehouse.merge(work)
    seconds = time.perf_counter() - started
    counted = (receipt.rows_inserted, receipt.rows_updated)
    assert counted == ((PLAYERS * ROWS_PER_PLAYER, 0) if seed == 0 else (0, PLAYERS * ROWS_PER_PLAYER)), (
        counted
    )
    return seconds


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(float(size)) for size in sys.argv[2:]])

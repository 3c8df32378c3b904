"""The project's own ports without Dagster: parts written, one MERGE with its receipt, the parts dropped.

python ours.py FOLDER ROWS NUMBER
"""

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.given_rows import SLATE, expected, staged
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.merge_plan import plan
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.sql.tables import PART_SCHEMA


def main(folder: Path, rows: str) -> None:
    table = pq.read_table(rows).cast(PART_SCHEMA)
    slugs = table["player_slug"].to_pylist()
    starts = [n for n, slug in enumerate(slugs) if n == 0 or slugs[n - 1] != slug] + [len(slugs)]
    given = [(slugs[a], table.slice(a, b - a)) for a, b in itertools.pairwise(starts)]
    warehouse = DuckDBWarehouse(
        folder / "ours.duckdb", ArrowParts(folder / "staging"), ArrowSnapshots(folder / "features")
    )
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda each: warehouse.parts.write(SLATE, *each, 1), given))
    progress = Progress(
        expected(len(parts)), {p.player_slug: staged(p) for p in parts}, parts[0].feature_snapshot
    )
    receipt = warehouse.merge(
        plan(progress, warehouse.receipts(SLATE), limits=AuditLimits(minimum_staged_share=0.8))
    )
    list(warehouse.parts.drop(SLATE, [(part.player_slug, part.part_id) for part in parts]))
    assert receipt.rows_staged == table.num_rows, receipt


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""``python -m benchmarks.google_bill``: what the gcp profile costs, from counted calls and list prices.

The calls are counted on Firestore's emulator at two small sizes and computed for larger ones. Nothing asks Google.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import get_args

from benchmarks.measuring import table
from prediction_assets.stores.gcp.parts import Layout
from prediction_assets_tests.emulators import FIRESTORE, running
from prediction_assets_tests.google_calls import DELETES, LOADS, QUERIES, READS, TABLES_READ, WRITES, Calls
from prediction_assets_tests.google_day import Day, measured, of_players

USD = {
    # https://cloud.google.com/firestore/pricing: Standard edition, multi-region nam5; a single region costs half.
    READS: 0.06 / 100_000,
    WRITES: 0.18 / 100_000,
    DELETES: 0.02 / 100_000,
    # https://cloud.google.com/bigquery/pricing: on demand in US, 6.25 a TiB, at least 10 MB for each table of a query.
    TABLES_READ: 6.25 * 10 * 2**20 / 2**40,
    # Load jobs are free, and a query job costs what it reads.
    LOADS: 0.0,
    QUERIES: 0.0,
}
"""List prices of one unit, in US dollars, without free quotas (50,000 reads and 20,000 writes a day; 1 TiB a month)."""

_DAYS_OF_MONTH = 30
_SIZES = (100, 200)


def usd(calls: Calls) -> float:
    """Return what calls cost."""
    return sum(USD[kind] * number for kind, number in calls.items())


def bill(layouts: Mapping[Layout, tuple[Day, Day]], sizes: list[int]) -> str:
    """Return the table of money and calls for slates of these sizes in each staging layout."""
    rows: list[list[object]] = []
    for players, layout in product(sizes, layouts):
        day = of_players(*layouts[layout], players)
        for name, calls in {
            "a slate": day.slate,
            "an idle day": day.idle(),
            "an idle day, every outcome read at each look": day.idle(players),
            "a day with a slate": day.with_slate(),
            "a month of such days": Counter(
                {kind: _DAYS_OF_MONTH * number for kind, number in day.with_slate().items()}
            ),
        }.items():
            counts = (calls[kind] for kind in (READS, WRITES, LOADS, QUERIES, TABLES_READ))
            rows.append([f"{players:,} players, {layout}: {name}", *counts, round(usd(calls), 2)])
    columns = ["", "reads", "writes", "load jobs", "query jobs", "tables read", "USD"]
    return table("What Google bills", columns, rows)


def main() -> None:
    """Count, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.google_bill", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[450, 5000], help="players per slate")
    sizes = parser.parse_args().sizes
    with tempfile.TemporaryDirectory() as folder, running(FIRESTORE) as address:
        os.environ["FIRESTORE_EMULATOR_HOST"] = address
        layouts: dict[Layout, tuple[Day, Day]] = {}
        for layout in get_args(Layout):
            home = Path(folder) / layout
            project = layout.replace("_", "-")
            small, large = (
                measured(home / str(players), f"{project}-{players}", players, staging_layout=layout)
                for players in _SIZES
            )
            layouts[layout] = (small, large)
    print(bill(layouts, sizes))


if __name__ == "__main__":
    main()

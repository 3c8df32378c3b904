"""Coverage of five real seasons: reading and comparing them, beside the same question about one of them.

python -m benchmarks.coverage FOLDER
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from benchmarks.measuring import table
from prediction_assets.monitoring.coverage import coverage
from prediction_assets.settings import load_settings
from prediction_assets.stores.profiles import open_stores
from prediction_assets.stores.sql.tables import GAME_LOGS, SCHEDULE
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA, five_seasons, played_games

SPANS = {"one season": date(2024, 8, 1), "five seasons": date(2020, 8, 1)}


def main(folder: Path) -> None:
    """Store the seasons, and ask for each span."""
    if not REAL_DATA.is_dir():
        print(f"\nno coverage: {WITHOUT_REAL_DATA}")
        return
    stores = open_stores(load_settings(home=Path(tempfile.mkdtemp(dir=folder))))
    logs = five_seasons()
    stores.warehouse.upsert(GAME_LOGS, logs)
    stores.warehouse.upsert(SCHEDULE, played_games(logs))
    rows = []
    for name, first in SPANS.items():
        started = time.perf_counter()
        days = coverage(stores.warehouse, stores.outbox, first, date(2025, 6, 30), date(2025, 7, 1))
        rows.append((name, len(days), time.perf_counter() - started))
    print(table("coverage, the first question and the second", ("span", "dates", "seconds"), rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A season backfilled, slate after slate, through the same assets and jobs as every morning.

    python -m benchmarks.season FOLDER SLATES

Takes the real season 2024-25 where its data is, otherwise there is nothing to measure.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from benchmarks.measuring import table
from prediction_assets.cli.console import open_slate_run
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA

FILES = {
    "game_logs": "player_game_logs_2023_25.parquet",
    "schedule": "schedule_2023_25.csv",
    "prop_lines": "prop_lines_2024_25.csv.gz",
}
MODEL_AGE = timedelta(days=28)
"""How old the model gets before the backfill trains the next one, which counts as that slate's time."""

GAME_DAYS = """
    SELECT DISTINCT game_date FROM facts.schedule
    WHERE game_date BETWEEN DATE '2024-10-22' AND DATE '2025-04-30' ORDER BY game_date"""


def main(folder: Path, slates: int) -> None:
    """Ingest, then carry each slate from its roster to its completion."""
    if not REAL_DATA.is_dir():
        print(f"\nno season: {WITHOUT_REAL_DATA}")
        return
    os.environ["PREDICTION_ASSETS_HOME"] = tempfile.mkdtemp(dir=folder)
    seconds, players, rows = [], 0, 0
    with open_slate_run() as (_, runner):
        runner.ingest({name: {"path": str(REAL_DATA / file)} for name, file in FILES.items()})
        days = runner.stores.warehouse.query(GAME_DAYS)["game_date"].to_pylist()
        step = max(1, len(days) // slates)
        trained = date.min
        for day in days[::step][:slates]:
            started = time.perf_counter()
            if day - trained >= MODEL_AGE:
                runner.train(cutoff=day.isoformat())
                trained = day
            result = runner.whole(day.isoformat())
            seconds.append(time.perf_counter() - started)
            assert result.receipt is not None
            players += result.receipt.staged_players
            rows += result.receipt.rows
    columns = ("slates", "player-slates", "rows", "median s", "slowest s", "first tenth s", "last tenth s")
    tenth = max(1, len(seconds) // 10)
    row = [
        len(seconds), players, rows, statistics.median(seconds), max(seconds),
        statistics.median(seconds[:tenth]), statistics.median(seconds[-tenth:]),
    ]  # fmt: skip
    print(table("the season 2024-25 through the assets, one slate after another", columns, [row]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

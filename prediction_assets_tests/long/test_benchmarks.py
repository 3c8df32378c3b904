"""The benchmarks run, and the peers that need no environment of their own do the work that they are measured at."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks" / "peers"
COLUMNS = "game_date, game_id, player_id, system, line, predicted_points, content_hash"


def python(*arguments: str | Path) -> str:
    """Run this interpreter on the repository's own code and return what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=900,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_in(database: Path, table: str) -> list[tuple]:
    with closing(duckdb.connect(str(database), read_only=True)) as connection:
        return connection.execute(f"SELECT {COLUMNS} FROM {table} ORDER BY ALL").fetchall()


def test_the_plain_script_and_the_ports_leave_the_same_rows(tmp_path):
    for number in (0, 1):
        rows = tmp_path / f"rows-{number}.parquet"
        python("-m", "benchmarks.given_rows", rows, "3", str(number))
        python(PEERS / "plain.py", tmp_path, rows, str(number))
        python(PEERS / "ours.py", tmp_path, rows, str(number))
        plain = rows_in(tmp_path / "plain.duckdb", "predictions")
        assert len(plain) == 75
        assert rows_in(tmp_path / "ours.duckdb", "predictions.current_predictions") == plain


def test_a_small_run_prints_a_table_per_case():
    printed = python(
        "-m",
        "benchmarks",
        "--cases",
        "a",
        "b",
        "h",
        "i",
        "--sizes",
        "3",
        "--history",
        "1000",
        "--repeats",
        "0",
    )
    titles = [line for line in printed.splitlines() if line and not line.startswith(("|", "python"))]
    assert titles == [
        "3 players x 25 rows, first run",
        "3 players x 25 rows, again, with changed values",
        "MERGE of 450 players into a growing table, ratios to 1,000 rows",
        "450 materializations stored",
        "8 audits of 3 players",
    ]
    assert "failed" not in printed
    assert "this project: the whole slate" in printed

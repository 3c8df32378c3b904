"""What each command imports: modules are counted, because seconds depend on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets_tests.homes import SIMULATED

_HEAVY = frozenset(
    {
        "asyncio",
        "dagster",
        "google.cloud",
        "jsonschema",
        "pandas",
        "pyarrow.dataset",
        "pyarrow.parquet",
        "scipy",
        "scipy.stats",
        "sklearn",
    }
)

_PROGRAM = f"""
import atexit, sys
from prediction_assets import cli
atexit.register(lambda: print(len(sys.modules), *sorted({set(_HEAVY)!r} & {{*sys.modules}})))
cli.main()
"""

_READING = 532
"""Modules of a command that reads: half are pyarrow with NumPy and DuckDB, half typer, rich and the settings."""

_BUDGETS = {
    "status": (_READING, set()),
    "messages": (_READING, set()),
    f"predictions --slate {SIMULATED} --bets": (_READING, set()),
    f"diff --slate {SIMULATED}": (_READING, set()),
    "verify": (_READING, set()),
    "slo --from 2026-01-01": (_READING, set()),
    "coverage --from 2026-01-01": (_READING, set()),
    "dead-letters list": (_READING, set()),
    "alerts list": (_READING, set()),
    "health": (1_720, {"asyncio", "dagster"}),
    # What was fitted for the slate is kept, so that another run of it needs neither scikit-learn nor SciPy.
    f"run --slate {SIMULATED}": (1_750, {"asyncio", "dagster", "jsonschema"}),
}
"""The most modules that a command may have imported at its end, and the heavy packages that it needs."""


def test_no_command_imports_more_than_it_needs(published: SlateRun) -> None:
    environment = {**os.environ, "PREDICTION_ASSETS_HOME": str(published._settings.home)}

    def imported(command: str) -> tuple[int, set[str]]:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *command.split()], env=environment, capture_output=True, text=True
        )  # fmt: skip
        assert "error: " not in done.stderr, (command, done.stderr)
        count, *heavy = done.stdout.splitlines()[-1].split()
        return int(count), set(heavy)

    with ThreadPoolExecutor(2) as two_at_once:
        found = dict(zip(_BUDGETS, two_at_once.map(imported, _BUDGETS), strict=True))
    beyond = {
        command: (count, heavy - needed)
        for (command, (count, heavy)), (most, needed) in zip(found.items(), _BUDGETS.values(), strict=True)
        if count > most or heavy - needed
    }
    assert not beyond

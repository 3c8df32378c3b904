"""The folder stays pure: collecting it imports nothing that takes seconds or reaches outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("dagster", "sklearn", "google", "duckdb", "sqlalchemy", "prediction_assets.stores.gcp")

COLLECT = """
import sys
import pytest

code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:xdist", sys.argv[1]])
assert code == 0, code
print("imported:", *sorted(name for name in sys.argv[2:] if name in sys.modules))
"""


@pytest.fixture(scope="module")
def imported() -> str:
    """What a process that only collected this folder has imported of the heavy modules."""
    collected = subprocess.run(
        [sys.executable, "-c", COLLECT, str(Path(__file__).parent), *HEAVY], capture_output=True, text=True
    )
    assert collected.returncode == 0, collected.stdout[-2000:] + collected.stderr[-2000:]
    return collected.stdout.splitlines()[-1]


def test_collecting_the_unit_tests_imports_neither_dagster_nor_a_database_nor_google(imported: str) -> None:
    assert imported == "imported:"

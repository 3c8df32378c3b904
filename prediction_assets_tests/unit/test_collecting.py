"""The folder stays pure: collecting it imports nothing that takes seconds or reaches outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prediction_assets_tests.unit.conftest import IMPORTED_BY_COLLECTING

HEAVY = ("dagster", "sklearn", "google", "duckdb", "sqlalchemy", "sqlglot", "prediction_assets.stores.gcp")

COLLECT = """
import sys
import pytest

code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:xdist", sys.argv[1]])
assert code == 0, code
print(*sys.modules)
"""


def test_collecting_the_unit_tests_imports_neither_dagster_nor_a_database_nor_google(
    request: pytest.FixtureRequest,
) -> None:
    imported = request.config.stash.get(IMPORTED_BY_COLLECTING, None)
    if imported is None:  # other folders were collected, too: collect this one in a process of its own
        collected = subprocess.run(
            [sys.executable, "-c", COLLECT, str(Path(__file__).parent)], capture_output=True, text=True
        )
        assert collected.returncode == 0, collected.stdout[-2000:] + collected.stderr[-2000:]
        imported = frozenset(collected.stdout.splitlines()[-1].split())
    assert "prediction_assets.slate.keys" in imported
    assert imported.isdisjoint(HEAVY)

"""More random slates on both warehouses, or with ``--fuzz-slice 3/20`` a twentieth of the fuzz's.

The seeds are fixed, so a slice that failed fails again. An example on BigQuery's emulator takes a second or two, so
there are fewer. They are dealt out to tests that can run side by side.
"""

from __future__ import annotations

import pytest

from prediction_assets_tests.acceptance.slate_machine import check_slates_on_bigquery, check_slates_on_duckdb
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint

__all__ = ["bigquery_endpoint"]  # a fixture

DUCKDB_EXAMPLES, BIGQUERY_EXAMPLES = 200, 60
DUCKDB_FUZZED, BIGQUERY_FUZZED = 5000, 500
"""In all slices of ``make fuzz``. The rules are the same code; the emulator takes several times as long."""
SHARES = 2


@pytest.fixture
def fuzz_slice(request: pytest.FixtureRequest) -> tuple[int, int] | None:
    """The number of the slice that was chosen and how many slices there are, None without a choice."""
    chosen = request.config.getoption("--fuzz-slice")
    if chosen is None:
        return None
    number, _, slices = chosen.partition("/")
    return int(number), int(slices)


@pytest.mark.parametrize("share", range(SHARES))
def test_many_slates_on_duckdb_are_as_the_model_says(tmp_path, fuzz_slice, share):
    number, slices = fuzz_slice or (1, 1)
    examples = (DUCKDB_FUZZED // slices if fuzz_slice else DUCKDB_EXAMPLES) // SHARES
    check_slates_on_duckdb(tmp_path, examples=examples, number=number * SHARES + share)


@pytest.mark.parametrize("share", range(SHARES))
def test_many_slates_on_bigquery_are_as_the_model_says(bigquery_endpoint, tmp_path, fuzz_slice, share):
    number, slices = fuzz_slice or (1, 1)
    examples = (BIGQUERY_FUZZED // slices if fuzz_slice else BIGQUERY_EXAMPLES) // SHARES
    check_slates_on_bigquery(bigquery_endpoint, tmp_path, examples=examples, number=number * SHARES + share)

"""More random slates on both warehouses: 200 on each, or with ``--fuzz-slice 3/50`` a fiftieth of 5,000.

The seeds are fixed, so a slice that failed fails again. An example on BigQuery's emulator takes a second or two, so
they are dealt out to four tests that can run side by side.
"""

from __future__ import annotations

import pytest

from prediction_assets_tests.acceptance.slate_machine import check_slates_on_bigquery, check_slates_on_duckdb
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint

__all__ = ["bigquery_endpoint"]  # a fixture

EXAMPLES, FUZZED = 200, 5000
SHARES = 4


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> tuple[int, int]:
    """How many examples to run, and the number of the slice that they are; ``make test`` runs the first of slice 0."""
    chosen = request.config.getoption("--fuzz-slice")
    if chosen is None:
        return EXAMPLES, 0
    number, _, slices = chosen.partition("/")
    return FUZZED // int(slices), int(number)


def test_many_slates_on_duckdb_are_as_the_model_says(tmp_path, examples):
    count, number = examples
    check_slates_on_duckdb(tmp_path, examples=count, number=number)


@pytest.mark.parametrize("share", range(SHARES))
def test_many_slates_on_bigquery_are_as_the_model_says(bigquery_endpoint, tmp_path, examples, share):
    count, number = examples
    check_slates_on_bigquery(
        bigquery_endpoint, tmp_path, examples=count // SHARES, number=number * SHARES + share
    )

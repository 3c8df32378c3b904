"""Random slates on both warehouses, always the same ones; ``long/`` runs more of them, ``make fuzz`` thousands."""

from __future__ import annotations

from prediction_assets_tests.acceptance.slate_machine import check_slates_on_bigquery, check_slates_on_duckdb
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint

__all__ = ["bigquery_endpoint"]  # a fixture


def test_any_slate_on_duckdb_is_as_the_model_says(tmp_path):
    check_slates_on_duckdb(tmp_path, examples=5)


def test_any_slate_on_bigquery_is_as_the_model_says(bigquery_endpoint, tmp_path):
    check_slates_on_bigquery(bigquery_endpoint, tmp_path, examples=2)

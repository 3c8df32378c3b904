"""Statements that nobody but a person with a console would run on a warehouse."""

from __future__ import annotations

import duckdb

from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import dialects
from prediction_assets_tests.in_memory import InMemoryWarehouse


def by_hand(warehouse: Warehouse, statement: str) -> None:
    """Run one statement in DuckDB's dialect on either warehouse, past everything that guards it."""
    if isinstance(warehouse, BigQueryWarehouse):
        text = dialects.render(statement, "bigquery", warehouse._relations)
        warehouse.jobs.query(text, purpose="by_hand", doing="changing the warehouse by hand")
        return
    if isinstance(warehouse, InMemoryWarehouse):
        with warehouse._connect(write=True) as connection:
            connection.execute(statement)
        return
    with duckdb.connect(str(warehouse._database)) as connection:  # type: ignore[attr-defined]
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(statement)

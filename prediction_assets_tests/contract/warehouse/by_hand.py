"""Statements that nobody but a person with a console would run on a warehouse."""

from __future__ import annotations

import duckdb

from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import dialects


def by_hand(warehouse: Warehouse, statement: str) -> None:
    """Run one statement in DuckDB's dialect on either warehouse, past everything that guards it."""
    if isinstance(warehouse, BigQueryWarehouse):
        text = dialects.render(statement, "bigquery", warehouse._relations)
        warehouse.jobs.query(text, purpose="by_hand", doing="changing the warehouse by hand")
        return
    with duckdb.connect(str(warehouse._database)) as connection:  # type: ignore[attr-defined]
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(statement)

"""A made-up next release of the embedded stores, without Dagster, because killed processes import it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prediction_assets.stores.local import state_file, warehouse_schema
from prediction_assets.stores.local import warehouse as local_warehouse
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.state_schema import STEPS
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.sql.tables import (
    RECEIPTS,
    TABLES,
    WAREHOUSE_SCHEMA_VERSION,
    Column,
    ColumnType,
    Table,
)

# What a made-up next release adds to each store: a table and a column.
NOTES = Table(
    "predictions",
    "notes",
    "Made up.",
    (Column("game_date", ColumnType.DATE, "day"), Column("note", ColumnType.STRING, "text")),
    key=("game_date",),
)
REMARK = Column("remark", ColumnType.STRING, "Made up.")
NEXT_TABLES = (
    *(dataclasses.replace(t, columns=(*t.columns, REMARK)) if t is RECEIPTS else t for t in TABLES),
    NOTES,
)
NEXT_STEPS = (
    *STEPS,
    (
        "CREATE TABLE notes (slate TEXT PRIMARY KEY, note TEXT) STRICT",
        "ALTER TABLE outcomes ADD COLUMN remark TEXT",
    ),
)


@contextmanager
def next_release() -> Iterator[None]:
    """Run code as the made-up next release would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_file, "STEPS", NEXT_STEPS)
        patch.setattr(warehouse_schema, "TABLES", NEXT_TABLES)
        for module in (warehouse_schema, local_warehouse):
            patch.setattr(module, "WAREHOUSE_SCHEMA_VERSION", WAREHOUSE_SCHEMA_VERSION + 1)
        yield


def opened(home: Path) -> DuckDBWarehouse:
    parts = ArrowParts(home / "staging")
    return DuckDBWarehouse(home / "warehouse.duckdb", parts, ArrowSnapshots(home / "features"), 30.0)

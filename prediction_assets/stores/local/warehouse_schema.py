"""The embedded warehouse's schema: which version a file has, and what it lacks of the declared tables.

The version is the newest row of ``predictions.schema_versions``, committed together with what that version added.
Opening the file and reading its rows don't belong here.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from prediction_assets import __version__
from prediction_assets.errors import WarehouseUnreadable
from prediction_assets.stores.sql import table_sql
from prediction_assets.stores.sql.tables import TABLES, VIEWS, WAREHOUSE_SCHEMA_VERSION
from prediction_assets.stores.versions import require_known

_VERSIONS = "predictions.schema_versions"
_COLUMNS_THERE = (
    "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() WHERE NOT internal"
)
_CREATE_VERSIONS = (
    "CREATE SCHEMA IF NOT EXISTS predictions",
    f"CREATE TABLE IF NOT EXISTS {_VERSIONS} "
    "(version BIGINT NOT NULL, migrated_at TIMESTAMPTZ NOT NULL, code_version VARCHAR NOT NULL)",
)
_NEWEST = f"SELECT MAX(version) FROM {_VERSIONS}"  # noqa: S608  our own text
_RECORD = f"INSERT INTO {_VERSIONS} VALUES ($version, now(), $code_version)"  # noqa: S608  our own text


@dataclass(frozen=True, slots=True)
class Lack:
    """What a file lacks."""

    version: int | None  # the version that it records, None when it is new
    changes: tuple[str, ...] = ()  # one line for each missing table, column or view
    statements: tuple[str, ...] = ()  # the DDL that adds them

    def __bool__(self) -> bool:
        return self.version != WAREHOUSE_SCHEMA_VERSION


def lack(connection: duckdb.DuckDBPyConnection, store: str) -> Lack:
    """Return what a file lacks of the declared tables and views; a file of the known version lacks nothing.

    Raises:
        WarehouseUnreadable: one of its tables lacks a column that is never NULL.
    """
    version = _version(connection)
    require_known(store, version, WAREHOUSE_SCHEMA_VERSION)
    if version == WAREHOUSE_SCHEMA_VERSION:
        return Lack(version)
    there: dict[str, set[str]] = {}
    for table_name, column_name in connection.execute(_COLUMNS_THERE).fetchall():
        there.setdefault(table_name, set()).add(column_name)
    changes, statements = [], []
    for table in TABLES:
        if table.qualified_name not in there:
            changes.append(f"add table {table.qualified_name}")
            statements += [f"CREATE SCHEMA IF NOT EXISTS {table.dataset}", table_sql.create_table(table)]
            continue
        for column in table.columns:
            if column.name in there[table.qualified_name]:
                continue
            if column.required or column.name in table.key:
                raise WarehouseUnreadable(
                    f"{store}: table {table.qualified_name} has no column {column.name}, which is never NULL and can't "
                    "be added; nothing was changed. Restore the file from a backup, or move it away and ingest again"
                )
            changes.append(f"add column {table.qualified_name}.{column.name}")
            statements.append(table_sql.add_column(table, column))
    for view in VIEWS:
        if view.qualified_name not in there:
            changes.append(f"add view {view.qualified_name}")
            statements.append(table_sql.create_view(view))
    return Lack(version, tuple(changes), tuple(statements))


def _version(connection: duckdb.DuckDBPyConnection) -> int | None:
    try:
        ((version,),) = connection.execute(_NEWEST).fetchall()
    except duckdb.CatalogException:
        return None
    return None if version is None else int(version)


def complete(connection: duckdb.DuckDBPyConnection, lacking: Lack) -> None:
    """Add what a file lacks and record the version, in one transaction."""
    connection.begin()
    try:
        for statement in (*lacking.statements, *_CREATE_VERSIONS):
            connection.execute(statement)
        connection.execute(_RECORD, {"version": WAREHOUSE_SCHEMA_VERSION, "code_version": __version__})
    except BaseException:
        connection.rollback()
        raise
    connection.commit()

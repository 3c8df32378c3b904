"""SQL from a table's declaration: its DDL, and the upsert of ingested facts with their version."""

from __future__ import annotations

from collections.abc import Sequence

from prediction_assets.stores.sql.tables import FACTS_DATASET, FACTS_VERSIONS, QUARANTINE, Column, Table, View

FACTS_VERSION = f"SELECT COALESCE(MAX(version), 0) AS version FROM {FACTS_VERSIONS.qualified_name}"
"""The version of the facts now, 0 before the first ingestion."""

RAISE_FACTS_VERSION = (
    # The update changes no value. Of two transactions that insert, BigQuery aborts neither, and both would take the
    # same number; of two that update one row it aborts one, and its job is run again.
    f"UPDATE {FACTS_VERSIONS.qualified_name} SET changed_at = changed_at "
    f"WHERE version = (SELECT MAX(v.version) FROM {FACTS_VERSIONS.qualified_name} AS v)",
    f"INSERT INTO {FACTS_VERSIONS.qualified_name} (version, table_name, changed_at) "
    f"SELECT COALESCE(MAX(version), 0) + 1, $table_name, CURRENT_TIMESTAMP FROM {FACTS_VERSIONS.qualified_name}",
)
"""The statements that an upsert which changed facts runs in its transaction."""


def are_facts(table: Table) -> bool:
    """Return whether a change of this table raises the facts' version."""
    return table.dataset == FACTS_DATASET and table.name not in (FACTS_VERSIONS.name, QUARANTINE.name)


def create_table(table: Table) -> str:
    """Return DuckDB's DDL that creates a table unless it exists; on BigQuery its client creates tables."""
    required = {*table.key, *(c.name for c in table.columns if c.required)}
    columns = ", ".join(
        f'"{c.name}" {c.type.duckdb}{" NOT NULL" if c.name in required else ""}' for c in table.columns
    )
    return f"CREATE TABLE IF NOT EXISTS {table.qualified_name} ({columns})"


def create_view(view: View) -> str:
    """Return DuckDB's DDL that creates a view unless it exists; on BigQuery its client creates views."""
    return f"CREATE VIEW IF NOT EXISTS {view.qualified_name} AS {view.select}"


def add_column(table: Table, column: Column) -> str:
    """Return DuckDB's DDL that adds a nullable column to a table."""
    return f'ALTER TABLE {table.qualified_name} ADD COLUMN "{column.name}" {column.type.duckdb}'


def same_key(key: Sequence[str], left: str, right: str) -> str:
    return " AND ".join(f'{left}."{c}" = {right}."{c}"' for c in key)


def assignments(columns: Sequence[str], source: str) -> str:
    return ", ".join(f'"{c}" = {source}."{c}"' for c in columns)


def names(columns: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{c}"' for c in columns)


def _values_differ(table: Table, left: str, right: str) -> str:
    values = [c for c in table.column_names if c not in table.key]
    return " OR ".join(f'{left}."{c}" IS DISTINCT FROM {right}."{c}"' for c in values)


def count_upsert(table: Table, source: str) -> str:
    """Return a SELECT of ``inserted, updated, unchanged``: what :func:`upsert` is going to do."""
    missing = f't."{table.key[0]}" IS NULL'
    differs = _values_differ(table, "t", "s")
    return f"""
        SELECT
            COUNT(CASE WHEN {missing} THEN 1 END) AS inserted,
            COUNT(CASE WHEN NOT {missing} AND ({differs}) THEN 1 END) AS updated,
            COUNT(CASE WHEN NOT {missing} AND NOT ({differs}) THEN 1 END) AS unchanged
        FROM {source} AS s LEFT JOIN {table.qualified_name} AS t ON {same_key(table.key, "s", "t")}"""


def upsert(table: Table, source: str) -> str:
    """Return the MERGE of new facts: insert unknown keys, update the rows whose values differ."""
    values = [c for c in table.column_names if c not in table.key]
    return f"""
        MERGE INTO {table.qualified_name} AS t USING {source} AS s ON {same_key(table.key, "t", "s")}
        WHEN MATCHED AND ({_values_differ(table, "t", "s")}) THEN UPDATE SET {assignments(values, "s")}
        WHEN NOT MATCHED THEN INSERT ({names(table.column_names)}) VALUES ({names(table.column_names, "s.")})"""


def _replaced(table: Table, source: str, group: Sequence[str], also: str | None) -> str:
    # One EXISTS over both sources: BigQuery can't turn two that an OR connects into a join.
    groups = " UNION ALL ".join(f"SELECT {names(group)} FROM {one}" for one in (source, also) if one)
    return f"""
        FROM {table.qualified_name} AS t
        WHERE EXISTS (SELECT 1 FROM ({groups}) AS g WHERE {same_key(group, "g", "t")})
          AND NOT EXISTS (SELECT 1 FROM {source} AS s WHERE {same_key(table.key, "s", "t")})"""


def count_replaced(table: Table, source: str, group: Sequence[str], also: str | None = None) -> str:
    """Return a SELECT of ``removed``, the rows that :func:`delete_replaced` is going to delete."""
    return f"SELECT COUNT(*) AS removed {_replaced(table, source, group, also)}"


def delete_replaced(table: Table, source: str, group: Sequence[str], also: str | None = None) -> str:
    """Return a DELETE of stale rows: their group is in the source or in ``also``, their key isn't in the source."""
    return f"DELETE {_replaced(table, source, group, also)}"

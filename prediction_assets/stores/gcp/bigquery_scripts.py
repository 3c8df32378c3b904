"""The BigQuery warehouse's scripts, as text: one job holds the whole transaction of a MERGE, an upsert or a pruning.

The statements come from :mod:`prediction_assets.stores.sql`; this module joins them with BigQuery's procedural
language. A script doesn't raise: its last SELECT gives the result, so that a later process can read it from the job.
Pure functions.
"""
# ruff: noqa: S608  identifiers come from the declared tables, values go through _literal

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.slate.receipt import COUNTED, MergeCounts
from prediction_assets.stores.sql import audit_sql, dialects, merge_sql, pruning_sql, table_sql
from prediction_assets.stores.sql.tables import PART_COLUMNS, RECEIPTS, Column, Table

TABLES_PER_STATEMENT = 500
"""Tables with parts that one statement reads. BigQuery allows 1,000 in one query; the script itself reads a few more.
https://cloud.google.com/bigquery/quotas#query_jobs
"""

SCRIPT_BYTES = 1_000_000
"""Largest text of one job; BigQuery's limit is 1 MiB."""

PART_ID = "part_id"
"""The column that a table of several parts has beside a part's own: which part a row is of."""

COMMITTED, DONE_BEFORE, OVERTAKEN, BEGAN, MISMATCH, FAULTY, REFUSED = (
    "committed",
    "done_before",
    "overtaken",
    "began",
    "mismatch",
    "faulty",
    "refused",
)
"""Results of a merge script; only ``committed`` and ``done_before`` have a receipt."""

RECEIPT_FIELD = "receipt_"
"""Prefix of the receipt's columns in a merge script's answer."""

_PLANNED_COUNTS = ("staged", "inserted", "updated", "unchanged", "active_before")
_COUNTS = ("in_force", "written", "closed", "active")
_NUMBERS = ("sequence", "revision", "replaces")
_COMPUTED = {
    "consolidated_at": "v_now",
    "merge_ms": "v_merge_ms",
    "sequence": "numbers.sequence",
    "revision": "numbers.revision",
    "replaces": "NULLIF(numbers.replaces, 0)",
    "rows": "counted.active",
    "rows_staged": "planned.staged",
    "rows_inserted": "planned.inserted",
    "rows_updated": "planned.updated",
    "rows_unchanged": "planned.unchanged",
    "rows_superseded": "counted.closed - planned.updated",
    "rows_digest": "v_rows_digest",
    "audits": "audited.verdicts",
    "previous_hash": "v_previous_hash",
    "receipt_hash": "v_receipt_hash",
    "pruned_at": "CAST(NULL AS TIMESTAMP)",
}
_NOTHING_COUNTED = MergeCounts(0, 0, 0, 0, 0, 0, "")
_NOT_YET = datetime(1970, 1, 1, tzinfo=UTC)
"""Where the script sets ``consolidated_at``, by BigQuery's clock and in its transaction (:data:`_COMPUTED`)."""

_LONG = frozenset({"promised", "kept_player_ids", "staged_player_ids", "parts", "missing"})
"""Values of a merge script that are as long as the slate has players."""

Relations = Mapping[str, tuple[str, ...]]
Value = str | bool | int | float | date | datetime | Sequence[str] | Sequence[int]
Given = Mapping[str, tuple[str, Value]]
"""Type and value of each named parameter of a script."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """The tables with the rows of a consolidation's parts and with its long lists, for its script to read."""

    rows: tuple[str, str, str]  # a table with the columns of a part
    lists: tuple[str, str, str]  # a table with one row and the columns of `long_lists`


def _literal(value: Value) -> str:
    # Values are declared at a script's top and not passed as query parameters: the emulator drops those of a script.
    # BigQuery's string literals know JSON's escapes: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.astimezone(UTC).isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return repr(value)
    return "[" + ", ".join(_literal(item) for item in value) + "]"


def _declare(name: str, kind: str, value: Value | None = None) -> str:
    default = "" if value is None or value == [] else f" DEFAULT {_literal(value)}"
    if value == []:
        default = f" DEFAULT CAST([] AS {kind})"
    return f"DECLARE {name} {kind}{default}"


def _declare_counts(name: str, fields: Sequence[str]) -> str:
    kind = ", ".join(f"{field} INT64" for field in fields)
    zeros = ", ".join(f"0 AS {field}" for field in fields)
    return f"DECLARE {name} STRUCT<{kind}> DEFAULT (SELECT AS STRUCT {zeros})"


def _set_counts(name: str, select: str) -> str:
    return f"SET {name} = ({select.replace('SELECT', 'SELECT AS STRUCT', 1)})"


def _script(*statements: str) -> str:
    return "".join(f"{statement};\n" for statement in statements)


def select_parts(
    relation: tuple[str, ...], present: frozenset[str] | None, part_ids: Sequence[str] = ()
) -> str:
    """Return the SELECT of the rows of a table's parts.

    Args:
        present: the table's columns if it was staged under an earlier schema version; the others become NULL.
        part_ids: the parts to read of a table that several share; empty for a part that is a table.
    """
    columns = ", ".join(
        f"`{c.name}`"
        if present is None or c.name in present
        else f"CAST(NULL AS {c.type.bigquery}) AS `{c.name}`"
        for c in PART_COLUMNS
    )
    return f"SELECT {columns} FROM {_quoted(relation)}{_of_parts(part_ids)}"


def drop_parts(relation: tuple[str, ...], part_ids: Sequence[str]) -> str:
    """Return the statement that deletes parts from a table that others share with them."""
    return f"DELETE FROM {_quoted(relation)}{_of_parts(part_ids)}"


def _of_parts(part_ids: Sequence[str]) -> str:
    return f" WHERE {PART_ID} IN ({', '.join(map(_literal, part_ids))})" if part_ids else ""


def _quoted(relation: tuple[str, ...]) -> str:
    return ".".join(f"`{step}`" for step in relation)


def add_column(relation: tuple[str, ...], column: Column) -> str:
    """Return the statement that adds a nullable column; nothing happens if another process was first."""
    return f"ALTER TABLE {_quoted(relation)} ADD COLUMN IF NOT EXISTS `{column.name}` {column.type.bigquery}"


def gather(rows: tuple[str, ...], selects: Sequence[str]) -> list[str]:
    """Return the statements, for one job each, that put all parts' rows into one new table."""
    return _fill("CREATE TABLE", _quoted(rows), selects)


def _fill(create: str, table: str, selects: Sequence[str]) -> list[str]:
    """Return the statements that fill a new table with the rows of these SELECTs, some of them in each statement."""
    if not selects:
        return [f"{create} {table} ({', '.join(f'`{c.name}` {c.type.bigquery}' for c in PART_COLUMNS)})"]
    names = ", ".join(f"`{c.name}`" for c in PART_COLUMNS)
    chunks = [selects[n : n + TABLES_PER_STATEMENT] for n in range(0, len(selects), TABLES_PER_STATEMENT)]
    return [
        (f"INSERT INTO {table} ({names}) " if position else f"{create} {table} AS ")
        + " UNION ALL ".join(chunk)
        for position, chunk in enumerate(chunks)
    ]


def long_lists(work: MergePlan) -> Given:
    """Return the values of a merge script that are as long as the slate has players."""
    return {name: value for name, value in _given(work).items() if name in _LONG}


def _given(work: MergePlan) -> Given:
    planned = work.receipt(_NOTHING_COUNTED, (), merge_ms=0.0, now=_NOT_YET)
    row = planned.to_row()
    audited = {
        name: value
        for name, value in audit_sql.parameters(work).items()
        if name not in row and name != "slate"
    }
    return {
        **{name: (_kind(value), value) for name, value in audited.items()},
        "staged_player_ids": ("ARRAY<INT64>", list(work.staged_player_ids)),
        "accepted_names": ("ARRAY<STRING>", sorted(work.accepted)),
        "planned_digest": ("STRING", planned.planned_digest()),
        "revision_floor": ("INT64", work.revision_floor),
        **{c.name: (c.type.bigquery, row[c.name]) for c in RECEIPTS.columns if c.name not in _COMPUTED},
        "promised": ("ARRAY<STRING>", [f"{p.player_slug} {p.rows} {p.content_hash}" for p in work.parts]),
        "after": ("STRING", work.after),
        "before": ("TIMESTAMP", work.before),
        "kept_player_ids": ("ARRAY<INT64>", [*work.staged_player_ids, *work.retained_player_ids]),
    }


def _kind(value: Value) -> str:
    return {bool: "BOOL", int: "INT64", float: "FLOAT64"}.get(type(value), "STRING")


def _receipt_hash() -> str:
    """Return the expression of what :meth:`Receipt.computed_hash` computes, over the script's variables."""
    numbers = [f"CAST(COALESCE({_COMPUTED[name]}, 0) AS STRING)" for name in COUNTED]
    texts = ["v_planned_digest", *numbers, "v_rows_digest", "TO_HEX(SHA256(audited.verdicts))"]
    texts += ["CAST(CAST(ROUND(v_merge_ms * 10) AS INT64) AS STRING)", "CAST(UNIX_MICROS(v_now) AS STRING)"]
    texts += ["v_previous_hash"]
    # A JSON list of whole numbers and of digests, which are quoted and have nothing to escape.
    items = [text if text.startswith("CAST") else f"CONCAT('\"', {text}, '\"')" for text in texts]
    return f"TO_HEX(SHA256(CONCAT('[', ARRAY_TO_STRING([{', '.join(items)}], ','), ']')))"


def merge_script(
    work: MergePlan, selects: Sequence[str], relations: Relations, gathered: Gathered | None = None
) -> str:
    """Return the script that verifies the parts, merges them and writes the receipt, or changes nothing.

    Its last SELECT gives one row: ``outcome``, ``detail`` (the parts, the key or the audits at fault, the
    microseconds of its clock), the ``verdicts`` of the audits, and the receipt's columns with the prefix
    :data:`RECEIPT_FIELD`.

    Args:
        selects: one SELECT for each table with parts; not used if the rows are gathered.
        relations: the installation's tables by their declared names.
        gathered: the tables with rows and long lists, if the script's text can't hold them.
    """
    staged = f"staged_{work.receipt_id[:24]}"
    placed = {**relations, merge_sql.STAGED: gathered.rows if gathered else (staged,)}
    elsewhere = (
        {name: f"(SELECT l.`{name}` FROM {_quoted(gathered.lists)} AS l)" for name in _LONG}
        if gathered
        else {}
    )
    given = {name: value for name, value in _given(work).items() if name not in elsewhere}
    variables = {
        **{name: f"v_{name}" for name in given},
        **elsewhere,
        **_COMPUTED,
        **{name: f"planned.{name}" for name in _PLANNED_COUNTS},
        **{name: f"counted.{name}" for name in _COUNTS},
        "slate": "v_game_date",
        "now": "v_now",
        "started": "v_started",
    }

    def rendered(statement: str) -> str:
        return dialects.render(statement, "bigquery", placed, variables)

    receipts = _quoted(tuple(placed[RECEIPTS.qualified_name]))
    mine = "game_date = v_game_date AND receipt_id = v_receipt_id"
    receipt_columns = ", ".join(f"r.`{c}` AS `{RECEIPT_FIELD}{c}`" for c in RECEIPTS.column_names)
    # - The parts are verified before the transaction, because they never change. Of two transactions that change the
    #   same table BigQuery aborts one as a whole, so a transaction has to be short; an aborted job is run again.
    #   https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
    # - The caller looked at the receipts before this job: inside the transaction the script looks again for its own
    #   receipt (another attempt committed) and for a newer one (another consolidation came first).
    # - NEXT_MOMENT is later than the newest receipt's time: machines' clocks differ, and this orders receipts.
    # - Rows are counted before the MERGE and after it, and the audits run on the rows as they would be: the script
    #   commits only if none of them refuses, and no game has begun whose players' rows it changes.
    transaction = f"""\
IF v_unpromised IS NOT NULL THEN
SET v_outcome = '{MISMATCH}'; SET v_detail = v_unpromised;
ELSEIF v_faulty IS NOT NULL THEN
SET v_outcome = '{FAULTY}'; SET v_detail = v_faulty;
ELSE
BEGIN TRANSACTION;
SET v_started = CURRENT_TIMESTAMP();
SET v_now = ({rendered(merge_sql.NEXT_MOMENT)});
IF (SELECT COUNT(*) FROM {receipts} WHERE {mine}) > 0 THEN
ROLLBACK TRANSACTION;
SET v_outcome = '{DONE_BEFORE}';
ELSEIF ({rendered(merge_sql.NEWEST_RECEIPT)}) <> v_after THEN
SET v_detail = ({rendered(merge_sql.NEWEST_RECEIPT)});
ROLLBACK TRANSACTION;
SET v_outcome = '{OVERTAKEN}';
ELSE
{_set_counts("planned", rendered(merge_sql.COUNT_MERGE))};
{rendered(merge_sql.CLOSE_ROWS)};
{rendered(merge_sql.INSERT_ROWS)};
{_set_counts("counted", rendered(merge_sql.COUNT_AFTER_MERGE))};
SET audited = (SELECT AS STRUCT verdicts, refused FROM ({rendered(audit_sql.AUDIT)}) AS found);
IF audited.refused = '' THEN
SET v_rows_digest = ({rendered(merge_sql.ROWS_DIGEST)});
SET v_previous_hash = ({rendered(merge_sql.PREVIOUS_HASH)});
{_set_counts("numbers", rendered(merge_sql.NEXT_NUMBERS))};
SET v_merge_ms = ROUND(TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), v_started, MICROSECOND) / 1000, 1);
SET v_receipt_hash = {_receipt_hash()};
{rendered(merge_sql.INSERT_RECEIPT)};
IF CURRENT_TIMESTAMP() < v_before THEN
COMMIT TRANSACTION;
SET v_outcome = '{COMMITTED}';
ELSE
ROLLBACK TRANSACTION;
SET v_outcome = '{BEGAN}'; SET v_detail = CAST(UNIX_MICROS(CURRENT_TIMESTAMP()) AS STRING);
END IF;
ELSE
ROLLBACK TRANSACTION;
SET v_outcome = '{REFUSED}'; SET v_detail = audited.refused;
END IF;
END IF;
END IF"""
    return _script(
        *(_declare(f"v_{name}", kind, value) for name, (kind, value) in given.items()),
        "DECLARE v_outcome, v_detail, v_unpromised, v_faulty STRING",
        "DECLARE v_rows_digest, v_previous_hash, v_receipt_hash STRING",
        "DECLARE v_started, v_now TIMESTAMP",
        "DECLARE v_merge_ms FLOAT64",
        _declare_counts("planned", _PLANNED_COUNTS),
        _declare_counts("counted", _COUNTS),
        _declare_counts("numbers", _NUMBERS),
        "DECLARE audited STRUCT<verdicts STRING, refused STRING> "
        "DEFAULT (SELECT AS STRUCT '' AS verdicts, '' AS refused)",
        *([] if gathered else _fill("CREATE OR REPLACE TEMP TABLE", staged, selects)),
        "SET v_unpromised = (SELECT STRING_AGG(part, ',' ORDER BY part) "
        f"FROM ({rendered(merge_sql.UNPROMISED_PARTS)}))",
        "SET v_faulty = (SELECT STRING_AGG(CONCAT(player_slug, ' ', system, ' ', line_text, ' ', "
        f"CAST(row_count AS STRING)), ',' ORDER BY player_slug) FROM ({rendered(merge_sql.FAULTY_KEYS)}))",
        transaction,
        "SELECT v_outcome AS outcome, v_detail AS detail, audited.verdicts AS verdicts, "
        + f"{receipt_columns} FROM (SELECT 1 AS one) AS o "
        + f"LEFT JOIN (SELECT 1 AS one, * FROM {receipts} WHERE {mine}) AS r ON o.one = r.one",
    )


def upsert_script(
    table: Table,
    incoming: tuple[str, ...],
    group: Sequence[str],
    relations: Relations,
    also_replaced: tuple[str, ...] | None = None,
) -> str:
    """Return the script that upserts a loaded table; its last SELECT gives inserted, updated, unchanged, removed.

    Args:
        incoming: where the rows were loaded.
        group: columns that name a group of rows; the new rows replace their groups. Empty for a plain upsert.
        also_replaced: the table of the groups that are replaced even without a new row.
    """
    placed = {**relations, "incoming": incoming}
    also = None
    if also_replaced is not None:
        also = "also_replaced"
        placed[also] = also_replaced
    fields = ("inserted", "updated", "unchanged")

    def rendered(statement: str) -> str:
        return dialects.render(statement, "bigquery", placed, {"table_name": "v_table_name"})

    replacing = (
        [
            f"SET v_removed = ({rendered(table_sql.count_replaced(table, 'incoming', group, also))})",
            rendered(table_sql.delete_replaced(table, "incoming", group, also)),
        ]
        if group
        else []
    )
    return _script(
        _declare_counts("counted", fields),
        "DECLARE v_removed INT64 DEFAULT 0",
        _declare("v_table_name", "STRING", table.name),
        "BEGIN TRANSACTION",
        _set_counts("counted", rendered(table_sql.count_upsert(table, "incoming"))),
        *replacing,
        rendered(table_sql.upsert(table, "incoming")),
        *([_raise_facts_version(rendered)] if table_sql.are_facts(table) else []),
        "COMMIT TRANSACTION",
        "SELECT " + ", ".join(f"counted.{f} AS {f}" for f in fields) + ", v_removed AS removed",
    )


def _raise_facts_version(rendered: Callable[[str], str]) -> str:
    return (
        "IF counted.inserted + counted.updated + v_removed > 0 THEN\n"
        f"{_script(*map(rendered, table_sql.RAISE_FACTS_VERSION))}END IF"
    )


def prune_script(pruning: pruning_sql.Pruning, given: Given, relations: Relations) -> str:
    """Return the script that prunes history in one transaction; its last SELECT gives ``pruned``."""
    variables = {name: f"v_{name}" for name in given}

    def rendered(statement: str) -> str:
        return dialects.render(statement, "bigquery", relations, variables)

    return _script(
        *(_declare(f"v_{name}", kind, value) for name, (kind, value) in given.items()),
        "DECLARE v_pruned INT64 DEFAULT 0",
        "BEGIN TRANSACTION",
        f"SET v_pruned = ({rendered(pruning.count)})",
        *map(rendered, pruning.statements),
        "COMMIT TRANSACTION",
        "SELECT v_pruned AS pruned",
    )

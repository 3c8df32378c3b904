"""Every text of a BigQuery job passes Google's own analyzer; the emulator is built on DuckDB and takes more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

import pytest

from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import PartRef
from prediction_assets.stores.gcp import bigquery_scripts as scripts
from prediction_assets.stores.sql import dialects, merge_sql
from prediction_assets.stores.sql.tables import (
    CURRENT_PREDICTIONS,
    PART_COLUMNS,
    PREDICTION_GRADES,
    PREDICTIONS,
    PROP_LINES,
    SCHEDULE,
    TABLES,
    Column,
    Table,
)
from prediction_assets_tests import googlesql
from prediction_assets_tests.contract.warehouse.test_sql import PRUNINGS, RELATIONS, STATEMENTS
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, progress_of, staged

SUSPECT = re.compile(r"INTERVAL\s+'")
"""The analyzer knows standard SQL's quoted interval; BigQuery documents ``INTERVAL 1 MICROSECOND`` alone."""

AT = ("my-project", "nba_staging")
PARTS = [
    PartRef(SLATE, player(n).slug, player(n).player_id, "a" * 32, 25, "b" * 64, 1, "c" * 20) for n in (1, 2)
]
PART_TABLES = [(*AT, f"part_{n}") for n in (1, 2)]
SELECTS = [scripts.select_parts(table, None) for table in PART_TABLES]
SHARED_TABLE = (*AT, "shared")
IN_IT = [f"{n:032x}" for n in (1, 2)]
WORK = plan(progress_of(batch(3), *map(staged, PARTS)), ())
GATHERED = scripts.Gathered((*AT, "rows_1"), (*AT, "lists_1"))

# The parameters' types by their names; a parameter with a column's name has the column's type.
DATES = ("slate", "since", "first", "last", "until", "today", "oldest", "history_start")
PARAMETERS = {
    **{c.name: c.type.bigquery for table in TABLES for c in table.columns},
    **dict.fromkeys(DATES, "DATE"),
    **dict.fromkeys(("now", "before", "moment", "started", "day", "month"), "TIMESTAMP"),
    **dict.fromkeys(
        ("form_games", "joined_games", "games", "limit", "year", "revision_floor", "suspended"), "INT64"
    ),
    **dict.fromkeys(("staged", "inserted", "updated", "unchanged", "active_before"), "INT64"),
    **dict.fromkeys(("in_force", "written", "closed", "active", "in_parts"), "INT64"),
    **dict.fromkeys(("one_direction_minimum",), "INT64"),
    **dict.fromkeys(("minimum_staged_share", "most_points", "least_value", "one_direction_share"), "FLOAT64"),
    **dict.fromkeys(("is_retraction",), "BOOL"),
    **dict.fromkeys(("table_name", "content_digest", "origin"), "STRING"),
    **dict.fromkeys(("receipt_ids", "promised", "accepted_names", "markets"), "ARRAY<STRING>"),
    **dict.fromkeys(("kept_player_ids", "staged_player_ids", "players"), "ARRAY<INT64>"),
}
SINCE_A_MOMENT = {"since": "TIMESTAMP", "until": "TIMESTAMP"}
SINCE_A_VERSION = {"since": "INT64"}
OF_ONE_STATEMENT = {
    "NEWEST_FETCHES": SINCE_A_MOMENT,
    "MERGED_SINCE": SINCE_A_MOMENT,
    "LINES_SEEN": SINCE_A_MOMENT,
    "NEWEST_INJURY_REPORT": SINCE_A_MOMENT,
    "FACTS_CHANGED": SINCE_A_VERSION,
    "FACTS_CHANGED_AT": SINCE_A_VERSION,
}


def incoming(table: Table, suffix: str = "") -> tuple[str, ...]:
    """Return where the rows are loaded that a table is going to get."""
    return (*AT, f"incoming_{table.name}{suffix}")


def columns_of(columns: Iterable[Column]) -> googlesql.Columns:
    return {column.name: column.type.bigquery for column in columns}


CATALOG: googlesql.Tables = {
    **{RELATIONS[table.qualified_name]: columns_of(table.columns) for table in TABLES},
    **{
        incoming(table, suffix): columns_of(table.columns) for table in TABLES for suffix in ("", "_replaced")
    },
    RELATIONS[CURRENT_PREDICTIONS.qualified_name]: columns_of(PREDICTIONS.columns),
    **dict.fromkeys(
        [*PART_TABLES, GATHERED.rows, RELATIONS[merge_sql.STAGED], (f"staged_{WORK.receipt_id[:24]}",)],
        columns_of(PART_COLUMNS),
    ),
    SHARED_TABLE: columns_of(PART_COLUMNS) | {scripts.PART_ID: "STRING"},
    GATHERED.lists: {name: kind for name, (kind, _) in scripts.long_lists(WORK).items()},
}


def test_every_statement_is_one_of_bigquery_s() -> None:
    wrong = {}
    for name, statement in STATEMENTS.items():
        about = re.search(r"\((\w+)\)", name)
        table = next((t for t in TABLES if about and t.name == about[1]), PROP_LINES)
        table = SCHEDULE if name == "delete_replaced(also)" else table
        placed = {**RELATIONS, "incoming": incoming(table), "also_replaced": incoming(table, "_replaced")}
        text = dialects.render(statement, "bigquery", placed)
        parameters = {**PARAMETERS, **OF_ONE_STATEMENT.get(name, {})}
        found = [*googlesql.statement_errors(text, CATALOG, parameters), *SUSPECT.findall(text)]
        if found:
            wrong[name] = found
    assert wrong == {}


def rendered_scripts() -> dict[str, str]:
    """Return every script of BigQuery's, and every statement that only its scripts' module writes."""
    day = {"slate": ("DATE", date.fromisoformat(SLATE))}
    marks = {"receipt_ids": ("ARRAY<STRING>", []), "now": ("TIMESTAMP", NOW), "before": ("TIMESTAMP", NOW)}
    return {
        "merge": scripts.merge_script(WORK, SELECTS, RELATIONS),
        "merge of gathered parts": scripts.merge_script(WORK, SELECTS, RELATIONS, GATHERED),
        "merge of parts that share a table": scripts.merge_script(
            WORK, [scripts.select_parts(SHARED_TABLE, None, IN_IT)], RELATIONS
        ),
        "drop parts of a shared table": scripts.drop_parts(SHARED_TABLE, IN_IT),
        "gather": scripts.gather((*AT, "rows_2"), SELECTS)[0],
        "gather more": scripts.gather((*AT, "rows_1"), [SELECTS[0]] * (scripts.TABLES_PER_STATEMENT + 1))[1],
        "gather nothing": scripts.gather((*AT, "rows_2"), [])[0],
        "part of an earlier version": scripts.select_parts(PART_TABLES[0], frozenset({"system", "line"})),
        **{
            f"prune {name}": scripts.prune_script(each, {**day, **marks}, RELATIONS)
            for name, each in PRUNINGS.items()
        },
        **{
            f"upsert {t.name}": scripts.upsert_script(t, incoming(t), (), RELATIONS)
            for t in (PROP_LINES, PREDICTION_GRADES)
        },
        **{
            f"replace {t.name}": scripts.upsert_script(t, incoming(t), t.key[:1], RELATIONS, also)
            for t in (PROP_LINES, SCHEDULE)
            for also in (None, incoming(t, "_replaced"))
        },
        **{
            f"add {t.qualified_name}.{c.name}": scripts.add_column(RELATIONS[t.qualified_name], c)
            for t in TABLES
            for c in t.columns[-1:]
        },
    }


def test_every_script_is_one_of_bigquery_s_and_assigns_what_its_variables_hold() -> None:
    wrong = {}
    for name, text in rendered_scripts().items():
        found = [*googlesql.script_errors(text, CATALOG), *SUSPECT.findall(text)]
        if found:
            wrong[name] = found
    assert wrong == {}


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("SELECT HISTOGRAM(points) FROM facts.game_logs", "Function not found: HISTOGRAM"),
        ("SELECT JACCARD(team, opponent) FROM facts.game_logs", "Function not found: JACCARD"),
        ("SELECT * FROM facts.game_logs WHERE game_date = $now", "No matching signature for operator ="),
        ("SELECT player_name FROM facts.game_logs WHERE points = '3 points'", "INT64"),
        ("SELECT no_such_column FROM facts.game_logs", "Unrecognized name: no_such_column"),
    ],
)  # fmt: skip
def test_what_duckdb_s_dialect_has_and_bigquery_doesn_t_is_refused(statement: str, complaint: str) -> None:
    text = dialects.render(statement, "bigquery", RELATIONS)
    found = googlesql.statement_errors(text, CATALOG, PARAMETERS)
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("SET v_count = 'three'", "has type STRING which cannot be inserted"),
        ("SET v_count = (SELECT player_name FROM facts.game_logs)", "cannot be inserted"),
        ("IF v_day > v_count THEN SELECT 1; END IF", "No matching signature for operator >"),
        ("IF v_count > 1 THEN SELECT 1; ELSEIF v_count > 2 THEN SELECT 2; ELSE SELECT nothing; END IF", "nothing"),
        ("SELECT counted.of_what", "does not exist in STRUCT"),
        ("COMMIT NOW TRANSACTION", "Syntax error"),
    ],
)  # fmt: skip
def test_a_wrong_step_of_a_script_is_found(step: str, complaint: str) -> None:
    script = f"""
        DECLARE v_day DATE DEFAULT DATE '2026-01-02';
        DECLARE v_count INT64;
        DECLARE counted STRUCT<staged INT64> DEFAULT (SELECT AS STRUCT 0 AS staged);
        {step};"""
    found = googlesql.script_errors(script, {("facts", "game_logs"): {"player_name": "STRING"}})
    assert len(found) == 1
    assert complaint in found[0]

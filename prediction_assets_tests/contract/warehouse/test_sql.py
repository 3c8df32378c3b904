"""The statements are written in DuckDB's dialect; each has to be one statement of BigQuery's as well."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlglot
from sqlglot import exp

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting.features import conform
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL, of_players
from prediction_assets.nba.forecasting.lines import SUSPENDED_PRICE
from prediction_assets.nba.forecasting.sides_sql import CANDIDATES_SQL, REPORTED_SQL
from prediction_assets.simulation.league import SimulatedLeague, simulate_league
from prediction_assets.slate.markets import MARKETS
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import audit_sql, dialects, merge_sql, pruning_sql, queries, table_sql
from prediction_assets.stores.sql.tables import (
    CURRENT_PREDICTIONS,
    GAME_LOGS,
    PREDICTIONS,
    PROP_LINES,
    SCHEDULE,
    TABLES,
    VIEWS,
)
from prediction_assets_tests.contract.warehouse.test_contract import merge
from prediction_assets_tests.made_up import SLATE, player, rows_of, staged

PRUNINGS = {name: each for name, each in vars(pruning_sql).items() if isinstance(each, pruning_sql.Pruning)}
STATEMENTS = {
    name: value
    for module in (audit_sql, merge_sql, pruning_sql, queries)
    for name, value in vars(module).items()
    if name.isupper()
    and not name.startswith("_")
    and isinstance(value, str)
    and re.match(r"\s*(SELECT|WITH|MERGE|UPDATE|INSERT|DELETE)\s", value)
} | {
    "FEATURES_SQL": FEATURES_SQL,
    "of_players(FEATURES_SQL)": of_players(FEATURES_SQL),
    "CANDIDATES_SQL": CANDIDATES_SQL,
    "REPORTED_SQL": REPORTED_SQL,
    **{f"Pruning.count({name})": pruning.count for name, pruning in PRUNINGS.items()},
    **{view.qualified_name: view.select for view in VIEWS},
    **{f"COUNT_FACTS[{name}]": text for name, text in queries.COUNT_FACTS.items()},
    **{
        f"{made.__name__}({t.name})": made(t, "incoming")
        for t in TABLES
        for made in (table_sql.count_upsert, table_sql.upsert)
    },
    "count_replaced": table_sql.count_replaced(PROP_LINES, "incoming", ("event_id", "capture")),
    "delete_replaced": table_sql.delete_replaced(PROP_LINES, "incoming", ("event_id", "capture")),
    "delete_replaced(also)": table_sql.delete_replaced(SCHEDULE, "incoming", ("game_date",), "also_replaced"),
}
RELATIONS = {
    **{t.qualified_name: ("my-project", f"nba_{t.dataset}", t.name) for t in (*TABLES, *VIEWS)},
    merge_sql.STAGED: ("staged_1",),
    "incoming": ("my-project", "nba_staging", "incoming_1"),
    "also_replaced": ("my-project", "nba_staging", "incoming_1_replaced"),
}


def test_every_statement_is_one_of_bigquery_s_dialect_on_the_installation_s_own_tables():
    assert len(STATEMENTS) > 60
    wrong = {}
    for name, statement in STATEMENTS.items():
        rendered = dialects.render(statement, "bigquery", RELATIONS)
        tree = sqlglot.parse_one(rendered, read="bigquery")  # raises unless it is one statement
        named_within = {cte.alias for cte in tree.find_all(exp.CTE)}
        read = {tuple(part.name for part in t.parts) for t in tree.find_all(exp.Table)}
        foreign = {table for table in read if table[0] not in named_within} - {*RELATIONS.values()}
        if foreign:
            wrong[name] = f"other tables: {foreign}"
        if tree.find(exp.Command):
            wrong[name] = "sqlglot gave up and passed the text through"
        if "$" in re.sub(r"'[^']*'", "", rendered):
            wrong[name] = "a parameter in DuckDB's form"
    assert wrong == {}


def test_every_scan_of_the_predictions_names_their_date():
    scans = {}
    for name, statement in STATEMENTS.items():
        tree = sqlglot.parse_one(statement, read="duckdb")
        if "incoming" in statement or (
            isinstance(tree, exp.Merge) and "t.game_date" in tree.args["on"].sql()
        ):
            continue
        for table in tree.find_all(exp.Table):
            if table.name in (PREDICTIONS.name, CURRENT_PREDICTIONS.name):
                scope = table.find_ancestor(exp.Select, exp.Update, exp.Delete)
                if scope is None:  # what an INSERT writes to
                    continue
                named = bool(re.search(r"game_date (=|<|>)", scope.args["where"].sql()))
                scans[name] = scans.get(name, True) and named
    del scans[CURRENT_PREDICTIONS.qualified_name]  # a view; what reads it names the date
    assert len(scans) > 15
    assert [name for name, named in scans.items() if not named] == []


def test_the_dialect_they_are_written_in_is_left_as_it_is():
    assert dialects.render(merge_sql.CLOSE_ROWS, "duckdb") is merge_sql.CLOSE_ROWS


def test_a_parameter_becomes_a_script_variable_where_it_is_named_so():
    rendered = dialects.render(
        "SELECT $slate AS a, $rows AS b, $other AS c",
        "bigquery",
        variables={"slate": "v_slate", "rows": "n.active"},
    )
    assert rendered == "SELECT v_slate AS a, n.active AS b, @other AS c"


def test_a_name_in_a_text_or_comment_is_not_taken_for_a_table():
    rendered = dialects.render(
        "SELECT 'facts.schedule' AS facts FROM facts.schedule -- facts.schedule", "bigquery", RELATIONS
    )
    assert rendered.startswith("SELECT 'facts.schedule' AS facts FROM `my-project`.`nba_facts`.`schedule`")


def test_a_part_s_hash_is_hexadecimal_text_on_both():
    assert "TO_HEX(SHA256(" in dialects.render(merge_sql.STAGED_BY_PLAYER, "bigquery")


@pytest.mark.parametrize("text", ["SELECT FROM WHERE", "SELECT 1; SELECT 2", "'"])
def test_what_is_not_one_statement_is_refused(text):
    with pytest.raises(PredictionAssetsError, match="not one SQL statement"):
        dialects.render(text, "bigquery")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", True),
        ("WITH a AS (SELECT 1 AS n) SELECT n FROM a", True),
        ("SELECT 1 UNION ALL SELECT 2", True),
        ("DELETE FROM facts.schedule", False),
        ("SELECT 1; DELETE FROM facts.schedule", False),
        ("DROP TABLE facts.schedule", False),
        ("nonsense", False),
    ],
)
def test_only_a_single_select_reads(text, expected):
    assert dialects.is_select(text) is expected


def with_facts(warehouse: Warehouse, league: SimulatedLeague) -> Warehouse:
    """Return a warehouse after storing a league's facts and merging one player."""
    warehouse.upsert(GAME_LOGS, league.game_logs)
    warehouse.upsert(SCHEDULE, league.schedule)
    warehouse.upsert(PROP_LINES, league.prop_lines)
    part = warehouse.parts.write(SLATE, "player-1", rows_of(player(1), {"24.5": 20.0, "25": 21.0}), 1)
    merge(warehouse, staged(part), players=1)
    return warehouse


def asked(league, slate) -> dict[str, tuple[str, dict[str, object]]]:
    """Return each query that the platform asks, with parameters as it gives them."""
    whose = {"slate": league.slate, "league": league.name}
    return {
        "SLATE_GAMES": (queries.SLATE_GAMES, {"slate": league.slate}),
        "SCHEDULE_SPANS": (queries.SCHEDULE_SPANS, {"today": league.slate}),
        "ROSTER_CANDIDATES": (
            queries.ROSTER_CANDIDATES,
            {**whose, "since": league.slate - timedelta(days=400), "form_games": 7, "joined_games": 25},
        ),
        "NEWCOMERS": (queries.NEWCOMERS, whose),
        "KNOWN_PLAYERS": (queries.KNOWN_PLAYERS, {"league": league.name}),
        "MARKET_LINES": (
            queries.MARKET_LINES,
            {**whose, "markets": [*MARKETS], "suspended": SUSPENDED_PRICE},
        ),
        "GAMES_WITHOUT_LOGS": (
            queries.GAMES_WITHOUT_LOGS,
            {**whose, "first": league.slate - timedelta(days=10), "last": league.slate},
        ),
        "HOLDS_LEAGUE": (f"{queries.HOLDS_LEAGUE} ORDER BY facts", {"league": league.name}),
        "LEAGUES_HELD": (f"{queries.LEAGUES_HELD} ORDER BY facts", {}),
        "GAMES_OF_SEASON": (
            queries.GAMES_OF_SEASON, {"league": league.name, "year": 2025, "today": league.slate},
        ),
        "NEWEST_LINES": (queries.NEWEST_LINES, {**whose, "since": league.slate - timedelta(days=60)}),
        "RECENT_RESULTS": (
            queries.RECENT_RESULTS, {**whose, "since": league.slate - timedelta(days=60), "games": 10},
        ),
        "PREDICTIONS_SAMPLE": (queries.PREDICTIONS_SAMPLE, {"slate": slate, "limit": 5}),
        "BETS_AS_OF": (queries.BETS_AS_OF, {"slate": slate, "moment": datetime(2026, 1, 2, 15, tzinfo=UTC)}),
        "FEATURES_SQL": (FEATURES_SQL, {**whose, "history_start": league.slate - timedelta(days=15)}),
        "of_players(FEATURES_SQL)": (
            of_players(FEATURES_SQL),
            {**whose, "history_start": league.slate, "players": league.game_logs["player_id"].unique().to_pylist()[3:]},
        ),
        **{f"COUNT_FACTS[{name}]": (text, {}) for name, text in queries.COUNT_FACTS.items()},
    }  # fmt: skip


def test_every_query_has_the_same_answer_on_both_warehouses(open_duckdb, open_bigquery):
    league = simulate_league(40)
    ours, theirs = with_facts(open_duckdb(), league), with_facts(open_bigquery(), league)
    for name, (text, parameters) in asked(league, date.fromisoformat(SLATE)).items():
        answer, other = ours.query(text, parameters), theirs.query(text, parameters)
        if "FEATURES_SQL" in name:
            assert answer.num_rows > (200 if text is FEATURES_SQL else 40)
            answer, other = conform(answer), conform(other)
        assert answer.num_rows > 0, name
        assert (answer.column_names, answer.schema.types) == (other.column_names, other.schema.types), name
        for row, same in zip(answer.to_pylist(), other.to_pylist(), strict=True):
            assert all(alike(row[column], same[column]) for column in row), (name, row, same)


def alike(value: object, other: object) -> bool:
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=1e-12, abs_tol=1e-12)
    return value == other

"""The platform's SQL, written once in DuckDB's dialect; :func:`render` gives it to another warehouse.

Values are always named parameters (``$slate``). Identifiers come from the declarations in
:mod:`prediction_assets.warehouse.tables` and from nowhere else. Pure text: no client, nothing is run here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.warehouse.tables import (
    GAME_LOGS,
    INJURY_REPORTS,
    MERGE_COLUMNS,
    PART_COLUMNS,
    POINTS_MODELS,
    PREDICTION_GRADES,
    PREDICTIONS,
    PROP_LINES,
    RECEIPTS,
    SCHEDULE,
    Column,
    Table,
)

if TYPE_CHECKING:
    from sqlglot.expressions import Expr


def render(
    statement: str,
    dialect: str,
    relations: Mapping[str, tuple[str, ...]] | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Return a statement of this module in another dialect that sqlglot knows, such as ``bigquery``.

    Args:
        relations: relation to put in a relation's place, by its name as written here:
            ``{"facts.game_logs": ("my-project", "nba_facts", "game_logs")}``.
        variables: script variable to put in a named parameter's place: ``{"slate": "v_slate"}``, or
            ``{"rows": "after.active"}`` for the field of a struct.
    """
    if dialect == "duckdb":
        return statement
    return _rendered(statement, dialect, tuple((relations or {}).items()), tuple((variables or {}).items()))


@lru_cache(maxsize=512)
def is_select(statement: str) -> bool:
    """Return whether a text in DuckDB's dialect is exactly one statement that only reads."""
    import sqlglot
    from sqlglot import exp

    try:
        found = sqlglot.parse(statement, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return False
    return len(found) == 1 and isinstance(found[0], exp.Query)


@lru_cache(maxsize=512)
def _rendered(
    statement: str,
    dialect: str,
    relations: tuple[tuple[str, tuple[str, ...]], ...],
    variables: tuple[tuple[str, str], ...],
) -> str:
    import sqlglot  # half a second to import, and the embedded warehouse never needs it
    from sqlglot import exp

    try:
        trees = sqlglot.parse(statement, read="duckdb")
    except sqlglot.errors.SqlglotError:
        trees = []
    tree = trees[0] if len(trees) == 1 else None
    if tree is None:
        text = " ".join(statement.split())[:200]
        raise PredictionAssetsError(f"not one SQL statement in DuckDB's dialect: {text}")
    in_place_of = dict(relations)
    for table in list(tree.find_all(exp.Table)):
        found = in_place_of.get(f"{table.db}.{table.name}" if table.db else table.name)
        if found is not None:
            for argument, name in zip(("this", "db", "catalog"), reversed(found), strict=False):
                table.set(argument, exp.to_identifier(name, quoted=True))
    named_variables = dict(variables)
    for parameter in list(tree.find_all(exp.Parameter, exp.Placeholder)):
        variable = named_variables.get(parameter.name)
        if variable is not None:
            parameter.replace(exp.column(*reversed(variable.split("."))))
    if dialect == "bigquery":
        _suit_bigquery(tree)
    return tree.sql(dialect=dialect)


def _suit_bigquery(tree: Expr) -> None:
    """Say what sqlglot leaves as DuckDB has it, in place."""
    from sqlglot import exp

    # DuckDB's SHA256 gives hexadecimal text, BigQuery's gives bytes.
    for digest in list(tree.find_all(exp.SHA2)):
        if not isinstance(digest.parent, exp.LowerHex):
            digest.replace(exp.LowerHex(this=digest.copy()))
    # BigQuery has long refused a QUALIFY without a WHERE, GROUP BY or HAVING.
    for select in tree.find_all(exp.Select):
        if select.args.get("qualify") and not any(map(select.args.get, ("where", "group", "having"))):
            select.where("TRUE", copy=False)


def create_table(table: Table) -> str:
    """Return the DDL that creates a table unless it exists (DuckDB; BigQuery's comes from its client)."""
    required = {*table.key, *(c.name for c in table.columns if c.required)}
    columns = ", ".join(
        f'"{c.name}" {c.type.duckdb}{" NOT NULL" if c.name in required else ""}' for c in table.columns
    )
    return f"CREATE TABLE IF NOT EXISTS {table.qualified_name} ({columns})"


def add_column(table: Table, column: Column) -> str:
    """Return the DDL that adds a nullable column to a table (DuckDB)."""
    return f'ALTER TABLE {table.qualified_name} ADD COLUMN "{column.name}" {column.type.duckdb}'


def _same_key(key: Sequence[str], left: str, right: str) -> str:
    return " AND ".join(f'{left}."{c}" = {right}."{c}"' for c in key)


def _assignments(columns: Sequence[str], source: str) -> str:
    return ", ".join(f'"{c}" = {source}."{c}"' for c in columns)


def _names(columns: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{c}"' for c in columns)


# Ingestion ---------------------------------------------------------------------------------------


def _values_differ(table: Table, left: str, right: str) -> str:
    values = [c for c in table.column_names if c not in table.key]
    return " OR ".join(f'{left}."{c}" IS DISTINCT FROM {right}."{c}"' for c in values)


def count_upsert(table: Table, source: str) -> str:
    """Return a SELECT of ``inserted, updated, unchanged`` for an upsert that hasn't run yet."""
    missing = f't."{table.key[0]}" IS NULL'
    differs = _values_differ(table, "t", "s")
    return f"""
        SELECT
            COUNT(CASE WHEN {missing} THEN 1 END) AS inserted,
            COUNT(CASE WHEN NOT {missing} AND ({differs}) THEN 1 END) AS updated,
            COUNT(CASE WHEN NOT {missing} AND NOT ({differs}) THEN 1 END) AS unchanged
        FROM {source} AS s LEFT JOIN {table.qualified_name} AS t ON {_same_key(table.key, "s", "t")}"""


def upsert(table: Table, source: str) -> str:
    """Return the MERGE of new facts: insert unknown keys, update the rows whose values differ."""
    values = [c for c in table.column_names if c not in table.key]
    return f"""
        MERGE INTO {table.qualified_name} AS t USING {source} AS s ON {_same_key(table.key, "t", "s")}
        WHEN MATCHED AND ({_values_differ(table, "t", "s")}) THEN UPDATE SET {_assignments(values, "s")}
        WHEN NOT MATCHED THEN INSERT ({_names(table.column_names)}) VALUES ({_names(table.column_names, "s.")})"""


def _replaced(table: Table, source: str, group: Sequence[str]) -> str:
    return f"""
        FROM {table.qualified_name} AS t
        WHERE EXISTS (SELECT 1 FROM {source} AS s WHERE {_same_key(group, "s", "t")})
          AND NOT EXISTS (SELECT 1 FROM {source} AS s WHERE {_same_key(table.key, "s", "t")})"""


def count_replaced(table: Table, source: str, group: Sequence[str]) -> str:
    """Return a SELECT of ``removed``, the rows that :func:`delete_replaced` is going to delete."""
    return f"SELECT COUNT(*) AS removed {_replaced(table, source, group)}"


def delete_replaced(table: Table, source: str, group: Sequence[str]) -> str:
    """Return the DELETE of rows whose group is in the source while they themselves are not."""
    return f"DELETE {_replaced(table, source, group)}"


# Consolidation -----------------------------------------------------------------------------------

_TARGET = PREDICTIONS.qualified_name
_KEY = PREDICTIONS.key
_PART = [c.name for c in PART_COLUMNS]
_PART_VALUES = [c for c in _PART if c not in _KEY]

STAGED = "staged"
"""The name of the relation that holds the parts' rows during a consolidation."""

STAGED_BY_PLAYER = f"""
    SELECT player_slug, COUNT(*) AS row_count,
           SHA256(STRING_AGG(content_hash, '' ORDER BY content_hash NULLS FIRST)) AS content_hash
    FROM {STAGED} GROUP BY player_slug"""

UNPROMISED_PARTS = f"""
    WITH found AS (
        SELECT player_slug || ' ' || CAST(row_count AS VARCHAR) || ' ' || content_hash AS part
        FROM ({STAGED_BY_PLAYER}) AS staged_by_player
    ),
    promised AS (SELECT listed.part FROM UNNEST(CAST($promised AS VARCHAR[])) AS listed(part))
    SELECT COALESCE(f.part, p.part) AS part
    FROM found AS f FULL OUTER JOIN promised AS p ON f.part = p.part
    WHERE f.part IS NULL OR p.part IS NULL"""
"""Parts as ``slug rows hash`` that are staged but weren't promised, or were promised and aren't staged."""

FAULTY_KEYS = f"""
    SELECT player_slug, system, CAST(line AS VARCHAR) AS line_text, COUNT(*) AS row_count
    FROM {STAGED}
    GROUP BY {", ".join(_KEY)}, player_slug
    HAVING COUNT(*) > 1 OR game_date <> $slate
    ORDER BY player_slug, system, line_text LIMIT 5"""

COUNT_MERGE = f"""
    SELECT
        COUNT(*) AS staged,
        COUNT(CASE WHEN t.system IS NULL THEN 1 END) AS inserted,
        COUNT(CASE WHEN t.system IS NOT NULL AND (t.content_hash <> s.content_hash OR NOT t.is_active)
                   THEN 1 END) AS updated,
        COUNT(CASE WHEN t.content_hash = s.content_hash AND t.is_active THEN 1 END) AS unchanged
    FROM {STAGED} AS s
    LEFT JOIN (SELECT * FROM {_TARGET} WHERE game_date = $slate) AS t ON {_same_key(_KEY, "s", "t")}"""

MERGE = f"""
    MERGE INTO {_TARGET} AS t USING {STAGED} AS s
    ON t.game_date = $slate AND {_same_key(_KEY, "t", "s")}
    WHEN MATCHED AND (t.content_hash <> s.content_hash OR NOT t.is_active) THEN UPDATE SET
        {_assignments(_PART_VALUES, "s")},
        is_active = TRUE, superseded_at = NULL, receipt_id = $receipt_id, updated_at = $now
    WHEN NOT MATCHED THEN INSERT ({_names(_PART)}, {_names(MERGE_COLUMNS)})
        VALUES ({_names(_PART, "s.")}, TRUE, NULL, $receipt_id, $now, $now)"""

SUPERSEDE = f"""
    UPDATE {_TARGET} AS t
    SET is_active = FALSE, superseded_at = $now, receipt_id = $receipt_id, updated_at = $now
    WHERE t.game_date = $slate AND t.is_active
      AND NOT EXISTS (SELECT 1 FROM {STAGED} AS s WHERE {_same_key(_KEY, "s", "t")})
      AND (t.player_id IN (SELECT s.player_id FROM {STAGED} AS s)
           OR t.player_id NOT IN (SELECT kept.id FROM UNNEST(CAST($kept_player_ids AS BIGINT[])) AS kept(id)))"""

COUNT_SUPERSEDED = f"""
    SELECT COUNT(*) AS superseded FROM {_TARGET}
    WHERE game_date = $slate AND receipt_id = $receipt_id AND NOT is_active"""

COUNT_AFTER_MERGE = f"""
    SELECT
        (SELECT COUNT(*) FROM {STAGED} AS s JOIN {_TARGET} AS t ON {_same_key(_KEY, "s", "t")}
          WHERE t.game_date = $slate AND t.is_active AND t.content_hash = s.content_hash) AS in_force,
        (SELECT COUNT(*) FROM {_TARGET}
          WHERE game_date = $slate AND receipt_id = $receipt_id AND is_active) AS changed,
        (SELECT COUNT(*) FROM {_TARGET} WHERE game_date = $slate AND is_active) AS active"""

NEXT_REVISION = f"""
    SELECT COALESCE((
        SELECT revision + CASE WHEN content_digest = $content_digest THEN 0 ELSE 1 END
        FROM {RECEIPTS.qualified_name} WHERE game_date = $slate
        ORDER BY consolidated_at DESC, receipt_id DESC LIMIT 1), 1) AS revision"""
"""What :meth:`Receipt.of` computes, for a warehouse that writes the receipt in the MERGE's own script."""

NEWEST_RECEIPT = f"""
    SELECT COALESCE((
        SELECT receipt_id FROM {RECEIPTS.qualified_name} WHERE game_date = $slate
        ORDER BY consolidated_at DESC, receipt_id DESC LIMIT 1), '') AS newest_receipt"""

NEXT_MOMENT = f"""
    SELECT GREATEST($started, COALESCE(MAX(consolidated_at) + INTERVAL 1 MICROSECOND, $started)) AS moment
    FROM {RECEIPTS.qualified_name} WHERE game_date = $slate"""
"""What :func:`prediction_assets.warehouse.port.later_than` computes, for the same."""

RECEIPTS_OF_SLATE = f"""
    SELECT {_names(RECEIPTS.column_names)} FROM {RECEIPTS.qualified_name}
    WHERE game_date = $slate ORDER BY consolidated_at, receipt_id"""

INSERT_RECEIPT = f"""
    INSERT INTO {RECEIPTS.qualified_name} ({_names(RECEIPTS.column_names)})
    VALUES ({", ".join(f"${c}" for c in RECEIPTS.column_names)})"""

OLD_RECEIPTS = f"""
    WITH ranked AS (
        SELECT game_date, receipt_id, consolidated_at,
               ROW_NUMBER() OVER (
                   PARTITION BY game_date ORDER BY consolidated_at DESC NULLS LAST, receipt_id DESC NULLS LAST
               ) AS recency
        FROM {RECEIPTS.qualified_name} WHERE game_date >= $since
    ),
    used AS (SELECT DISTINCT game_date, receipt_id FROM {_TARGET} WHERE game_date >= $since AND is_active)
    SELECT r.game_date, r.receipt_id
    FROM ranked AS r LEFT JOIN used AS u ON u.game_date = r.game_date AND u.receipt_id = r.receipt_id
    WHERE r.recency > 1 AND r.consolidated_at < $before AND u.receipt_id IS NULL
    ORDER BY r.game_date, r.receipt_id"""
"""Receipts from before a moment that are not their slate's newest and that no row in force names."""

_DROPPED_RECEIPTS = f"""
    FROM {RECEIPTS.qualified_name} WHERE game_date = $slate
      AND receipt_id IN (SELECT listed.id FROM UNNEST(CAST($receipt_ids AS VARCHAR[])) AS listed(id))
      AND receipt_id <> ({NEWEST_RECEIPT})"""

COUNT_DROPPED_RECEIPTS = f"SELECT COUNT(*) AS removed {_DROPPED_RECEIPTS}"

DROP_RECEIPTS = f"DELETE {_DROPPED_RECEIPTS}"

OLD_SUPERSEDED = f"""
    SELECT game_date, COUNT(*) AS row_count FROM {_TARGET}
    WHERE game_date >= $since AND NOT is_active AND superseded_at < $before
    GROUP BY game_date ORDER BY game_date"""

_DROPPED_ROWS = f"FROM {_TARGET} WHERE game_date = $slate AND NOT is_active AND superseded_at < $before"

COUNT_DROPPED_ROWS = f"SELECT COUNT(*) AS removed {_DROPPED_ROWS}"

DROP_SUPERSEDED = f"DELETE {_DROPPED_ROWS}"


# What the assets read ----------------------------------------------------------------------------

SLATE_GAMES = f"""
    SELECT league, season_id, game_id, home_team, away_team, team_a, team_b
    FROM {SCHEDULE.qualified_name} WHERE game_date = $slate ORDER BY game_id"""

SCHEDULE_SPANS = f"""
    WITH logged AS (SELECT league, MAX(game_date) AS newest_log FROM {GAME_LOGS.qualified_name} GROUP BY league)
    SELECT s.league, MIN(s.game_date) AS first_slate, MAX(s.game_date) AS last_slate,
           MAX(CASE WHEN s.game_date <= $today THEN s.game_date END) AS newest_slate,
           MIN(CASE WHEN s.game_date > l.newest_log THEN s.game_date END) AS next_slate
    FROM {SCHEDULE.qualified_name} AS s LEFT JOIN logged AS l ON l.league = s.league
    GROUP BY s.league ORDER BY s.league"""
"""Per league: the schedule's span, its newest slate up to today, and the one that follows the game logs."""

SLATES_FROM = f"""
    SELECT DISTINCT game_date FROM {SCHEDULE.qualified_name}
    WHERE league = $league AND game_date >= $slate ORDER BY game_date LIMIT 60"""

SLATES_BETWEEN = f"""
    SELECT DISTINCT league, game_date FROM {SCHEDULE.qualified_name}
    WHERE game_date BETWEEN $first AND $last ORDER BY game_date, league"""

ROSTER_CANDIDATES = f"""
    WITH played AS (
        SELECT player_id, player_name, team, game_date, minutes,
               ROW_NUMBER() OVER (PARTITION BY player_id ORDER BY game_date DESC, game_id DESC) AS recency
        FROM {GAME_LOGS.qualified_name}
        WHERE league = $league AND game_date < $slate AND game_date >= $since
    ),
    team_games AS (SELECT team, MAX(game_date) AS team_last_game FROM played GROUP BY team),
    form AS (
        SELECT player_id, AVG(minutes) AS average_minutes, COUNT(*) AS games
        FROM played WHERE recency <= $form_games GROUP BY player_id
    )
    SELECT p.player_id, p.player_name, p.team, p.game_date AS last_game, t.team_last_game,
           f.average_minutes, f.games, g.game_id,
           CASE WHEN p.team = g.team_a THEN g.team_b ELSE g.team_a END AS opponent,
           CASE WHEN g.home_team IS NULL THEN NULL ELSE p.team = g.home_team END AS is_home
    FROM played AS p
    JOIN form AS f ON f.player_id = p.player_id
    JOIN team_games AS t ON t.team = p.team
    JOIN {SCHEDULE.qualified_name} AS g
      ON g.game_date = $slate AND g.league = $league AND p.team IN (g.team_a, g.team_b)
    WHERE p.recency = 1
    ORDER BY g.game_id, p.team, p.player_id"""

KNOWN_PLAYERS = f"""
    SELECT player_id, player_name, team, MAX(game_date) AS last_game_date
    FROM {GAME_LOGS.qualified_name} WHERE league = $league GROUP BY player_id, player_name, team
    ORDER BY player_id, player_name, team"""

MARKET_OFFERS = f"""
    SELECT player_id, bookmaker, line, over_price, under_price, captured_at, commence_time, sequence, capture
    FROM {PROP_LINES.qualified_name}
    WHERE game_date = $slate AND league = $league AND player_id IS NOT NULL
    ORDER BY player_id, bookmaker, capture, sequence, line"""


NEWEST_INJURY_REPORT = f"""
    SELECT player_id, team, player_name, status, reason, reported_at
    FROM {INJURY_REPORTS.qualified_name}
    WHERE game_date = $slate AND league = $league AND player_id IS NOT NULL
      AND reported_at = (
          SELECT MAX(newest.reported_at) FROM {INJURY_REPORTS.qualified_name} AS newest
          WHERE newest.game_date = $slate AND newest.league = $league)
    ORDER BY player_id, team, player_name"""
"""The resolved players of the slate's newest report; whom it no longer lists may play."""


def slate_facts(recommendation_rule: str) -> str:
    """Return the counts that the asset checks judge; NaN fails a BETWEEN on both warehouses.

    Args:
        recommendation_rule: the rule as a SQL expression over the stored columns.
    """
    return f"""
        SELECT
            COUNT(*) AS row_count,
            COUNT(DISTINCT player_id) AS players,
            COUNT(CASE WHEN NOT (
                predicted_points BETWEEN 0 AND $most_points
                AND standard_deviation BETWEEN 0 AND $most_points AND standard_deviation > 0
                AND probability_over BETWEEN 0 AND 1 AND probability_push BETWEEN 0 AND 1
                AND probability_over + probability_push <= 1.000001
                AND confidence BETWEEN 0.5 AND 1 AND line > 0) THEN 1 END) AS out_of_range,
            COUNT(CASE WHEN recommendation <> {recommendation_rule} THEN 1 END) AS disagreeing
        FROM {_TARGET} WHERE game_date = $slate AND is_active"""


DUPLICATE_KEYS = f"""
    SELECT COUNT(*) AS duplicate_keys FROM (
        SELECT 1 FROM {_TARGET} WHERE game_date = $slate
        GROUP BY {", ".join(_KEY)} HAVING COUNT(*) > 1) AS repeated"""

PREDICTIONS_SAMPLE = f"""
    SELECT player_name, team, opponent, system, line, predicted_points, probability_over, recommendation,
           confidence, line_source
    FROM {_TARGET}
    WHERE game_date = $slate AND is_active AND line_offset = 0 AND system = 'ensemble'
    ORDER BY recommendation IN ('OVER', 'UNDER') DESC, confidence DESC, player_id LIMIT $limit"""

SLATE_TABLE = f"""
    SELECT COUNT(*) AS row_count, COUNT(DISTINCT player_id) AS players, MAX(updated_at) AS newest
    FROM {_TARGET} WHERE game_date = $slate AND is_active"""

SLATE_VERSIONS = f"""
    SELECT DISTINCT system, system_version, schema_version, feature_snapshot
    FROM {_TARGET} WHERE game_date = $slate AND is_active
    ORDER BY system, system_version, schema_version, feature_snapshot"""

SLATE_BY_SYSTEM = f"""
    SELECT system, COUNT(*) AS row_count, AVG(predicted_points) AS mean_points,
           AVG(standard_deviation) AS mean_deviation,
           COUNT(CASE WHEN recommendation = 'OVER' AND line_offset = 0 THEN 1 END) AS over_count,
           COUNT(CASE WHEN recommendation = 'UNDER' AND line_offset = 0 THEN 1 END) AS under_count,
           COUNT(CASE WHEN recommendation = 'PASS' AND line_offset = 0 THEN 1 END) AS pass_count,
           COUNT(CASE WHEN recommendation = 'NO_LINE' AND line_offset = 0 THEN 1 END) AS no_line_count
    FROM {_TARGET} WHERE game_date = $slate AND is_active GROUP BY system ORDER BY system"""
"""Recommendations are counted at the main line only: each player has one there."""

SLATE_LINES = f"""
    SELECT line_source, bookmaker, COUNT(*) AS players FROM {_TARGET}
    WHERE game_date = $slate AND is_active AND line_offset = 0 AND system = 'ensemble'
    GROUP BY line_source, bookmaker ORDER BY line_source DESC, players DESC, bookmaker"""

SLATE_EDGES = f"""
    SELECT CAST(FLOOR(probability_over * 20) AS BIGINT) AS bin, COUNT(*) AS players FROM {_TARGET}
    WHERE game_date = $slate AND is_active AND line_offset = 0 AND system = 'ensemble' AND line_source = 'market'
    GROUP BY bin ORDER BY bin"""

EARLIER_MERGES = f"""
    SELECT receipt_id, merge_ms, rows_staged, parts FROM {RECEIPTS.qualified_name}
    WHERE game_date BETWEEN $since AND $slate AND league = $league AND rows_staged > 0
    ORDER BY consolidated_at DESC, receipt_id LIMIT $limit"""

COUNT_FACTS = {
    table.name: f"SELECT COUNT(*) AS row_count FROM {table.qualified_name}"
    for table in (GAME_LOGS, SCHEDULE, PROP_LINES, INJURY_REPORTS)
}


# Models and grades -------------------------------------------------------------------------------

_MODEL = [c for c in POINTS_MODELS.column_names if c != "document"]

MODELS_BEFORE = f"""
    SELECT {_names(_MODEL)} FROM {POINTS_MODELS.qualified_name}
    WHERE league = $league AND cutoff <= $slate AND cutoff >= $oldest
    ORDER BY cutoff DESC, trained_at DESC, model_id LIMIT 50"""
"""The models that a slate may be forecast with, the one to prefer first; without the fitted systems."""

MODEL_BY_ID = f"""
    SELECT {_names(POINTS_MODELS.column_names)} FROM {POINTS_MODELS.qualified_name} WHERE model_id = $model_id"""

LOGGED_LEAGUES = f"""
    SELECT league, MAX(game_date) AS newest_log, COUNT(*) AS row_count
    FROM {GAME_LOGS.qualified_name} GROUP BY league ORDER BY league"""

RESULTS = f"""
    SELECT game_id, player_id, points FROM {GAME_LOGS.qualified_name}
    WHERE league = $league AND game_date = $slate ORDER BY game_id, player_id"""

RESULTS_IN = f"""
    SELECT COUNT(DISTINCT s.game_id) AS games, COUNT(DISTINCT l.game_id) AS logged
    FROM {SCHEDULE.qualified_name} AS s
    LEFT JOIN {GAME_LOGS.qualified_name} AS l
      ON l.game_id = s.game_id AND l.game_date = $slate AND l.league = s.league
    WHERE s.game_date = $slate"""
"""How many games the slate has, and how many of them have game logs."""

PUBLISHED_FORECASTS = f"""
    SELECT player_id, game_id, system, system_version, league, line, line_source, predicted_points, probability_over,
           probability_push, recommendation
    FROM {_TARGET} WHERE game_date = $slate AND is_active AND line_offset = 0
    ORDER BY system, player_id"""
"""One row per player and system: the one at the main line."""

GRADABLE_SLATES = f"""
    WITH merged AS (
        SELECT game_date, receipt_id FROM {RECEIPTS.qualified_name}
        WHERE game_date >= $since AND game_date <= $until
        QUALIFY ROW_NUMBER() OVER (
            PARTITION BY game_date ORDER BY consolidated_at DESC NULLS LAST, receipt_id DESC NULLS LAST) = 1
    ), games AS (
        SELECT game_date, COUNT(DISTINCT game_id) AS games FROM {SCHEDULE.qualified_name}
        WHERE game_date >= $since AND game_date <= $until GROUP BY game_date
    ), logged AS (
        SELECT game_date, COUNT(DISTINCT game_id) AS games FROM {GAME_LOGS.qualified_name}
        WHERE game_date >= $since AND game_date <= $until GROUP BY game_date
    ), graded AS (
        SELECT DISTINCT game_date, receipt_id FROM {PREDICTION_GRADES.qualified_name}
        WHERE game_date >= $since AND game_date <= $until AND origin = 'published'
    )
    SELECT m.game_date, m.receipt_id, g.receipt_id IS NOT NULL AS is_graded,
           COALESCE(l.games, 0) >= s.games AS has_results
    FROM merged AS m
    JOIN games AS s ON s.game_date = m.game_date
    LEFT JOIN logged AS l ON l.game_date = m.game_date
    LEFT JOIN graded AS g ON g.game_date = m.game_date AND g.receipt_id = m.receipt_id
    ORDER BY m.game_date"""
"""The slates with a receipt, whether every game has logs, and whether that very receipt was graded."""

GRADES = f"""
    SELECT {_names(PREDICTION_GRADES.column_names)} FROM {PREDICTION_GRADES.qualified_name}
    WHERE game_date >= $since AND game_date <= $until AND origin = $origin
    ORDER BY game_date, system"""

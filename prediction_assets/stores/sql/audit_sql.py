"""SQL of the audits: one statement over the slate as the MERGE would leave it, in the MERGE's transaction.

Each audit is a SELECT of what offends it: a text of slugs, names and numbers, and how many rows or players it stands
for. Names, order and refusals are declared in :mod:`prediction_assets.slate.audits`.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from prediction_assets.slate.audits import (
    ACCOUNTED_FOR,
    AGREES,
    AUDITS,
    BOTH_DIRECTIONS,
    ENOUGH_STAGED,
    ERROR,
    IN_RANGE,
    NOT_EMPTY,
    SETTLED,
    SHOWN,
    UNIQUE_KEY,
    WARN,
)
from prediction_assets.slate.markets import MARKETS, POINTS
from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.stores.sql.table_sql import names
from prediction_assets.stores.sql.tables import PREDICTIONS

RECOMMENDATION_RULE = """
CASE
    WHEN line_source <> 'market' THEN 'NO_LINE'
    WHEN expected_value IS NULL THEN 'NO_PRICE'
    WHEN expected_value >= $least_value THEN bet_side
    ELSE 'PASS'
END
"""
"""What :func:`prediction_assets.nba.forecasting.recommendation.recommend` computes, over the stored columns."""

_WON = "CASE WHEN bet_side = 'OVER' THEN probability_over ELSE 1 - probability_over - probability_push END"

EXPECTED_VALUE = f"""
({_WON}) * CASE WHEN bet_price > 0 THEN 1 + bet_price / 100.0 ELSE 1 - 100.0 / NULLIF(bet_price, 0) END
    + probability_push - 1
"""
"""What :func:`prediction_assets.nba.forecasting.prices.expected_value` computes; each engine rounds in its own way."""

_FURTHER = " ".join(
    f"WHEN '{market.name}' THEN {market.most_predicted}" for market in MARKETS.values() if market != POINTS
)
_MOST = f"CASE market {_FURTHER} ELSE $most_points END"

_MARKET = f"CASE market WHEN '{POINTS.name}' THEN '' ELSE market || ' ' END"

_ROW = f"player_slug || ' ' || {_MARKET} || system || ' ' || CAST(line AS VARCHAR)"

# BigQuery bills the columns that are named.
_COLUMNS = (
    *PREDICTIONS.business_key,
    "player_slug",
    "predicted_points",
    "standard_deviation",
    "probability_over",
    "probability_push",
    "recommendation",
    "confidence",
    "line_source",
    "line_offset",
    "market_probability",
    "consensus_probability",
    "bet_side",
    "bet_price",
    "bet_odds",
    "fair_odds",
    "edge",
    "expected_value",
)

# NaN fails a BETWEEN on both warehouses, so a row with one counts as out of range.
_OFFENDING = {
    NOT_EMPTY: """
        SELECT CASE WHEN $is_retraction THEN CAST(n AS VARCHAR) || ' rows in force of a slate without predictions'
                    ELSE 'no row in force' END AS what, n AS amount
        FROM (SELECT COUNT(*) AS n FROM slate) AS counted
        WHERE ($is_retraction AND n > 0) OR (NOT $is_retraction AND n = 0)""",
    ENOUGH_STAGED: """
        SELECT 'only ' || CAST(n AS VARCHAR) || ' of ' || CAST($expected_players - $skipped_players AS VARCHAR)
                   || ' players have rows' AS what, $expected_players - $skipped_players - n AS amount
        FROM (SELECT COUNT(DISTINCT player_id) AS n FROM slate
              WHERE player_id IN (
                  SELECT given.id FROM UNNEST(CAST($staged_player_ids AS BIGINT[])) AS given(id))) AS counted
        WHERE n < $minimum_staged_share * ($expected_players - $skipped_players)""",
    ACCOUNTED_FOR: """
        SELECT CAST($staged AS VARCHAR) || ' rows staged of ' || CAST($in_parts AS VARCHAR) || ' in parts, '
                   || CAST($inserted AS VARCHAR) || ' to insert, ' || CAST($updated AS VARCHAR) || ' to update, '
                   || CAST($unchanged AS VARCHAR) || ' unchanged, but ' || CAST($in_force AS VARCHAR)
                   || ' in force, ' || CAST($written AS VARCHAR) || ' written and ' || CAST($active AS VARCHAR)
                   || ' active after ' || CAST($active_before AS VARCHAR) || ' and ' || CAST($closed AS VARCHAR)
                   || ' closed' AS what, 1 AS amount
        FROM (SELECT 1 AS one) AS nothing
        WHERE NOT ($staged = $in_parts AND $staged = $inserted + $updated + $unchanged AND $staged = $in_force
                   AND $written = $inserted + $updated AND $closed >= $updated
                   AND $active = $active_before + $written - $closed)""",
    UNIQUE_KEY: f"""
        SELECT {_ROW} || ' in force ' || CAST(n AS VARCHAR) || ' times' AS what, n AS amount
        FROM (SELECT {names(PREDICTIONS.business_key)}, MIN(player_slug) AS player_slug, COUNT(*) AS n
              FROM slate GROUP BY {names(PREDICTIONS.business_key)}) AS keyed
        WHERE n > 1""",
    IN_RANGE: f"""
        SELECT {_ROW} || ' points ' || CAST(predicted_points AS VARCHAR) || ' deviation '
                   || CAST(standard_deviation AS VARCHAR) || ' over ' || CAST(probability_over AS VARCHAR) || ' push '
                   || CAST(probability_push AS VARCHAR) || ' confidence ' || CAST(confidence AS VARCHAR) AS what,
               1 AS amount
        FROM slate
        WHERE NOT (
            predicted_points BETWEEN 0 AND {_MOST}
            AND standard_deviation BETWEEN 0 AND {_MOST} AND standard_deviation > 0
            AND probability_over BETWEEN 0 AND 1 AND probability_push BETWEEN 0 AND 1
            AND probability_over + probability_push <= 1.000001
            AND confidence BETWEEN 0.5 AND 1 AND line > 0
            AND COALESCE(market_probability, 0.5) BETWEEN 0 AND 1
            AND COALESCE(consensus_probability, 0.5) BETWEEN 0 AND 1
            AND COALESCE(bet_odds, 2.0) >= 1 AND COALESCE(fair_odds, 2.0) >= 1
            AND COALESCE(edge, 0.0) BETWEEN -1 AND 1 AND COALESCE(expected_value, 0.0) >= -1)""",
    AGREES: f"""
        SELECT {_ROW} || ' says ' || recommendation || ' and follows ' || COALESCE(ruled, 'nothing') AS what,
               1 AS amount
        FROM (SELECT slate.*, {RECOMMENDATION_RULE} AS ruled FROM slate) AS compared
        WHERE recommendation <> ruled OR ruled IS NULL
        UNION ALL
        SELECT {_ROW} || ' has a value of ' || COALESCE(CAST(expected_value AS VARCHAR), 'nothing')
                   || ' that does not follow from its price' AS what, 1 AS amount
        FROM slate
        WHERE (bet_price IS NULL) <> (expected_value IS NULL) OR (bet_price IS NULL) <> (bet_side IS NULL)
           OR (bet_price IS NOT NULL AND bet_side NOT IN ('OVER', 'UNDER'))
           OR NOT (ABS(expected_value - ({EXPECTED_VALUE})) <= 0.00001)""",
    BOTH_DIRECTIONS: """
        SELECT CAST(GREATEST(overs, unders) AS VARCHAR) || ' of ' || CAST(overs + unders AS VARCHAR)
                   || ' recommendations at the main lines are ' || CASE WHEN overs > unders THEN 'OVER' ELSE 'UNDER' END
                   AS what, GREATEST(overs, unders) AS amount
        FROM (SELECT COUNT(CASE WHEN recommendation = 'OVER' THEN 1 END) AS overs,
                     COUNT(CASE WHEN recommendation = 'UNDER' THEN 1 END) AS unders
              FROM slate WHERE line_offset = 0) AS counted
        WHERE overs + unders >= $one_direction_minimum
          AND GREATEST(overs, unders) > $one_direction_share * (overs + unders)""",
    SETTLED: """
        SELECT CAST($failed_players AS VARCHAR) || ' players failed or have no outcome' AS what,
               $failed_players AS amount
        FROM (SELECT 1 AS one) AS nothing WHERE $failed_players > 0""",
}

_NAMED = " UNION ALL ".join(
    f"SELECT {place} AS place, '{audit.name}' AS name, '{ERROR if audit.is_blocking else WARN}' AS severity"
    for place, audit in enumerate(AUDITS)
)

_FOUND = " UNION ALL ".join(
    f"SELECT '{name}' AS name, o.what, o.amount FROM ({select}) AS o" for name, select in _OFFENDING.items()
)

# The verdicts are a JSON document that SQL writes, the same on both warehouses, because BigQuery's script hashes it for
# the receipt. So a detail has no character that JSON escapes; it is also plain text wherever it is shown.
AUDIT = f"""
    WITH slate AS (
        SELECT {names(_COLUMNS)} FROM {PREDICTIONS.qualified_name} WHERE game_date = $slate AND is_active),
    offending AS ({_FOUND}),
    ranked AS (
        SELECT name, what, SUM(amount) OVER (PARTITION BY name) AS amount,
               ROW_NUMBER() OVER (PARTITION BY name ORDER BY what NULLS FIRST) AS place
        FROM offending),
    found AS (
        SELECT name, MAX(amount) AS amount, STRING_AGG(what, '; ' ORDER BY what NULLS FIRST) AS what
        FROM ranked WHERE place <= {SHOWN} GROUP BY name),
    verdicts AS (
        SELECT n.place, n.name, n.severity, f.name IS NULL AS passed,
               f.name IS NOT NULL AND a.name IS NULL AND n.severity = '{ERROR}' AS refuses,
               COALESCE(CAST(f.amount AS VARCHAR) || ': '
                        || REGEXP_REPLACE(f.what, '[^ !#-Z^-~\\[\\]]', '?', 'g'), '') AS detail
        FROM ({_NAMED}) AS n
        LEFT JOIN found AS f ON f.name = n.name
        LEFT JOIN (SELECT given.name FROM UNNEST(CAST($accepted_names AS VARCHAR[])) AS given(name)) AS a
          ON a.name = n.name)
    SELECT '[' || STRING_AGG(
               '{{"name": "' || name || '", "passed": ' || CASE WHEN passed THEN 'true' ELSE 'false' END
               || ', "severity": "' || severity || '", "detail": "' || detail || '"}}', ', ' ORDER BY place NULLS FIRST)
               || ']' AS verdicts,
           COALESCE(STRING_AGG(CASE WHEN refuses THEN name END, ',' ORDER BY place NULLS FIRST), '') AS refused
    FROM verdicts"""
"""One row: the verdicts as a receipt holds them, and the names of the audits that refuse the slate."""


def parameters(plan: MergePlan) -> dict[str, Any]:
    """Return the parameters of :data:`AUDIT` that a plan decides; the MERGE's counts are the others."""
    return {
        "slate": date.fromisoformat(plan.slate),
        "is_retraction": plan.skipped_players == plan.expected_players,
        "staged_player_ids": list(plan.staged_player_ids),
        "expected_players": plan.expected_players,
        "skipped_players": plan.skipped_players,
        "failed_players": plan.failed_players,
        "in_parts": sum(part.rows for part in plan.parts),
        "accepted_names": sorted(plan.accepted),
        **asdict(plan.limits),
    }

"""SQL that finds and prunes history: receipts that no row in force names, rows that were superseded long ago."""

from __future__ import annotations

from prediction_assets.stores.sql.merge_sql import NEWEST_RECEIPT
from prediction_assets.stores.sql.tables import PREDICTIONS, RECEIPTS

_TARGET = PREDICTIONS.qualified_name

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
"""Receipts from before a moment; not a slate's newest one, and not one that a row in force names."""

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

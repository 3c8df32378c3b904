"""SQL that finds and prunes history: the long lists of old receipts, rows that were closed long ago.

No receipt is ever deleted: its hash is a link of the slate's chain. ``pruned_at`` says that its lists, or closed rows
that it had in force, are gone because of their age.
"""

from __future__ import annotations

from dataclasses import dataclass

from prediction_assets.stores.sql.merge_sql import NEWEST_RECEIPT
from prediction_assets.stores.sql.tables import PREDICTIONS, RECEIPTS

_TARGET = PREDICTIONS.qualified_name


@dataclass(frozen=True, slots=True)
class Pruning:
    """What one transaction runs."""

    count: str  # SELECT of how much is going to be pruned
    statements: tuple[str, ...]  # what prunes it, in this order


OLD_RECEIPTS = f"""
    WITH ranked AS (
        SELECT game_date, receipt_id, consolidated_at, parts, missing,
               ROW_NUMBER() OVER (PARTITION BY game_date ORDER BY sequence DESC NULLS LAST) AS recency
        FROM {RECEIPTS.qualified_name} WHERE game_date >= $since
    ),
    used AS (SELECT DISTINCT game_date, receipt_id FROM {_TARGET} WHERE game_date >= $since AND is_active)
    SELECT r.game_date, r.receipt_id
    FROM ranked AS r LEFT JOIN used AS u ON u.game_date = r.game_date AND u.receipt_id = r.receipt_id
    WHERE r.recency > 1 AND r.consolidated_at < $before AND u.receipt_id IS NULL
      AND NOT (r.parts = '[]' AND r.missing = '[]')
    ORDER BY r.game_date, r.receipt_id"""
"""Receipts from before a moment that have lists; not a slate's newest one, and not one that a row in force names."""

_PRUNED_RECEIPTS = f"""
    WHERE game_date = $slate AND NOT (parts = '[]' AND missing = '[]')
      AND receipt_id IN (SELECT listed.id FROM UNNEST(CAST($receipt_ids AS VARCHAR[])) AS listed(id))
      AND receipt_id <> ({NEWEST_RECEIPT})"""

EMPTY_LISTS = f"""
    UPDATE {RECEIPTS.qualified_name} SET parts = '[]', missing = '[]', pruned_at = $now {_PRUNED_RECEIPTS}"""

PRUNE_RECEIPTS = Pruning(
    f"SELECT COUNT(*) AS pruned FROM {RECEIPTS.qualified_name} {_PRUNED_RECEIPTS}", (EMPTY_LISTS,)
)

OLD_CLOSED_ROWS = f"""
    SELECT game_date, COUNT(*) AS row_count FROM {_TARGET}
    WHERE game_date >= $since AND NOT is_active AND superseded_at < $before
    GROUP BY game_date ORDER BY game_date"""

_PRUNED_ROWS = f"FROM {_TARGET} WHERE game_date = $slate AND NOT is_active AND superseded_at < $before"

# A row was in force from the receipt that inserted it up to the one before the receipt that closed it.
MARK_RECEIPTS_OF_PRUNED_ROWS = f"""
    UPDATE {RECEIPTS.qualified_name} SET pruned_at = $now
    WHERE game_date = $slate AND pruned_at IS NULL AND sequence < (
        SELECT COALESCE(MAX(closing.sequence), 0) FROM {RECEIPTS.qualified_name} AS closing
        WHERE closing.game_date = $slate AND closing.receipt_id IN (SELECT superseded_by {_PRUNED_ROWS}))
      AND sequence >= (
        SELECT COALESCE(MIN(inserting.sequence), 0) FROM {RECEIPTS.qualified_name} AS inserting
        WHERE inserting.game_date = $slate AND inserting.receipt_id IN (SELECT receipt_id {_PRUNED_ROWS}))"""

DELETE_CLOSED_ROWS = f"DELETE {_PRUNED_ROWS}"

PRUNE_CLOSED_ROWS = Pruning(
    f"SELECT COUNT(*) AS pruned {_PRUNED_ROWS}", (MARK_RECEIPTS_OF_PRUNED_ROWS, DELETE_CLOSED_ROWS)
)

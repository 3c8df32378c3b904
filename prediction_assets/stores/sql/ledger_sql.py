"""SQL that reads the predictions as a ledger: all rows of a slate, or those that were in force at a time or revision.

Rows that were pruned because of their age are in none of them.
"""

from __future__ import annotations

from prediction_assets.stores.sql.table_sql import names
from prediction_assets.stores.sql.tables import PREDICTIONS, RECEIPTS

_TARGET = PREDICTIONS.qualified_name
_ORDER = names(PREDICTIONS.business_key, "p.")

LEDGER = f"""
    SELECT {names(PREDICTIONS.column_names, "p.")} FROM {_TARGET} AS p
    WHERE p.game_date = $slate ORDER BY {_ORDER}, p."created_at", p."receipt_id\""""
"""Every row of a slate, in force or closed."""

ROWS_AS_OF = f"""
    SELECT {names(PREDICTIONS.column_names, "p.")} FROM {_TARGET} AS p
    WHERE p.game_date = $slate AND p.created_at <= $moment
      AND (p.superseded_at IS NULL OR p.superseded_at > $moment)
    ORDER BY {_ORDER}"""
"""The rows that were in force at a moment."""

# Receipts of one revision have the same content. The order is theirs, not the clock's.
ROWS_OF_REVISION = f"""
    WITH numbered AS (
        SELECT receipt_id, sequence, revision FROM {RECEIPTS.qualified_name} WHERE game_date = $slate),
    wanted AS (SELECT MAX(sequence) AS sequence FROM numbered WHERE revision = $revision)
    SELECT {names(PREDICTIONS.column_names, "p.")} FROM {_TARGET} AS p
    JOIN numbered AS i ON i.receipt_id = p.receipt_id
    LEFT JOIN numbered AS c ON c.receipt_id = p.superseded_by
    CROSS JOIN wanted AS w
    WHERE p.game_date = $slate AND i.sequence <= w.sequence
      AND (p.superseded_by IS NULL OR c.sequence > w.sequence)
    ORDER BY {_ORDER}"""
"""The rows that were in force when a revision was; none if the slate has no such revision."""

MERGED_SLATES = f"""
    SELECT game_date FROM {RECEIPTS.qualified_name} WHERE game_date BETWEEN $first AND $last
    UNION
    SELECT game_date FROM {_TARGET} WHERE game_date BETWEEN $first AND $last
    ORDER BY game_date"""
"""The slates that have a receipt or a row."""

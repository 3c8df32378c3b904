"""SQL of a MERGE: verify the staged rows, merge them, supersede what they replace, write the receipt.

Both warehouses run these statements in this order, in one transaction. ``staged`` is a relation with the rows of the
plan's parts; the warehouse provides it.
"""

from __future__ import annotations

from prediction_assets.stores.sql.row_hash_sql import ROW_HASH
from prediction_assets.stores.sql.table_sql import assignments, names, same_key
from prediction_assets.stores.sql.tables import MERGE_COLUMNS, PART_COLUMNS, PREDICTIONS, RECEIPTS

_TARGET = PREDICTIONS.qualified_name
_KEY = PREDICTIONS.key
_PART = [c.name for c in PART_COLUMNS]
_PART_VALUES = [c for c in _PART if c not in _KEY]

STAGED = "staged"

# The digest is the one that was computed at staging (slate/staged_rows.py): sorted, because parts are unordered. It
# covers the values: each row's hash is computed again from them.
STAGED_BY_PLAYER = f"""
    SELECT player_slug, COUNT(*) AS row_count,
           SHA256(STRING_AGG(CASE WHEN content_hash = {ROW_HASH} THEN content_hash ELSE 'other values' END, ''
                             ORDER BY content_hash NULLS FIRST)) AS content_hash
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
"""Parts as ``slug rows hash`` that are staged but not in the plan, or in the plan but not staged like that."""

# No two staged rows may share a key: a MERGE would fail, or would keep one of them. A row of another date would escape
# every other statement here, because all of them scan the slate's partition only.
FAULTY_KEYS = f"""
    SELECT player_slug, system, CAST(line AS VARCHAR) AS line_text, COUNT(*) AS row_count
    FROM {STAGED}
    GROUP BY {", ".join(_KEY)}, player_slug
    HAVING COUNT(*) > 1 OR game_date <> $slate
    ORDER BY player_slug, system, line_text LIMIT 5"""

# What the MERGE is going to do, counted from the tables and not by the MERGE. An updated row has another content or
# comes back into force; without that second condition a row that was superseded earlier would stay out of force.
COUNT_MERGE = f"""
    SELECT
        COUNT(*) AS staged,
        COUNT(CASE WHEN t.system IS NULL THEN 1 END) AS inserted,
        COUNT(CASE WHEN t.system IS NOT NULL AND (t.content_hash <> s.content_hash OR NOT t.is_active)
                   THEN 1 END) AS updated,
        COUNT(CASE WHEN t.content_hash = s.content_hash AND t.is_active THEN 1 END) AS unchanged
    FROM {STAGED} AS s
    LEFT JOIN (SELECT * FROM {_TARGET} WHERE game_date = $slate) AS t ON {same_key(_KEY, "s", "t")}"""

# `line` is compared as an exact decimal: cast to an integer, 24.5 and 25.0 would be one key. The literal condition on
# game_date lets BigQuery scan one partition. Key columns are never NULL and never updated, or a second run would insert
# the same rows again. An unchanged row isn't touched, so its receipt_id and updated_at say when it last changed.
MERGE = f"""
    MERGE INTO {_TARGET} AS t USING {STAGED} AS s
    ON t.game_date = $slate AND {same_key(_KEY, "t", "s")}
    WHEN MATCHED AND (t.content_hash <> s.content_hash OR NOT t.is_active) THEN UPDATE SET
        {assignments(_PART_VALUES, "s")},
        is_active = TRUE, superseded_at = NULL, receipt_id = $receipt_id, updated_at = $now
    WHEN NOT MATCHED THEN INSERT ({names(_PART)}, {names(MERGE_COLUMNS)})
        VALUES ({names(_PART, "s.")}, TRUE, NULL, $receipt_id, $now, $now)"""

# After the MERGE, because it excludes the staged keys. It takes out of force the other rows of merged players (their
# line moved) and all rows of players who are neither staged nor retained (skipped, or not expected any more). A failed
# player's earlier rows stay in force: he is retained.
SUPERSEDE = f"""
    UPDATE {_TARGET} AS t
    SET is_active = FALSE, superseded_at = $now, receipt_id = $receipt_id, updated_at = $now
    WHERE t.game_date = $slate AND t.is_active
      AND NOT EXISTS (SELECT 1 FROM {STAGED} AS s WHERE {same_key(_KEY, "s", "t")})
      AND (t.player_id IN (SELECT s.player_id FROM {STAGED} AS s)
           OR t.player_id NOT IN (SELECT kept.id FROM UNNEST(CAST($kept_player_ids AS BIGINT[])) AS kept(id)))"""

COUNT_SUPERSEDED = f"""
    SELECT COUNT(*) AS superseded FROM {_TARGET}
    WHERE game_date = $slate AND receipt_id = $receipt_id AND NOT is_active"""

# What the MERGE left, to compare with COUNT_MERGE. in_force: staged rows that are in the table with their content;
# changed: active rows that this receipt wrote; active: the slate's rows that consumers see.
COUNT_AFTER_MERGE = f"""
    SELECT
        (SELECT COUNT(*) FROM {STAGED} AS s JOIN {_TARGET} AS t ON {same_key(_KEY, "s", "t")}
          WHERE t.game_date = $slate AND t.is_active AND t.content_hash = s.content_hash) AS in_force,
        (SELECT COUNT(*) FROM {_TARGET}
          WHERE game_date = $slate AND receipt_id = $receipt_id AND is_active) AS changed,
        (SELECT COUNT(*) FROM {_TARGET} WHERE game_date = $slate AND is_active) AS active"""

NEXT_REVISION = f"""
    SELECT COALESCE((
        SELECT revision + CASE WHEN content_digest = $content_digest THEN 0 ELSE 1 END
        FROM {RECEIPTS.qualified_name} WHERE game_date = $slate
        ORDER BY consolidated_at DESC, receipt_id DESC LIMIT 1), 1) AS revision"""
"""The revision that :meth:`MergePlan.receipt` computes, where a script writes the receipt."""

NEWEST_RECEIPT = f"""
    SELECT COALESCE((
        SELECT receipt_id FROM {RECEIPTS.qualified_name} WHERE game_date = $slate
        ORDER BY consolidated_at DESC, receipt_id DESC LIMIT 1), '') AS newest_receipt"""

NEXT_MOMENT = f"""
    SELECT GREATEST($started, COALESCE(MAX(consolidated_at) + INTERVAL 1 MICROSECOND, $started)) AS moment
    FROM {RECEIPTS.qualified_name} WHERE game_date = $slate"""
"""What :func:`prediction_assets.slate.receipt.later_than` computes, for the same script."""

RECEIPTS_OF_SLATE = f"""
    SELECT {names(RECEIPTS.column_names)} FROM {RECEIPTS.qualified_name}
    WHERE game_date = $slate ORDER BY consolidated_at, receipt_id"""

INSERT_RECEIPT = f"""
    INSERT INTO {RECEIPTS.qualified_name} ({names(RECEIPTS.column_names)})
    VALUES ({", ".join(f"${c}" for c in RECEIPTS.column_names)})"""

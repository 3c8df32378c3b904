"""SQL of a consolidation: verify the staged parts, MERGE them, supersede what they replace, write the receipt.

``staged`` stands for the parts' rows, and is a relation that the warehouse provides for the transaction.
"""

from __future__ import annotations

from prediction_assets.stores.sql.table_sql import assignments, names, same_key
from prediction_assets.stores.sql.tables import MERGE_COLUMNS, PART_COLUMNS, PREDICTIONS, RECEIPTS

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
    LEFT JOIN (SELECT * FROM {_TARGET} WHERE game_date = $slate) AS t ON {same_key(_KEY, "s", "t")}"""

MERGE = f"""
    MERGE INTO {_TARGET} AS t USING {STAGED} AS s
    ON t.game_date = $slate AND {same_key(_KEY, "t", "s")}
    WHEN MATCHED AND (t.content_hash <> s.content_hash OR NOT t.is_active) THEN UPDATE SET
        {assignments(_PART_VALUES, "s")},
        is_active = TRUE, superseded_at = NULL, receipt_id = $receipt_id, updated_at = $now
    WHEN NOT MATCHED THEN INSERT ({names(_PART)}, {names(MERGE_COLUMNS)})
        VALUES ({names(_PART, "s.")}, TRUE, NULL, $receipt_id, $now, $now)"""

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
"""What :meth:`Receipt.of` computes, for a warehouse that writes the receipt in the MERGE's own script."""

NEWEST_RECEIPT = f"""
    SELECT COALESCE((
        SELECT receipt_id FROM {RECEIPTS.qualified_name} WHERE game_date = $slate
        ORDER BY consolidated_at DESC, receipt_id DESC LIMIT 1), '') AS newest_receipt"""

NEXT_MOMENT = f"""
    SELECT GREATEST($started, COALESCE(MAX(consolidated_at) + INTERVAL 1 MICROSECOND, $started)) AS moment
    FROM {RECEIPTS.qualified_name} WHERE game_date = $slate"""
"""What :func:`prediction_assets.slate.receipt.later_than` computes, for the same."""

RECEIPTS_OF_SLATE = f"""
    SELECT {names(RECEIPTS.column_names)} FROM {RECEIPTS.qualified_name}
    WHERE game_date = $slate ORDER BY consolidated_at, receipt_id"""

INSERT_RECEIPT = f"""
    INSERT INTO {RECEIPTS.qualified_name} ({names(RECEIPTS.column_names)})
    VALUES ({", ".join(f"${c}" for c in RECEIPTS.column_names)})"""

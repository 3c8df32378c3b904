"""SQL of a MERGE: verify the staged rows, close the rows that they replace, insert the new ones, write the receipt.

Both warehouses run these statements in this order, in one transaction, and :mod:`.audit_sql` before the receipt.
``staged`` is a relation with the rows of the plan's parts; the warehouse provides it. The predictions are a ledger: a
row is inserted and later closed, and nothing else of it ever changes.
"""

from __future__ import annotations

from prediction_assets.stores.sql.row_hash_sql import ROW_HASH
from prediction_assets.stores.sql.table_sql import names, same_key
from prediction_assets.stores.sql.tables import MERGE_COLUMNS, PART_COLUMNS, PREDICTIONS, RECEIPTS

_TARGET = PREDICTIONS.qualified_name
_KEY = PREDICTIONS.business_key
_PART = [c.name for c in PART_COLUMNS]

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

# No two staged rows may share a key: both would be inserted. A row of another date would escape every other statement
# here, because all of them scan the slate's partition only.
FAULTY_KEYS = f"""
    SELECT player_slug, system, CAST(line AS VARCHAR) AS line_text, COUNT(*) AS row_count
    FROM {STAGED}
    GROUP BY {", ".join(_KEY)}, player_slug
    HAVING COUNT(*) > 1 OR game_date <> $slate
    ORDER BY player_slug, system, line_text LIMIT 5"""

# What the MERGE is going to do, counted from the tables and not by the MERGE: with a wrong condition its own report
# would agree with itself.
COUNT_MERGE = f"""
    SELECT
        COUNT(*) AS staged,
        COUNT(CASE WHEN t.system IS NULL THEN 1 END) AS inserted,
        COUNT(CASE WHEN t.content_hash <> s.content_hash THEN 1 END) AS updated,
        COUNT(CASE WHEN t.content_hash = s.content_hash THEN 1 END) AS unchanged,
        (SELECT COUNT(*) FROM {_TARGET} WHERE game_date = $slate AND is_active) AS active_before
    FROM {STAGED} AS s
    LEFT JOIN (SELECT * FROM {_TARGET} WHERE game_date = $slate AND is_active) AS t ON {same_key(_KEY, "s", "t")}"""

# Closed are the rows of merged players that aren't staged with the same content (another content, or a line that
# moved), and all rows of players who are neither staged nor retained (skipped, or not expected any more). A failed
# player's earlier rows stay in force: he is retained. `line` is compared as an exact decimal: cast to an integer, 24.5
# and 25.0 would be one key. The literal condition on game_date lets BigQuery scan one partition.
CLOSE_ROWS = f"""
    UPDATE {_TARGET} AS t
    SET is_active = FALSE, superseded_at = $now, superseded_by = $receipt_id
    WHERE t.game_date = $slate AND t.is_active
      AND NOT EXISTS (
          SELECT 1 FROM {STAGED} AS s WHERE {same_key(_KEY, "s", "t")} AND s.content_hash = t.content_hash)
      AND (t.player_id IN (SELECT s.player_id FROM {STAGED} AS s)
           OR t.player_id NOT IN (SELECT kept.id FROM UNNEST(CAST($kept_player_ids AS BIGINT[])) AS kept(id)))"""

# After CLOSE_ROWS a staged key that is still in force has the same content, and its row is left alone.
INSERT_ROWS = f"""
    INSERT INTO {_TARGET} ({names(_PART)}, {names(MERGE_COLUMNS)})
    SELECT {names(_PART, "s.")}, TRUE, CAST(NULL AS TIMESTAMPTZ), CAST(NULL AS VARCHAR), $receipt_id, $now
    FROM {STAGED} AS s
    WHERE NOT EXISTS (
        SELECT 1 FROM {_TARGET} AS t WHERE t.game_date = $slate AND t.is_active AND {same_key(_KEY, "t", "s")})"""

# What the MERGE left, to compare with COUNT_MERGE. in_force: staged rows that are in force with their content;
# written: rows that this receipt inserted; closed: rows that it closed; active: the slate's rows in force.
COUNT_AFTER_MERGE = f"""
    SELECT
        (SELECT COUNT(*) FROM {STAGED} AS s JOIN {_TARGET} AS t ON {same_key(_KEY, "s", "t")}
          WHERE t.game_date = $slate AND t.is_active AND t.content_hash = s.content_hash) AS in_force,
        (SELECT COUNT(*) FROM {_TARGET}
          WHERE game_date = $slate AND receipt_id = $receipt_id AND is_active) AS written,
        (SELECT COUNT(*) FROM {_TARGET} WHERE game_date = $slate AND superseded_by = $receipt_id) AS closed,
        (SELECT COUNT(*) FROM {_TARGET} WHERE game_date = $slate AND is_active) AS active"""

ROWS_DIGEST = f"""
    SELECT SHA256(COALESCE(STRING_AGG(content_hash, '' ORDER BY content_hash NULLS FIRST), '')) AS digest
    FROM {_TARGET} WHERE game_date = $slate AND is_active"""
"""What :func:`prediction_assets.slate.receipt.rows_digest` computes, of the rows in force."""

NEWEST_RECEIPT = f"""
    SELECT COALESCE((
        SELECT receipt_id FROM {RECEIPTS.qualified_name} WHERE game_date = $slate
        ORDER BY sequence DESC LIMIT 1), '') AS newest_receipt"""

# One row also when there is no receipt yet.
_NEWEST = f"""
    SELECT
        COALESCE(MAX(r.sequence), 0) AS sequence,
        COALESCE(MAX(r.revision), 0) AS revision,
        COALESCE(MAX(CASE WHEN r.recency = 1 THEN r.replaces END), 0) AS replaces,
        COALESCE(MAX(CASE WHEN r.recency = 1 THEN r.content_digest END), '') AS content_digest
    FROM (
        SELECT sequence, revision, replaces, content_digest,
               ROW_NUMBER() OVER (ORDER BY sequence DESC) AS recency
        FROM {RECEIPTS.qualified_name} WHERE game_date = $slate) AS r"""

NEXT_NUMBERS = f"""
    SELECT
        n.sequence + 1 AS sequence,
        CASE WHEN n.is_same THEN n.revision ELSE GREATEST(n.revision, $revision_floor) + 1 END AS revision,
        CASE WHEN n.is_same THEN n.replaces ELSE n.revision END AS replaces
    FROM (SELECT newest.*, newest.sequence > 0 AND newest.content_digest = $content_digest
                 AND newest.revision > $revision_floor AS is_same FROM ({_NEWEST}) AS newest) AS n"""
"""The numbers that :meth:`MergePlan.receipt` computes, where a script writes the receipt; 0 is no revision."""

PREVIOUS_HASH = f"""
    SELECT COALESCE((
        SELECT receipt_hash FROM {RECEIPTS.qualified_name} WHERE game_date = $slate
        ORDER BY sequence DESC LIMIT 1), '') AS previous_hash"""

NEXT_MOMENT = f"""
    SELECT GREATEST($started, COALESCE(MAX(consolidated_at) + INTERVAL 1 MICROSECOND, $started)) AS moment
    FROM {RECEIPTS.qualified_name} WHERE game_date = $slate"""
"""What :func:`prediction_assets.slate.receipt.later_than` computes, for the same script."""

RECEIPTS_OF_SLATE = f"""
    SELECT {names(RECEIPTS.column_names)} FROM {RECEIPTS.qualified_name}
    WHERE game_date = $slate ORDER BY sequence"""

INSERT_RECEIPT = f"""
    INSERT INTO {RECEIPTS.qualified_name} ({names(RECEIPTS.column_names)})
    VALUES ({", ".join(f"${c}" for c in RECEIPTS.column_names)})"""

"""The state file's tables, as steps from one version of the schema to the next.

``PRAGMA user_version`` counts the steps that a file has; a new file has 0. A release adds to the file by a further
step of ``CREATE`` and ``ALTER TABLE ... ADD COLUMN``, and never edits a released one. How the file is opened doesn't
belong here.
"""

from __future__ import annotations

import re

_COLUMN = re.compile(r"^ +(\w+) (?:TEXT|INTEGER)", re.MULTILINE)
_LAST_COLUMN = re.compile(r"(?=,\s+PRIMARY KEY|\s+\) STRICT)")


def _with_copy(table: str) -> str:
    """Return a table's declaration with a column that repeats the others: SQLite itself has no checksums.

    A flipped bit then leaves a row that differs from its copy. The copy takes no function of ours, so other programs
    can still write to the file.
    """
    copy = (
        f", copy TEXT NOT NULL GENERATED ALWAYS AS (json_array({', '.join(_COLUMN.findall(table))})) STORED"
    )
    return _LAST_COLUMN.sub(copy, table, count=1)


STEPS: tuple[tuple[str, ...], ...] = (
    (
        _with_copy("""
        CREATE TABLE batches (
            slate TEXT PRIMARY KEY,
            batch_id TEXT NOT NULL,
            league TEXT NOT NULL,
            games INTEGER NOT NULL,
            opened_at TEXT NOT NULL,
            deadline TEXT NOT NULL,
            fence INTEGER NOT NULL,
            feature_snapshot TEXT,
            features_fence INTEGER NOT NULL,
            features_version INTEGER NOT NULL
        ) STRICT
        """),
        _with_copy("""
        CREATE TABLE expected_players (
            slate TEXT NOT NULL REFERENCES batches (slate),
            slug TEXT NOT NULL,
            player_id INTEGER NOT NULL,
            name TEXT NOT NULL,
            team TEXT NOT NULL,
            opponent TEXT NOT NULL,
            is_home INTEGER,
            game_id TEXT NOT NULL,
            PRIMARY KEY (slate, slug)
        ) STRICT, WITHOUT ROWID
        """),
        _with_copy("""
        CREATE TABLE outcomes (
            slate TEXT NOT NULL,
            batch_id TEXT NOT NULL,
            player_slug TEXT NOT NULL,
            outcome TEXT NOT NULL,
            reason TEXT NOT NULL,
            part TEXT,
            run_id TEXT NOT NULL,
            recorded_at TEXT NOT NULL,
            fence INTEGER NOT NULL,
            facts_version INTEGER NOT NULL,
            basis TEXT,
            PRIMARY KEY (slate, player_slug)
        ) STRICT, WITHOUT ROWID
        """),
        """
        CREATE TABLE receipts (
            slate TEXT PRIMARY KEY,
            receipt_id TEXT NOT NULL,
            revision INTEGER NOT NULL,
            receipt TEXT NOT NULL
        ) STRICT
        """,
        _with_copy("""
        CREATE TABLE outbox (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            message_id TEXT NOT NULL UNIQUE,
            slate TEXT NOT NULL,
            receipt_id TEXT NOT NULL,
            revision INTEGER NOT NULL,
            message TEXT NOT NULL,
            delivery_id TEXT,
            delivered_at TEXT,
            replaced_by TEXT,
            acknowledged_at TEXT
        ) STRICT
        """),
        _with_copy("""
        CREATE TABLE dead_letters (
            slate TEXT NOT NULL,
            player_slug TEXT NOT NULL,
            run_id TEXT NOT NULL,
            error_class TEXT NOT NULL,
            message TEXT NOT NULL,
            traceback_digest TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            fence INTEGER NOT NULL,
            failed_at TEXT NOT NULL,
            payload TEXT NOT NULL,
            closed TEXT,
            PRIMARY KEY (slate, player_slug, run_id)
        ) STRICT, WITHOUT ROWID
        """),
        # A damaged key hides a player's row from its slate; then this number finds it.
        "CREATE TABLE roster_sizes (slate TEXT PRIMARY KEY, players INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE INDEX open_dead_letters ON dead_letters (slate, player_slug) WHERE closed IS NULL",
        _with_copy("""
        CREATE TABLE alerts (
            key TEXT PRIMARY KEY,
            opened_at TEXT NOT NULL,
            settled INTEGER NOT NULL,
            alert TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """),
    ),
    ("ALTER TABLE batches ADD COLUMN features_made_from TEXT NOT NULL DEFAULT ''",),
)

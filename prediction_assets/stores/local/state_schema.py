"""The state file's schema: batch state, outbox, dead letters and alerts, as steps from one version to the next.

``PRAGMA user_version`` is the number of steps that a file has seen; 0 is a file from before it was recorded, which
may have what several of the steps create. A change of the schema is a further step, which only adds; a step that
was released is never edited. What doesn't belong here: opening the file (:mod:`.state_file`).
"""

from __future__ import annotations

STEPS: tuple[tuple[str, ...], ...] = (
    (  # 1: batch state and the outbox
        """
        CREATE TABLE IF NOT EXISTS batches (
            slate TEXT PRIMARY KEY,
            batch_id TEXT NOT NULL,
            league TEXT NOT NULL,
            games INTEGER NOT NULL,
            opened_at TEXT NOT NULL,
            deadline TEXT NOT NULL,
            feature_snapshot TEXT
        ) STRICT
        """,
        """
        CREATE TABLE IF NOT EXISTS expected_players (
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
        """,
        """
        CREATE TABLE IF NOT EXISTS outcomes (
            slate TEXT NOT NULL,
            player_slug TEXT NOT NULL,
            outcome TEXT NOT NULL,
            reason TEXT NOT NULL,
            part TEXT,
            run_id TEXT NOT NULL,
            recorded_at TEXT NOT NULL,
            PRIMARY KEY (slate, player_slug)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE IF NOT EXISTS receipts (
            slate TEXT PRIMARY KEY,
            receipt_id TEXT NOT NULL,
            consolidated_at TEXT NOT NULL,
            receipt TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE IF NOT EXISTS outbox (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            message_id TEXT NOT NULL UNIQUE,
            slate TEXT NOT NULL,
            receipt_id TEXT NOT NULL,
            message TEXT NOT NULL,
            delivery_id TEXT,
            published_at TEXT
        ) STRICT
        """,
    ),
    (  # 2: dead letters
        """
        CREATE TABLE IF NOT EXISTS dead_letters (
            slate TEXT NOT NULL,
            player_slug TEXT NOT NULL,
            run_id TEXT NOT NULL,
            error_class TEXT NOT NULL,
            message TEXT NOT NULL,
            traceback_digest TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            failed_at TEXT NOT NULL,
            payload TEXT NOT NULL,
            closed TEXT,
            PRIMARY KEY (slate, player_slug, run_id)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE INDEX IF NOT EXISTS open_dead_letters ON dead_letters (slate, player_slug) WHERE closed IS NULL
        """,
    ),
    (  # 3: alerts
        """
        CREATE TABLE IF NOT EXISTS alerts (
            key TEXT PRIMARY KEY,
            opened_at TEXT NOT NULL,
            settled INTEGER NOT NULL,
            alert TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (  # 4: the batch that an outcome was recorded for; NULL where an earlier version recorded it
        "ALTER TABLE outcomes ADD COLUMN batch_id TEXT",
    ),
)
"""What each version adds. Those of the first three may be run again, on files that didn't say their
version."""

STATE_SCHEMA_VERSION = len(STEPS)

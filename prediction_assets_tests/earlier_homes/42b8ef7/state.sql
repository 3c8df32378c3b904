BEGIN TRANSACTION;
CREATE TABLE batches (
    slate TEXT PRIMARY KEY,
    batch_id TEXT NOT NULL,
    league TEXT NOT NULL,
    games INTEGER NOT NULL,
    opened_at TEXT NOT NULL,
    deadline TEXT NOT NULL,
    feature_snapshot TEXT
) STRICT;
INSERT INTO "batches" VALUES('2053-01-15','2053-01-15@20261124T184825Z','simulated-2',1,'2026-11-24T18:48:25.036409+00:00','2026-11-24T19:18:25.036409+00:00','1a6a986144f37d2d2ca7');
CREATE TABLE completions (
    slate TEXT NOT NULL,
    player_slug TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    part TEXT,
    run_id TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    PRIMARY KEY (slate, player_slug)
) STRICT, WITHOUT ROWID;
INSERT INTO "completions" VALUES('2053-01-15','devarro-ostrelic','staged','','{"slate": "2053-01-15", "player_slug": "devarro-ostrelic", "player_id": 10000200271, "part_id": "f54ec7663d005f5b4ff7498c7110edb7", "rows": 25, "content_hash": "e5262c98eb6d079fee0b599129f9a0169ea69878b6791bcc20fdffe1e7d0136d", "schema_version": 1, "feature_snapshot": "1a6a986144f37d2d2ca7"}','4b89311a-e30c-4e68-8aa2-77d79ce491f2','2026-11-24T18:48:33.327718+00:00');
INSERT INTO "completions" VALUES('2053-01-15','evander-yarrodor','staged','','{"slate": "2053-01-15", "player_slug": "evander-yarrodor", "player_id": 10000200181, "part_id": "0f99f9e5e4aa538fc9cc8d7d36b364b2", "rows": 25, "content_hash": "7c89b3b477fa6ef9030708fa4dced75ac8903e1edd413002fbd749b75bb778b4", "schema_version": 1, "feature_snapshot": "1a6a986144f37d2d2ca7"}','4b89311a-e30c-4e68-8aa2-77d79ce491f2','2026-11-24T18:48:33.304297+00:00');
CREATE TABLE dead_letters (
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
) STRICT, WITHOUT ROWID;
INSERT INTO "dead_letters" VALUES('2053-01-15','devarro-ostrelic','run-1','OSError','[Errno 28] No space left on device','0123456789ab',3,'2026-11-24T18:49:00+00:00','{"partition_key": "2053-01-15:devarro-ostrelic"}',NULL);
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
) STRICT, WITHOUT ROWID;
INSERT INTO "expected_players" VALUES('2053-01-15','devarro-ostrelic',10000200271,'De''Varro Ostrelić','S19','S13',0,'9000200329');
INSERT INTO "expected_players" VALUES('2053-01-15','evander-yarrodor',10000200181,'Evander Yarrodor','S13','S19',1,'9000200329');
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    slate TEXT NOT NULL,
    receipt_id TEXT NOT NULL,
    message TEXT NOT NULL,
    message_id TEXT,
    published_at TEXT
) STRICT;
INSERT INTO "outbox" VALUES(1,'91b7c2df-7eba-5442-bec4-e0712e17d993','2053-01-15','8c6ee7c96ca85a45e9fcea9c5d77f603','{"event_id": "91b7c2df-7eba-5442-bec4-e0712e17d993", "phase": "phase_5_predictions", "slate": "2053-01-15", "league": "simulated-2", "batch_id": "2053-01-15@20261124T184825Z", "receipt_id": "8c6ee7c96ca85a45e9fcea9c5d77f603", "revision": 1, "status": "success", "expected_players": 2, "staged_players": 2, "skipped_players": 0, "failed_players": 0, "missing": [], "rows": 50, "rows_inserted": 50, "rows_updated": 0, "rows_unchanged": 0, "rows_superseded": 0, "output_table": "predictions.player_prop_predictions", "feature_snapshot": "1a6a986144f37d2d2ca7", "published_at": "2026-11-24T18:48:37.307+00:00"}','2053-01-15.0001.91b7c2df-7eba-5442-bec4-e0712e17d993.json','2026-11-24T18:48:37.344915+00:00');
CREATE TABLE receipts (
    slate TEXT PRIMARY KEY,
    receipt_id TEXT NOT NULL,
    consolidated_at TEXT NOT NULL,
    receipt TEXT NOT NULL
) STRICT;
INSERT INTO "receipts" VALUES('2053-01-15','8c6ee7c96ca85a45e9fcea9c5d77f603','2026-11-24T18:48:34.685738+00:00','{"receipt_id": "8c6ee7c96ca85a45e9fcea9c5d77f603", "slate": "2053-01-15", "league": "simulated-2", "batch_id": "2053-01-15@20261124T184825Z", "status": "success", "revision": 1, "content_digest": "1020b40f83636d0a8614e8873cb0a65a3b1970c77ae09e0f81217c1681961d44", "expected_players": 2, "staged_players": 2, "skipped_players": 0, "failed_players": 0, "rows": 50, "rows_staged": 50, "rows_inserted": 50, "rows_updated": 0, "rows_unchanged": 0, "rows_superseded": 0, "feature_snapshot": "1a6a986144f37d2d2ca7", "merge_ms": 98.3, "consolidated_at": "2026-11-24T18:48:34.685738+00:00", "parts": [{"player_slug": "devarro-ostrelic", "part_id": "f54ec7663d005f5b4ff7498c7110edb7", "rows": 25, "content_hash": "e5262c98eb6d079fee0b599129f9a0169ea69878b6791bcc20fdffe1e7d0136d"}, {"player_slug": "evander-yarrodor", "part_id": "0f99f9e5e4aa538fc9cc8d7d36b364b2", "rows": 25, "content_hash": "7c89b3b477fa6ef9030708fa4dced75ac8903e1edd413002fbd749b75bb778b4"}], "missing": [], "seal": "bedfeb19fe20cebcabdae4656c40fa4e40e8f14e3175d56317c606d8900ed62e"}');
CREATE INDEX open_dead_letters ON dead_letters (slate, player_slug) WHERE closed IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',1);
COMMIT;

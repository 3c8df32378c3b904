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
INSERT INTO "batches" VALUES('2053-01-15','2053-01-15@20261124T184648Z','simulated-2',1,'2026-11-24T18:46:48.332422+00:00','2026-11-24T19:16:48.332422+00:00','1a6a986144f37d2d2ca7');
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
INSERT INTO "completions" VALUES('2053-01-15','devarro-ostrelic','staged','','{"slate": "2053-01-15", "player_slug": "devarro-ostrelic", "player_id": 10000200271, "part_id": "0e6a2b83593047a753f7ecea5969204c", "rows": 25, "content_hash": "e5262c98eb6d079fee0b599129f9a0169ea69878b6791bcc20fdffe1e7d0136d", "schema_version": 1, "feature_snapshot": "1a6a986144f37d2d2ca7"}','989973cd-7ed6-49a2-94e6-484fa67f458b','2026-11-24T18:46:58.903127+00:00');
INSERT INTO "completions" VALUES('2053-01-15','evander-yarrodor','staged','','{"slate": "2053-01-15", "player_slug": "evander-yarrodor", "player_id": 10000200181, "part_id": "5366f53d635e5bb8508279a593b64ced", "rows": 25, "content_hash": "7c89b3b477fa6ef9030708fa4dced75ac8903e1edd413002fbd749b75bb778b4", "schema_version": 1, "feature_snapshot": "1a6a986144f37d2d2ca7"}','989973cd-7ed6-49a2-94e6-484fa67f458b','2026-11-24T18:46:58.914573+00:00');
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
INSERT INTO "outbox" VALUES(1,'91b7c2df-7eba-5442-bec4-e0712e17d993','2053-01-15','8b79bfdb4f745e5ef4432901c317d99c','{"event_id": "91b7c2df-7eba-5442-bec4-e0712e17d993", "phase": "phase_5_predictions", "slate": "2053-01-15", "league": "simulated-2", "batch_id": "2053-01-15@20261124T184648Z", "receipt_id": "8b79bfdb4f745e5ef4432901c317d99c", "revision": 1, "status": "success", "expected_players": 2, "staged_players": 2, "skipped_players": 0, "failed_players": 0, "rows": 50, "rows_inserted": 50, "rows_updated": 0, "rows_unchanged": 0, "rows_superseded": 0, "output_table": "predictions.player_prop_predictions", "feature_snapshot": "1a6a986144f37d2d2ca7", "published_at": "2026-11-24T18:47:06.640+00:00"}','2053-01-15.0001.91b7c2df-7eba-5442-bec4-e0712e17d993.json','2026-11-24T18:47:06.679877+00:00');
CREATE TABLE receipts (
    slate TEXT PRIMARY KEY,
    receipt_id TEXT NOT NULL,
    consolidated_at TEXT NOT NULL,
    receipt TEXT NOT NULL
) STRICT;
INSERT INTO "receipts" VALUES('2053-01-15','8b79bfdb4f745e5ef4432901c317d99c','2026-11-24T18:47:01.971826+00:00','{"receipt_id": "8b79bfdb4f745e5ef4432901c317d99c", "slate": "2053-01-15", "league": "simulated-2", "batch_id": "2053-01-15@20261124T184648Z", "status": "success", "revision": 1, "content_digest": "1020b40f83636d0a8614e8873cb0a65a3b1970c77ae09e0f81217c1681961d44", "expected_players": 2, "staged_players": 2, "skipped_players": 0, "failed_players": 0, "rows": 50, "rows_staged": 50, "rows_inserted": 50, "rows_updated": 0, "rows_unchanged": 0, "rows_superseded": 0, "feature_snapshot": "1a6a986144f37d2d2ca7", "merge_ms": 132.2, "consolidated_at": "2026-11-24T18:47:01.971826+00:00", "parts": [{"player_slug": "devarro-ostrelic", "part_id": "0e6a2b83593047a753f7ecea5969204c", "rows": 25, "content_hash": "e5262c98eb6d079fee0b599129f9a0169ea69878b6791bcc20fdffe1e7d0136d"}, {"player_slug": "evander-yarrodor", "part_id": "5366f53d635e5bb8508279a593b64ced", "rows": 25, "content_hash": "7c89b3b477fa6ef9030708fa4dced75ac8903e1edd413002fbd749b75bb778b4"}], "missing": []}');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',1);
COMMIT;

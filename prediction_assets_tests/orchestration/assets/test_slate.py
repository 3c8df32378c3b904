"""A slate through the assets: what a user of the platform relies on."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.errors import (
    AuditRefused,
    BadInput,
    BatchConflict,
    NobodyExpected,
    NoPartsStaged,
    NotSettled,
)
from prediction_assets.ingest.merging import OFFER
from prediction_assets.orchestration.partitions import SLATE_PLAYERS
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.completion_message import validate_completion
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome
from prediction_assets.stores.local.parts import ArrowSnapshots
from prediction_assets.stores.sql.tables import GAME_LOGS, PROP_LINES, SCHEDULE
from prediction_assets.stores.sql.tables import PREDICTIONS as TABLE
from prediction_assets_tests.homes import FACTS, PLAYERS, SIMULATED
from prediction_assets_tests.made_up import ROWS_PER_PLAYER
from prediction_assets_tests.orchestration.assets.faults import FailingPublisher, FailingWarehouse

ROWS = "SELECT * FROM predictions.player_prop_predictions ORDER BY player_id, system, line, is_active"
STAGED = dg.AssetKey("staged_predictions")
PREDICTIONS = dg.AssetKey("predictions")


def rows(run: SlateRun) -> list[dict[str, object]]:
    return run.stores.warehouse.query(ROWS).to_pylist()


def partitions(run: SlateRun) -> dict[str, str | None]:
    keys = run._instance.get_dynamic_partitions("slate_players")
    statuses = run._instance.get_status_by_partition(STAGED, keys, SLATE_PLAYERS) or {}
    return {key.partition(":")[2]: status and status.value for key, status in statuses.items()}


def evaluation(run: SlateRun, check: str) -> dg.AssetCheckEvaluation:
    key = dg.AssetCheckKey(PREDICTIONS, check)
    found = run._instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    done = [r.event.dagster_event.event_specific_data for r in found if r.event]
    return next(e for e in done if isinstance(e, dg.AssetCheckEvaluation))


def with_fault(settings_of: Path, cls: type, key: str, **fault: object) -> dict[str, object]:
    return {key: cls(settings_of, **fault)}


def test_a_slate_ends_merged_checked_cleaned_up_and_announced(finished):
    progress = finished.stores.batch_state.progress(SIMULATED)
    (receipt,), (event,) = (
        finished.stores.warehouse.receipts(SIMULATED),
        finished.stores.outbox.entries(SIMULATED),
    )
    assert len(progress.batch.expected) == PLAYERS == progress.count(Outcome.STAGED)
    assert receipt.rows_staged == receipt.rows_inserted == PLAYERS * ROWS_PER_PLAYER == len(rows(finished))
    assert dict(finished.stores.warehouse.parts.staged(SIMULATED)) == {}
    assert set(partitions(finished).values()) == {"MATERIALIZED"}
    assert (event.receipt_id, event.message["status"], event.message["rows"]) == (
        receipt.receipt_id,
        "success",
        200,
    )
    (delivered,) = (finished._settings.home / "outbox").glob("*.json")
    message = json.loads(delivered.read_text("utf-8"))
    validate_completion(message)
    assert (message, delivered.name) == (event.message, event.delivery_id)


def test_every_row_carries_the_snapshot_its_own_line_and_the_label_simulated(finished):
    progress = finished.stores.batch_state.progress(SIMULATED)
    for row in rows(finished):
        assert row["feature_snapshot"] == progress.feature_snapshot
        assert row["league"] == f"simulated-{PLAYERS}"
        assert (row["line_source"] == "estimated") == (row["recommendation"] == "NO_LINE")
    by_player: dict[object, set[object]] = {}
    for row in rows(finished):
        by_player.setdefault(row["player_id"], set()).add((row["system"], row["line_offset"]))
    assert all(len(cells) == ROWS_PER_PLAYER for cells in by_player.values())


def test_a_second_run_of_the_whole_slate_changes_nothing_and_announces_nothing(finished):
    before = rows(finished)
    assert finished.ingest(FACTS)["game_logs"]["rows_inserted"] == 0
    result = finished.whole(SIMULATED)
    assert (result.receipt.rows_inserted, result.receipt.rows_updated, result.receipt.rows_superseded) == (
        0,
        0,
        0,
    )
    assert result.receipt.rows_unchanged == PLAYERS * ROWS_PER_PLAYER
    assert rows(finished) == before
    assert len(finished.stores.outbox.entries(SIMULATED)) == 1
    assert len(list((finished._settings.home / "outbox").glob("*.json"))) == 1


def test_one_player_s_moved_line_replaces_his_rows_only_and_is_announced_as_an_event_of_its_own(finished):
    offers = finished.stores.warehouse.query(
        "SELECT * FROM facts.prop_lines WHERE game_date = $slate", {"slate": date.fromisoformat(SIMULATED)}
    )
    progress = finished.stores.batch_state.progress(SIMULATED)
    before = rows(finished)
    market = {r["player_id"] for r in before if r["line_source"] == "market"}
    who = next(p for p in progress.batch.expected if p.player_id in market)
    his = offers.filter(pc.equal(offers["player_id"], who.player_id))
    moved = [
        {**offer, "line": offer["line"] + 3, "capture": "later", "captured_at": offer["commence_time"]}
        for offer in his.to_pylist()
        if offer["over_price"] and offer["under_price"]
    ]
    finished.stores.warehouse.upsert(PROP_LINES, PROP_LINES.arrow_table(moved), OFFER)

    assert finished.stage(SIMULATED, [who.slug])
    receipt = finished.consolidate(SIMULATED)
    event = finished.announce(receipt)

    after = rows(finished)
    others = [r for r in after if r["player_id"] != who.player_id]
    assert others == [r for r in before if r["player_id"] != who.player_id]
    active = {r["line"] for r in after if r["player_id"] == who.player_id and r["is_active"]}
    old = {r["line"] for r in before if r["player_id"] == who.player_id}
    assert active == {line + 3 for line in old}
    assert {r["line"] for r in after if r["player_id"] == who.player_id and not r["is_active"]} == old, (
        "a row at a line in common is closed, too, and another one is inserted"
    )
    assert receipt.rows == PLAYERS * ROWS_PER_PLAYER
    assert [part["player_slug"] for part in receipt.parts] == [who.slug]
    first, second = finished.stores.outbox.entries(SIMULATED)
    assert (second.message_id, second.message["revision"]) == (event.message_id, 2)
    assert first.message_id != second.message_id


def test_a_day_without_games_materializes_with_0_and_rests(ingested):
    days = ingested.stores.warehouse.query("SELECT DISTINCT game_date FROM facts.schedule ORDER BY 1")[
        "game_date"
    ].to_pylist()
    gap = next(a for a, b in itertools.pairwise(days) if (b - a).days > 1)
    quiet = date.fromordinal(gap.toordinal() + 1).isoformat()
    result = ingested.whole(quiet)
    assert (result.progress.batch.games, result.receipt, result.entry) == (0, None, None)
    record = ingested._instance.get_latest_materialization_event(dg.AssetKey("slate_roster"))
    assert record.asset_materialization.metadata["expected_players"].value == 0
    assert ingested._instance.get_dynamic_partitions("slates") == []


@pytest.mark.parametrize("slate", ["1999-12-31", "9999-01-01"])
def test_a_slate_beyond_every_schedule_is_refused(ingested, slate):
    with pytest.raises(BadInput, match="no ingested schedule covers"):
        ingested.roster(slate)
    assert ingested.stores.batch_state.progress(slate) is None


def test_games_without_anybody_to_expect_are_an_error_and_not_a_quiet_day(slate_run):
    slate_run.ingest({"schedule": FACTS["schedule"]})
    with pytest.raises(NobodyExpected, match="ingest the game logs"):
        slate_run.roster(SIMULATED)


def test_the_roster_again_takes_an_absent_player_out_and_leaves_everybody_else(finished):
    progress = finished.stores.batch_state.progress(SIMULATED)
    gone = progress.batch.expected[0]
    finished.stores.warehouse.query("SELECT 1")
    with finished.stores.warehouse._connect(write=True) as connection:
        connection.execute("DELETE FROM facts.game_logs WHERE player_id = ?", [gone.player_id])
    after = finished.roster(SIMULATED)
    assert after.batch.expected == progress.batch.expected[1:]
    assert after.outcomes == {
        slug: replace(done, batch_id=after.batch.batch_id)
        for slug, done in progress.outcomes.items()
        if slug != gone.slug
    }
    assert after.feature_snapshot == progress.feature_snapshot

    result = finished.whole(SIMULATED)
    assert result.receipt.expected_players == PLAYERS - 1
    assert {r["player_id"] for r in rows(finished) if not r["is_active"]} >= {gone.player_id}
    assert result.receipt.rows == (PLAYERS - 1) * ROWS_PER_PLAYER
    assert result.entry.message["revision"] == 2


def test_reopening_stages_the_players_whose_game_is_another_one_and_takes_the_old_game_s_rows_back(finished):
    before = finished.stores.batch_state.progress(SIMULATED)
    with finished.stores.warehouse._connect(write=True) as connection:
        connection.execute(
            "UPDATE facts.schedule SET game_id = '9000009999' WHERE game_date = ?",
            [date.fromisoformat(SIMULATED)],
        )
    with pytest.raises(BatchConflict, match="change a player's team, opponent or game"):
        finished.roster(SIMULATED)
    progress = finished.roster(SIMULATED, reopen=True)
    assert progress.outcomes == {}
    assert progress.feature_snapshot not in (None, before.feature_snapshot), (
        "pinned again in the roster's run"
    )
    assert next_step(progress, Clock().now()) is Step.STAGE
    result = finished.whole(SIMULATED)
    assert {r["game_id"] for r in rows(finished) if r["is_active"]} == {"9000009999"}
    assert {p.game_id for p in before.batch.expected} == {
        r["game_id"] for r in rows(finished) if not r["is_active"]
    }
    assert (result.receipt.rows, result.entry.message["revision"]) == (PLAYERS * ROWS_PER_PLAYER, 2)


def test_what_a_staging_run_records_after_its_slate_was_reopened_does_not_count_and_it_says_so(
    ready, monkeypatch
):
    state = ready.stores.batch_state
    record, first = type(state).record, True

    def reopened_meanwhile(self, outcomes):
        nonlocal first
        if first:
            first = False
            batch = self.progress(SIMULATED).batch
            moved = tuple(replace(player, game_id="9000009999") for player in batch.expected)
            self.reopen(replace(batch, batch_id="reopened", expected=moved))
        record(self, outcomes)

    monkeypatch.setattr(type(state), "record", reopened_meanwhile)
    with pytest.raises(
        BatchConflict, match=rf"it was reopened while this run staged.* {PLAYERS} of {PLAYERS} players"
    ):
        ready.stage(SIMULATED)
    progress = ready.stores.batch_state.progress(SIMULATED)
    assert (progress.batch.batch_id, progress.outcomes) == ("reopened", {})
    assert next_step(progress, Clock().now()) is Step.FEATURES


def test_after_a_player_was_dropped_by_reopening_another_one_can_be_staged_again(finished):
    gone, other, *_ = finished.stores.batch_state.progress(SIMULATED).batch.expected
    with finished.stores.warehouse._connect(write=True) as connection:
        connection.execute("DELETE FROM facts.game_logs WHERE player_id = ?", [gone.player_id])
    finished.roster(SIMULATED, reopen=True)
    assert finished.stage(SIMULATED, [other.slug])
    assert finished.consolidate(SIMULATED).rows == (PLAYERS - 1) * ROWS_PER_PLAYER


@pytest.mark.parametrize("reopened", [True, False], ids=["reopened", "everybody skipped"])
def test_a_slate_whose_games_are_all_called_off_is_taken_back_and_announced_with_0_rows(finished, reopened):
    listed = "SELECT * FROM facts.schedule WHERE game_date = $day"
    day = date.fromisoformat(SIMULATED)
    before = SCHEDULE.arrow_table(finished.stores.warehouse.query(listed, {"day": day}).to_pylist())
    with finished.stores.warehouse._connect(write=True) as connection:
        connection.execute("DELETE FROM facts.schedule WHERE game_date = ?", [day])
    if reopened:
        assert finished.roster(SIMULATED, reopen=True).batch.expected == ()
    else:
        with pytest.raises(BatchConflict, match=rf"drop {PLAYERS} .*--reopen"):
            finished.roster(SIMULATED)
        finished.stage(SIMULATED)
    receipt = finished.consolidate(SIMULATED)
    event = finished.announce(receipt)
    assert [r for r in rows(finished) if r["is_active"]] == []
    assert (receipt.revision, receipt.rows, receipt.rows_superseded) == (2, 0, PLAYERS * ROWS_PER_PLAYER)
    assert (event.message["revision"], event.message["rows"], event.message["staged_players"]) == (2, 0, 0)
    assert event.message["league"] == f"simulated-{PLAYERS}"
    passed = evaluation(finished, "predictions_not_empty")
    why = "no game is on any more" if reopened else f"all {PLAYERS} expected players were skipped"
    assert (passed.passed, why in passed.metadata["why_no_rows"].value) == (True, True)
    assert next_step(finished.stores.batch_state.progress(SIMULATED), Clock().now()) is Step.NOTHING
    assert finished.consolidate(SIMULATED) == receipt
    if reopened:  # and again it is nothing to do, until the games are on again
        assert finished.whole(SIMULATED).receipt == receipt
        assert len(finished.stores.outbox.entries(SIMULATED)) == 2
        finished.stores.warehouse.upsert(SCHEDULE, before, ("league", "game_date"))
        back = finished.whole(SIMULATED, reopen=True)
        assert (back.receipt.rows, back.entry.message["revision"]) == (PLAYERS * ROWS_PER_PLAYER, 3)


def test_a_slate_of_which_everybody_is_skipped_before_any_merge_ends_without_a_receipt(ready):
    with ready.stores.warehouse._connect(write=True) as connection:
        connection.execute("DELETE FROM facts.schedule WHERE game_date = ?", [date.fromisoformat(SIMULATED)])
    ready.stage(SIMULATED)
    progress = ready.stores.batch_state.progress(SIMULATED)
    assert progress.count(Outcome.SKIPPED) == PLAYERS
    assert next_step(progress, Clock().now()) is Step.NOTHING
    with pytest.raises(NoPartsStaged, match="There is nothing to predict"):
        ready.consolidate(SIMULATED)
    assert not evaluation(ready, "predictions_not_empty").passed
    assert ready.stores.outbox.entries(SIMULATED) == []


def test_a_failing_player_does_not_hold_the_others_back(ready_home, open_home, tmp_path):
    healthy = open_home(ready_home)
    slugs = [p.slug for p in healthy.stores.batch_state.progress(SIMULATED).batch.expected]
    run = open_home(
        ready_home, with_fault(tmp_path / "home", FailingWarehouse, "warehouse", failing=[slugs[3]])
    )
    run.stage(SIMULATED)
    receipt = run.consolidate(SIMULATED)
    assert receipt.status == run.announce(receipt).message["status"] == "partial"
    assert (receipt.staged_players, receipt.failed_players) == (PLAYERS - 1, 1)
    assert receipt.missing[0]["player_slug"] == slugs[3]
    assert "No space left" in receipt.missing[0]["reason"]
    assert partitions(run) == {slug: "FAILED" if slug == slugs[3] else "MATERIALIZED" for slug in slugs}
    warning = evaluation(run, "every_expected_player_settled")
    assert (warning.passed, warning.severity) == (False, dg.AssetCheckSeverity.WARN)

    assert healthy.stage(SIMULATED, [slugs[3]])
    receipt = healthy.consolidate(SIMULATED)
    event = healthy.announce(receipt)
    assert (event.message["status"], event.message["rows"]) == ("success", PLAYERS * ROWS_PER_PLAYER)
    assert len(healthy.stores.outbox.entries(SIMULATED)) == 2
    assert set(partitions(healthy).values()) == {"MATERIALIZED"}


def test_0_staged_rows_turn_the_blocking_check_red_and_announce_nothing(ready_home, open_home, tmp_path):
    open_home(ready_home)
    run = open_home(ready_home, with_fault(tmp_path / "home", FailingWarehouse, "warehouse", failing=["*"]))
    run.stage(SIMULATED)
    with pytest.raises(NoPartsStaged, match="none of 8 expected players"):
        run.consolidate(SIMULATED)
    red = evaluation(run, "predictions_not_empty")
    assert (red.passed, red.blocking) == (False, True)
    assert (rows(run), run.stores.warehouse.receipts(SIMULATED), run.stores.outbox.entries(SIMULATED)) == (
        [],
        (),
        [],
    )
    assert run._instance.get_latest_materialization_event(PREDICTIONS) is None


def impossible(monkeypatch) -> None:
    """Let the audit of values refuse every slate."""
    limits = lambda _: AuditLimits(most_points=1.0)  # noqa: E731
    monkeypatch.setattr("prediction_assets.orchestration.assets.predictions.audit_limits", limits)


def test_a_refused_slate_keeps_staging_shows_its_rows_in_the_check_and_leaves_nothing_to_read(
    staged, monkeypatch
):
    impossible(monkeypatch)
    with pytest.raises(AuditRefused, match=r"values_in_range: 200: .* --accept values_in_range --because"):
        staged.consolidate(SIMULATED)
    red, green = evaluation(staged, "values_in_range"), evaluation(staged, "business_key_is_unique")
    assert (red.passed, red.severity, green.passed) == (False, dg.AssetCheckSeverity.ERROR, True)
    shown = red.metadata["offending"]
    assert isinstance(shown, dg.TextMetadataValue)
    assert len((shown.text or "").split("; ")) == 5
    assert "points" in (shown.text or "")
    assert len(dict(staged.stores.warehouse.parts.staged(SIMULATED))) == PLAYERS
    assert (rows(staged), staged.stores.warehouse.receipts(SIMULATED)) == ([], ())
    assert staged._instance.get_latest_materialization_event(PREDICTIONS) is None

    monkeypatch.undo()
    receipt = staged.consolidate(SIMULATED)
    assert evaluation(staged, "values_in_range").passed
    assert dict(staged.stores.warehouse.parts.staged(SIMULATED)) == {}
    assert staged.announce(receipt).message["status"] == "success"


def test_an_operator_accepts_a_named_audit_for_one_slate_and_the_receipt_keeps_why(staged, monkeypatch):
    impossible(monkeypatch)
    receipt = staged.consolidate(SIMULATED, accept=["values_in_range"], because="an exhibition game")
    assert receipt.accepted == ({"name": "values_in_range", "because": "an exhibition game"},)
    shown = evaluation(staged, "values_in_range")
    assert (shown.passed, shown.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert shown.metadata["accepted_because"].text == "an exhibition game"
    assert staged.announce(receipt).message["rows"] == 200


def test_what_can_t_be_accepted_is_refused_before_anything_is_merged(staged):
    for accept, because, problem in (
        ("values_in_rage", "a typo", "'values_in_rage' is no blocking audit"),
        ("every_expected_player_settled", "it only warns", "is no blocking audit"),
        ("business_key_is_unique", "please", "can't be accepted: every later MERGE"),
        ("staged_rows_are_accounted_for", "please", "can't be accepted: rows would be lost"),
        ("values_in_range", " ", "no reason is given"),
    ):
        with pytest.raises(BadInput, match=problem):
            staged.consolidate(SIMULATED, accept=[accept], because=because)
    assert rows(staged) == []


def test_too_few_staged_players_merge_nothing_and_keep_staging(ready, monkeypatch):
    progress = ready.stores.batch_state.progress(SIMULATED)
    ready.stage(SIMULATED, [p.slug for p in progress.batch.expected[:6]])
    with pytest.raises(AuditRefused, match="only 6 of 8"):
        ready.consolidate(SIMULATED, before_deadline=True)
    assert evaluation(ready, "enough_players_staged").passed is False
    assert evaluation(ready, "predictions_not_empty").passed is True
    assert (rows(ready), len(dict(ready.stores.warehouse.parts.staged(SIMULATED)))) == ([], 6)


def test_a_write_that_fails_for_a_moment_is_tried_again(ready, monkeypatch):
    from prediction_assets.stores.local.parts import ArrowParts

    real, failures = ArrowParts.write, {}

    def flaky(self, slate, slug, table, fence):
        failures[slug] = failures.get(slug, 0) + 1
        if failures[slug] < 3:
            raise OSError(5, "Input/output error")
        return real(self, slate, slug, table, fence)

    monkeypatch.setattr(ArrowParts, "write", flaky)
    assert ready.stage(SIMULATED)
    assert ready.stores.batch_state.progress(SIMULATED).count(Outcome.STAGED) == PLAYERS


def test_a_consolidation_waits_for_staging_unless_it_is_told_not_to(ready):
    progress = ready.stores.batch_state.progress(SIMULATED)
    ready.stage(SIMULATED, [p.slug for p in progress.batch.expected[:7]])
    with pytest.raises(NotSettled, match="1 of 8 players haven't settled"):
        ready.consolidate(SIMULATED)
    receipt = ready.consolidate(SIMULATED, before_deadline=True)
    assert (receipt.status, receipt.staged_players, receipt.failed_players) == ("partial", 7, 1)


@pytest.mark.parametrize("after", [False, True], ids=["before_it_went_out", "after_it_went_out"])
def test_a_lost_publish_is_repeated_under_the_same_event_id(staged_home, open_home, tmp_path, after):
    healthy = open_home(staged_home)
    run = open_home(staged_home, with_fault(tmp_path / "home", FailingPublisher, "publisher", after=after))
    receipt = run.consolidate(SIMULATED)
    with pytest.raises(ConnectionError):
        run.announce(receipt)
    (pending,) = run.stores.outbox.entries(SIMULATED)
    assert pending.delivery_id is None
    published = healthy.announce(receipt)
    assert (published.message_id, published.message) == (pending.message_id, pending.message)
    assert len(list((tmp_path / "home" / "outbox").glob("*.json"))) == 1


def test_a_player_s_rows_do_not_depend_on_who_else_is_in_his_run(finished):
    before = rows(finished)
    finished.stage(SIMULATED, [finished.stores.batch_state.progress(SIMULATED).batch.expected[2].slug])
    receipt = finished.consolidate(SIMULATED)
    assert (receipt.rows_staged, receipt.rows_unchanged) == (ROWS_PER_PLAYER, ROWS_PER_PLAYER)
    assert rows(finished) == before


def test_partition_keys_follow_the_slate_and_its_players(finished):
    progress = finished.stores.batch_state.progress(SIMULATED)
    assert finished._instance.get_dynamic_partitions("slates") == [SIMULATED]
    assert finished._instance.get_dynamic_partitions("slate_players") == [
        player_key(SIMULATED, p.slug) for p in progress.batch.expected
    ]


def test_the_predictions_asset_shows_what_the_merge_did(finished):
    record = finished._instance.get_latest_materialization_event(PREDICTIONS)
    metadata = record.asset_materialization.metadata
    (receipt,) = finished.stores.warehouse.receipts(SIMULATED)
    assert metadata["rows_inserted"].value == receipt.rows_inserted == 200
    assert metadata["simulated"].value is True
    assert metadata["sample"].schema.columns[0].name == "player_name"
    assert metadata["merge_ms"].value == receipt.merge_ms
    shown = ["picture", "board", "status", "revision", "players_expected", "players_staged"]
    assert [*metadata][: len(shown)] == shown
    definition = finished._defs.resolve_asset_graph().get(PREDICTIONS).metadata
    assert "dagster/column_schema" not in definition
    assert len(definition["columns"].columns) == len(TABLE.columns)


def test_an_unknown_player_is_named(finished):
    with pytest.raises(BadInput, match="not registered"):
        finished.stage(SIMULATED, ["michael-nobody"])


def test_market_lines_are_exact_decimals(finished):
    lines = {r["line"] for r in rows(finished)}
    assert all(isinstance(line, Decimal) and line * 2 == int(line * 2) for line in lines)


def test_a_corrected_log_updates_the_rows_that_depend_on_it(finished):
    logs = finished.stores.warehouse.query("SELECT * FROM facts.game_logs").cast(GAME_LOGS.arrow_schema)
    expected = finished.stores.batch_state.progress(SIMULATED).batch.expected[0]
    his = (
        logs.filter(pc.equal(logs["player_id"], expected.player_id))
        .sort_by([("game_date", "descending")])
        .slice(0, 1)
    )
    row = his.to_pylist()[0]
    corrected = {**row, "free_throws_made": row["free_throws_made"] + 5, "points": row["points"] + 5}
    done = finished.stores.warehouse.upsert(
        GAME_LOGS, pa.Table.from_pylist([corrected], schema=GAME_LOGS.arrow_schema)
    )
    assert (done.inserted, done.updated) == (0, 1)
    result = finished.whole(SIMULATED)
    assert result.receipt.rows_updated > 0
    assert result.entry.message["revision"] == 2


def test_each_player_has_one_materialization_a_run_with_its_metadata(finished):
    records = finished._instance.fetch_materializations(STAGED, limit=100).records
    assert len(records) == PLAYERS
    assert all(r.asset_materialization.metadata["rows"].value == ROWS_PER_PLAYER for r in records)


def test_a_skipped_player_is_not_shown_as_materialized(ready, monkeypatch):
    gone, *others = ready.stores.batch_state.progress(SIMULATED).batch.expected
    real = ArrowSnapshots.players

    def without_him(self, slate, snapshot_id, player_ids=None):
        return real(self, slate, snapshot_id, [player.player_id for player in others])

    monkeypatch.setattr(ArrowSnapshots, "players", without_him)
    with duckdb.connect(
        str(ready._settings.home / "warehouse.duckdb")
    ) as connection:  # a line would be enough
        connection.execute(
            "DELETE FROM facts.prop_lines WHERE player_id = $player", {"player": gone.player_id}
        )
    ready.stage(SIMULATED)
    receipt = ready.consolidate(SIMULATED)
    assert (receipt.status, receipt.skipped_players, receipt.staged_players) == ("success", 1, PLAYERS - 1)
    assert partitions(ready)[gone.slug] != "MATERIALIZED"


def test_each_click_on_the_roster_of_a_simulated_league_opens_its_next_slate(finished):
    finished._execute("roster", ops={"slate_roster": {}})
    record = finished._instance.get_latest_materialization_event(dg.AssetKey("slate_roster"))
    opened = record.asset_materialization.metadata["slate"].value
    assert opened > SIMULATED
    assert finished.stores.batch_state.progress(opened).unsettled
    finished._execute("roster", ops={"slate_roster": {}})
    record = finished._instance.get_latest_materialization_event(dg.AssetKey("slate_roster"))
    assert record.asset_materialization.metadata["slate"].value == opened, "it isn't finished yet"

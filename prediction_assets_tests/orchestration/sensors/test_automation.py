"""The sensors, ticked as the daemon ticks them, on a real instance."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import dagster as dg
import duckdb
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType

from prediction_assets.errors import AuditRefused, NoPartsStaged
from prediction_assets.orchestration.run_tags import RANGE_END_TAG, RANGE_START_TAG, REQUEST_TAG, SLATE_TAG
from prediction_assets.orchestration.runs import LOST_AFTER
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.steps import failpoints
from prediction_assets.stores.sql.tables import RECEIPTS
from prediction_assets_tests.homes import PLAYERS, SIMULATED
from prediction_assets_tests.orchestration.sensors.ticking import (
    fail,
    kill,
    leave_run,
    open_without_features,
    requested,
    retry,
    tick,
)

STAGING, CONSOLIDATION, COMPLETION = "staging_sensor", "consolidation_sensor", "phase5_completion_sensor"


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prediction_assets.orchestration.sensors.requests.FIRST_PAUSE", timedelta(0))


def test_without_a_batch_every_sensor_rests(ingested):
    for name in (STAGING, CONSOLIDATION, COMPLETION):
        result = tick(ingested, name)
        assert requested(result) == []
        assert result.skip_reason


def test_after_the_roster_one_range_of_all_players_is_requested(ingested):
    progress = ingested.roster(SIMULATED)
    (staging,) = requested(tick(ingested, STAGING))
    slugs = [p.slug for p in progress.batch.expected]
    assert staging.job_name == "staging"
    assert staging.tags[RANGE_START_TAG] == f"{SIMULATED}:{slugs[0]}"
    assert staging.tags[RANGE_END_TAG] == f"{SIMULATED}:{slugs[-1]}"
    assert requested(tick(ingested, CONSOLIDATION)) == []


def test_the_roster_pins_features_and_shows_them_as_their_own_run_would(ingested):
    features = dg.AssetKey("player_features")
    shown = []
    for pin in (ingested.roster, ingested.features):
        pin(SIMULATED)
        event = ingested._instance.get_latest_materialization_event(features)
        shown.append(event.asset_materialization)
    assert [found.partition for found in shown] == [SIMULATED, SIMULATED]
    assert shown[0].tags["feature_snapshot"] == shown[1].tags["feature_snapshot"]
    assert shown[0].metadata == shown[1].metadata
    pinned = ingested.stores.batch_state.progress(SIMULATED).feature_snapshot
    assert shown[0].tags["feature_snapshot"] == pinned


def test_features_that_a_stopped_roster_run_did_not_pin_are_requested_once_it_is_over(ingested):
    open_without_features(ingested, SIMULATED)
    job = ingested._defs.resolve_job_def("roster")
    again = ingested._instance.create_run_for_job(job_def=job, tags={SLATE_TAG: SIMULATED})
    waiting = tick(ingested, STAGING)
    assert requested(waiting) == []
    assert "its roster run is about to pin them" in waiting.skip_reason.skip_message
    fail(ingested, again.run_id)
    (features,) = requested(tick(ingested, STAGING))
    assert (features.job_name, features.partition_key) == ("features", SIMULATED)
    ingested.features(SIMULATED)
    (staging,) = requested(tick(ingested, STAGING))
    assert staging.job_name == "staging"


def cut_the_power(home: SlateRun) -> None:
    """Leave the pinned features as a power failure may leave files that were not synchronized: empty."""
    snapshots, pinned = home.stores.warehouse.snapshots, home.stores.batch_state.progress(SIMULATED)
    for file in snapshots._folder(SIMULATED, pinned.feature_snapshot).iterdir():
        file.write_bytes(b"")


def test_pinned_features_that_are_damaged_are_made_again_and_the_slate_is_staged(ready):
    cut_the_power(ready)
    (features,) = requested(tick(ready, STAGING))
    assert (features.job_name, features.partition_key) == ("features", SIMULATED)
    ready.features(SIMULATED)
    (staging,) = requested(tick(ready, STAGING))
    assert staging.job_name == "staging"
    assert ready.stage(SIMULATED)


def test_damaged_features_are_made_again_for_a_player_whose_part_is_lost(staged):
    cut_the_power(staged)
    parts = staged.stores.warehouse.parts
    lost = parts.staged(SIMULATED)[0]
    list(parts.drop(SIMULATED, [lost]))
    (features,) = requested(tick(staged, CONSOLIDATION))
    assert features.job_name == "features"
    staged.features(SIMULATED)
    (staging,) = requested(tick(staged, CONSOLIDATION))
    assert (staging.job_name, staging.tags[RANGE_START_TAG]) == ("staging", f"{SIMULATED}:{lost[0]}")


def test_only_players_without_an_outcome_are_staged_again(ready):
    progress = ready.stores.batch_state.progress(SIMULATED)
    slugs = [p.slug for p in progress.batch.expected]
    ready.stage(SIMULATED, [slugs[0], slugs[3], slugs[4]])
    (request,) = requested(tick(ready, STAGING))
    assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == (
        f"{SIMULATED}:{slugs[1]}",
        f"{SIMULATED}:{slugs[7]}",
    )
    wanted = [f"{SIMULATED}:{slugs[number]}" for number in (1, 2, 5, 6, 7)]
    assert request.run_config == {"ops": {"staged_predictions": {"config": {"players": wanted}}}}


def test_a_settled_slate_is_consolidated_and_then_rests(staged):
    (request,) = requested(tick(staged, CONSOLIDATION))
    assert request.partition_key == SIMULATED
    staged.consolidate(SIMULATED)
    assert requested(tick(staged, CONSOLIDATION)) == []


def test_a_player_staged_anew_asks_for_another_consolidation(finished):
    assert requested(tick(finished, CONSOLIDATION)) == []
    slug = finished.stores.batch_state.progress(SIMULATED).batch.expected[0].slug
    finished.stage(SIMULATED, [slug])
    (request,) = requested(tick(finished, CONSOLIDATION))
    finished.stage(SIMULATED, [slug])
    (other,) = requested(tick(finished, CONSOLIDATION))
    assert request.run_key != other.run_key


def test_at_the_deadline_a_slate_is_consolidated_with_whoever_has_settled(ready, monkeypatch):
    progress = ready.stores.batch_state.progress(SIMULATED)
    ready.stage(SIMULATED, [p.slug for p in progress.batch.expected[:7]])
    assert requested(tick(ready, CONSOLIDATION)) == []
    late = progress.batch.deadline + timedelta(seconds=1)
    monkeypatch.setattr("prediction_assets.slate.deadlines.Clock.now", lambda self: late)
    (request,) = requested(tick(ready, CONSOLIDATION))
    assert request.partition_key == SIMULATED
    receipt = ready.consolidate(SIMULATED)
    assert (receipt.status, receipt.staged_players) == ("partial", 7)
    assert requested(tick(ready, CONSOLIDATION)) == []
    assert requested(tick(ready, STAGING)) == []


def test_work_in_flight_is_not_requested_twice_and_failed_work_only_so_often(ready):
    keys = []
    for _ in range(3):
        (request,) = requested(tick(ready, STAGING))
        keys.append(request.run_key)
        run_id = leave_run(ready, request)
        waiting = tick(ready, STAGING)
        assert requested(waiting) == []
        assert "in progress" in waiting.skip_reason.skip_message
        fail(ready, run_id)
    assert len(set(keys)) == 3
    exhausted = tick(ready, STAGING)
    assert requested(exhausted) == []
    assert "materialize by hand" in exhausted.skip_reason.skip_message
    assert run_id in exhausted.skip_reason.skip_message


def test_a_killed_run_that_dagster_retries_is_in_flight_and_one_attempt_together_with_its_retries(ready):
    for attempt in range(3):
        (request,) = requested(tick(ready, STAGING))
        assert request.run_key.endswith(f":{attempt}")
        run_id = leave_run(ready, request)
        kill(ready, run_id)
        assert requested(tick(ready, STAGING)) == []  # Dagster's daemon is about to retry it
        retried = retry(ready, run_id)
        assert requested(tick(ready, STAGING)) == []
        fail(ready, retried)
    assert "materialize by hand" in tick(ready, STAGING).skip_reason.skip_message


def test_a_run_of_which_dagster_has_not_said_yet_whether_it_will_be_retried_is_in_flight(ready):
    (request,) = requested(tick(ready, STAGING))
    run_id = leave_run(ready, request)
    failure = DagsterEvent(DagsterEventType.RUN_FAILURE.value, "features")
    ready._instance.run_storage.handle_run_event(run_id, failure, datetime.now(UTC))
    assert requested(tick(ready, STAGING)) == []
    fail(ready, run_id)
    assert len(requested(tick(ready, STAGING))) == 1


def test_a_retry_that_never_comes_is_waited_for_only_so_long(ready, monkeypatch):
    (request,) = requested(tick(ready, STAGING))
    kill(ready, leave_run(ready, request))
    assert requested(tick(ready, STAGING)) == []
    later = Clock().now() + LOST_AFTER + timedelta(seconds=10)
    monkeypatch.setattr("prediction_assets.slate.deadlines.Clock.now", lambda self: later)
    assert len(requested(tick(ready, STAGING))) == 1


def test_players_of_a_staging_run_that_is_about_to_be_retried_are_not_requested_beside_it(ready):
    progress = ready.stores.batch_state.progress(SIMULATED)
    (request,) = requested(tick(ready, STAGING))
    run_id = leave_run(ready, request)
    ready.stage(SIMULATED, [progress.batch.expected[0].slug])  # what the killed run had done
    kill(ready, run_id)
    waiting = tick(ready, STAGING)
    assert requested(waiting) == []
    assert "in progress" in waiting.skip_reason.skip_message


def test_a_consolidation_that_can_only_be_refused_is_requested_once(ready, monkeypatch):
    progress = ready.stores.batch_state.progress(SIMULATED)
    late = progress.batch.deadline + timedelta(seconds=1)
    monkeypatch.setattr("prediction_assets.slate.deadlines.Clock.now", lambda self: late)
    (request,) = requested(tick(ready, CONSOLIDATION))
    with pytest.raises(NoPartsStaged):
        ready._execute("consolidation", partition=SIMULATED, tags=request.tags)
    refused = tick(ready, CONSOLIDATION)
    assert requested(refused) == []
    assert "1 runs didn't settle it" in refused.skip_reason.skip_message


def test_once_merged_a_slate_waits_for_a_staging_run_before_it_is_merged_again(ready, monkeypatch):
    progress = ready.stores.batch_state.progress(SIMULATED)
    slugs = [p.slug for p in progress.batch.expected]
    ready.stage(SIMULATED, slugs[:7])
    late = progress.batch.deadline + timedelta(seconds=1)
    monkeypatch.setattr("prediction_assets.slate.deadlines.Clock.now", lambda self: late)
    job = ready._defs.resolve_job_def("staging")
    keys = {"dagster/partition": f"{SIMULATED}:{slugs[7]}"}
    monkeypatch.setattr("prediction_assets.orchestration.runs.LOST_AFTER", timedelta(days=1))
    running = ready._instance.create_run_for_job(job_def=job, tags=keys)
    assert len(requested(tick(ready, CONSOLIDATION))) == 1  # the deadline waits for nobody
    ready.consolidate(SIMULATED)
    ready.stage(SIMULATED, slugs[:1])
    assert "being staged again" in tick(ready, CONSOLIDATION).skip_reason.skip_message
    fail(ready, running.run_id)
    assert len(requested(tick(ready, CONSOLIDATION))) == 1


def test_a_player_being_staged_by_hand_holds_the_consolidation_back(finished):
    slug = finished.stores.batch_state.progress(SIMULATED).batch.expected[0].slug
    finished.stage(SIMULATED, [slug])
    job = finished._defs.resolve_job_def("staging")
    finished._instance.create_run_for_job(job_def=job, tags={"dagster/partition": f"{SIMULATED}:{slug}"})
    result = tick(finished, CONSOLIDATION)
    assert requested(result) == []
    assert "being staged again" in result.skip_reason.skip_message


def announce(run, result):
    """Run the completions that a tick requested."""
    for request in requested(result):
        assert (request.job_name, request.partition_key) == ("completion", SIMULATED)
        run._execute("completion", partition=SIMULATED, tags=request.tags)


def test_the_newest_consolidation_is_announced_once(staged_home, open_home):
    run = open_home(staged_home)
    assert requested(tick(run, COMPLETION)) == []
    run.consolidate(SIMULATED)
    assert len(requested(tick(run, COMPLETION))) == 1
    run = open_home(
        staged_home, least_expected_value=0.3
    )  # other content, and revision 1 was never announced
    run.stage(SIMULATED)
    assert run.consolidate(SIMULATED).revision == 2
    (request,) = requested(result := tick(run, COMPLETION))
    assert request.job_name == "completion"
    announce(run, result)
    assert requested(tick(run, COMPLETION)) == []
    (entry,) = run.stores.outbox.entries(SIMULATED)
    assert (entry.revision, entry.is_pending) == (2, False)


def test_the_run_that_merges_a_slate_announces_it_too(staged):
    (request,) = requested(tick(staged, CONSOLIDATION))
    staged._execute(request.job_name, partition=SIMULATED, tags=request.tags)
    (entry,) = staged.stores.outbox.entries(SIMULATED)
    assert entry.delivery_id is not None
    assert requested(tick(staged, COMPLETION)) == requested(tick(staged, CONSOLIDATION)) == []


def test_a_message_is_left_to_the_consolidation_that_is_in_progress_and_requested_after_it_failed(staged):
    (request,) = requested(tick(staged, CONSOLIDATION))
    run_id = leave_run(staged, request)
    staged.consolidate(SIMULATED)
    waiting = tick(staged, COMPLETION)
    assert requested(waiting) == []
    assert "still to announce it" in waiting.skip_reason.skip_message
    fail(staged, run_id)
    assert [each.job_name for each in requested(tick(staged, COMPLETION))] == ["completion"]


def test_a_consolidation_whose_message_cannot_be_delivered_is_finished_all_the_same(staged, monkeypatch):
    monkeypatch.setattr(
        "prediction_assets.stores.local.outbox.FilePublisher.publish",
        lambda self, entry: (_ for _ in ()).throw(OSError(28, "No space left on device")),
    )
    (request,) = requested(tick(staged, CONSOLIDATION))
    result = staged._defs.resolve_job_def(request.job_name).execute_in_process(
        instance=staged._instance, partition_key=SIMULATED, tags=request.tags, raise_on_error=False
    )
    assert not result.success
    assert requested(tick(staged, CONSOLIDATION)) == []
    assert dict(staged.stores.warehouse.parts.staged(SIMULATED)) == {}
    monkeypatch.undo()
    announce(staged, tick(staged, COMPLETION))
    (entry,) = staged.stores.outbox.entries(SIMULATED)
    assert entry.delivery_id is not None


def test_a_consolidation_of_the_same_content_is_not_announced_again(finished):
    slug = finished.stores.batch_state.progress(SIMULATED).batch.expected[0].slug
    finished.stage(SIMULATED, [slug])
    finished.consolidate(SIMULATED)
    assert len(finished.stores.warehouse.receipts(SIMULATED)) == 2
    assert requested(tick(finished, COMPLETION)) == []


def test_a_message_that_was_stored_and_not_delivered_is_requested(staged):
    def stop(name):
        if name == "outbox_written":
            raise OSError(5, "injected")

    receipt = staged.consolidate(SIMULATED)
    failpoints.install(stop)
    try:
        with pytest.raises(OSError, match="injected"):
            staged.announce(receipt)
    finally:
        failpoints.install(failpoints._go_on)
    announce(staged, tick(staged, COMPLETION))
    (entry,) = staged.stores.outbox.entries(SIMULATED)
    assert entry.delivery_id is not None
    assert requested(tick(staged, COMPLETION)) == []


def test_a_lost_completion_run_is_requested_again_but_not_for_ever(staged):
    staged.consolidate(SIMULATED)
    names = set()
    for _ in range(3):
        (request,) = requested(tick(staged, COMPLETION))
        names.add(request.tags[REQUEST_TAG])
        run_id = leave_run(staged, request)
        assert requested(tick(staged, COMPLETION)) == []
        fail(staged, run_id)
    assert len(names) == 1
    assert "3 runs didn't settle it" in tick(staged, COMPLETION).skip_reason.skip_message


def test_events_that_are_gone_announce_nothing_twice_and_forget_nothing(finished):
    for run in finished._instance.get_runs():  # somebody tidies up
        finished._instance.delete_run(run.run_id)
    assert requested(tick(finished, COMPLETION)) == []
    file = finished._settings.home / "state.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM outbox")
    assert len(requested(tick(finished, COMPLETION))) == 1


def test_a_consolidation_that_an_audit_refused_is_not_announced(staged_home, open_home):
    run = open_home(
        staged_home, least_expected_value=0.3
    )  # the staged recommendations follow from another limit
    with pytest.raises(AuditRefused):
        run.consolidate(SIMULATED)
    assert run.stores.warehouse.receipts(SIMULATED) == ()
    assert requested(tick(run, COMPLETION)) == []


def test_the_daily_schedule_names_the_slate_of_its_tick_in_eastern_time(ingested):
    schedule = ingested._defs.get_repository_def().get_schedule_def("daily_roster")
    moment = datetime(2026, 1, 2, 15, 0, tzinfo=UTC)
    resources = {"warehouse": ingested.stores.warehouse}
    with dg.build_schedule_context(scheduled_execution_time=moment, resources=resources) as context:
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.run_config["ops"]["slate_roster"]["config"]["slate"] == "2026-01-02"
    assert schedule.execution_timezone == "America/Los_Angeles"
    assert schedule.cron_schedule == "0 7 * * *"


def test_the_size_of_a_staging_run_is_a_setting(ready_home, open_home):
    run = open_home(ready_home, players_per_run=3)
    assert len(requested(tick(run, STAGING))) == -(-PLAYERS // 3)


def test_a_second_attempt_waits_a_while(ready, monkeypatch):
    (request,) = requested(tick(ready, STAGING))
    run_id = leave_run(ready, request)
    fail(ready, run_id)
    monkeypatch.setattr("prediction_assets.orchestration.sensors.requests.FIRST_PAUSE", timedelta(seconds=30))
    waiting = tick(ready, STAGING)
    assert requested(waiting) == []
    assert "next attempt waits" in waiting.skip_reason.skip_message


@pytest.mark.parametrize("point", ["merge_committed", "consolidation_marked"])
def test_a_consolidation_that_stopped_anywhere_is_taken_up_by_the_sensors_and_announced(staged, point):
    def stop(name):
        if name == point:
            raise OSError(5, f"injected behind {name}")

    failpoints.install(stop)
    try:
        with pytest.raises(OSError, match="injected"):
            staged.consolidate(SIMULATED)
    finally:
        failpoints.install(failpoints._go_on)

    if requested(tick(staged, CONSOLIDATION)):
        staged.consolidate(SIMULATED)
    assert requested(tick(staged, CONSOLIDATION)) == []
    announce(staged, tick(staged, COMPLETION))
    assert dict(staged.stores.warehouse.parts.staged(SIMULATED)) == {}
    (event,) = staged.stores.outbox.entries(SIMULATED)
    assert event.delivery_id is not None


def test_a_newer_part_that_was_not_recorded_changes_nothing_and_stays_until_nobody_can_record_it(staged):
    def stop(name):
        if name == "part_written":
            raise OSError(5, "injected")

    slug = staged.stores.batch_state.progress(SIMULATED).batch.expected[2].slug
    failpoints.install(stop)
    try:
        with pytest.raises(OSError, match="injected"):
            staged.stage(SIMULATED, [slug])
    finally:
        failpoints.install(failpoints._go_on)

    parts = staged.stores.warehouse.parts
    assert [name for name, _ in parts.staged(SIMULATED)].count(slug) == 2
    (merge,) = requested(tick(staged, CONSOLIDATION))
    assert merge.job_name == "consolidation"
    assert staged.consolidate(SIMULATED).rows == PLAYERS * 25
    # The killed run may still be about to record the newer part; it goes a day after the deadline.
    assert [name for name, _ in parts.staged(SIMULATED)] == [slug]


def test_a_slate_whose_receipt_was_edited_by_hand_rests_and_the_others_go_on(finished):
    finished.stage(SIMULATED, [finished.stores.batch_state.progress(SIMULATED).batch.expected[0].slug])
    with duckdb.connect(str(finished._settings.home / "warehouse.duckdb")) as connection:
        connection.execute(f"UPDATE {RECEIPTS.qualified_name} SET parts = '[]'")
    rests = tick(finished, CONSOLIDATION)
    assert requested(rests) == []
    assert "edited by hand" in rests.skip_reason.skip_message

    other = simulated_slate(3).isoformat()
    finished.ingest(simulated_facts(3))
    batch = finished.roster(other).batch
    finished.stores.batch_state.record(
        [
            PlayerOutcome(
                other, batch.batch_id, who.slug, Outcome.FAILED, "run", batch.opened_at, 1, 1, "odd"
            )
            for who in batch.expected
        ]
    )
    assert [r.partition_key for r in requested(tick(finished, CONSOLIDATION))] == [other]

"""The sensors, ticked as the daemon ticks them, on a real instance."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.errors import DagsterAssetCheckFailedError

from prediction_assets import crash_points
from prediction_assets.jobs import REQUEST_TAG
from prediction_assets.partitions import RANGE_END_TAG, RANGE_START_TAG
from prediction_assets.slate_run import SlateRun
from prediction_assets_tests.homes import PLAYERS, SIMULATED
from prediction_assets_tests.sensors.ticking import requested, tick

STAGING, CONSOLIDATION, COMPLETION = "staging_sensor", "consolidation_sensor", "phase5_completion_sensor"


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prediction_assets.sensors.automation.FIRST_PAUSE", timedelta(0))


def finish(run: SlateRun, request: dg.RunRequest, status: DagsterRunStatus) -> str:
    """Leave the record of a run that the request led to."""
    job = run._defs.resolve_job_def(request.job_name or "consolidation")
    record = run._instance.create_run_for_job(job_def=job, tags=dict(request.tags))
    if status is not DagsterRunStatus.NOT_STARTED:
        run._instance.report_run_failed(record) if status is DagsterRunStatus.FAILURE else None
    return record.run_id


def test_without_a_batch_every_sensor_rests(ingested):
    for name in (STAGING, CONSOLIDATION, COMPLETION):
        result = tick(ingested, name)
        assert requested(result) == []
        assert result.skip_reason


def test_after_the_roster_features_are_asked_for_then_one_range_of_all_players(ingested):
    progress = ingested.roster(SIMULATED)
    (features,) = requested(tick(ingested, STAGING))
    assert (features.job_name, features.partition_key) == ("features", SIMULATED)
    ingested.features(SIMULATED)
    (staging,) = requested(tick(ingested, STAGING))
    slugs = [p.slug for p in progress.batch.expected]
    assert staging.job_name == "staging"
    assert staging.tags[RANGE_START_TAG] == f"{SIMULATED}:{slugs[0]}"
    assert staging.tags[RANGE_END_TAG] == f"{SIMULATED}:{slugs[-1]}"
    assert requested(tick(ingested, CONSOLIDATION)) == []


def test_only_players_without_an_outcome_are_staged_again(ingested):
    progress = ingested.roster(SIMULATED)
    ingested.features(SIMULATED)
    slugs = [p.slug for p in progress.batch.expected]
    ingested.stage(SIMULATED, [slugs[0], slugs[3], slugs[4]])
    ranges = [(r.tags[RANGE_START_TAG], r.tags[RANGE_END_TAG]) for r in requested(tick(ingested, STAGING))]
    assert ranges == [
        (f"{SIMULATED}:{slugs[1]}", f"{SIMULATED}:{slugs[2]}"),
        (f"{SIMULATED}:{slugs[5]}", f"{SIMULATED}:{slugs[7]}"),
    ]


def test_a_settled_slate_is_consolidated_and_then_rests(ingested):
    ingested.roster(SIMULATED)
    ingested.features(SIMULATED)
    ingested.stage(SIMULATED)
    (request,) = requested(tick(ingested, CONSOLIDATION))
    assert request.partition_key == SIMULATED
    ingested.consolidate(SIMULATED)
    assert requested(tick(ingested, CONSOLIDATION)) == []


def test_a_player_staged_anew_asks_for_another_consolidation(finished):
    assert requested(tick(finished, CONSOLIDATION)) == []
    slug = finished.progress(SIMULATED).batch.expected[0].slug
    finished.stage(SIMULATED, [slug])
    (request,) = requested(tick(finished, CONSOLIDATION))
    finished.stage(SIMULATED, [slug])
    (other,) = requested(tick(finished, CONSOLIDATION))
    assert request.run_key != other.run_key


def test_at_the_deadline_a_slate_is_consolidated_with_whoever_has_settled(ingested, monkeypatch):
    progress = ingested.roster(SIMULATED)
    ingested.features(SIMULATED)
    ingested.stage(SIMULATED, [p.slug for p in progress.batch.expected[:7]])
    assert requested(tick(ingested, CONSOLIDATION)) == []
    late = progress.batch.deadline + timedelta(seconds=1)
    monkeypatch.setattr("prediction_assets.resources.SettingsResource.now", lambda self: late)
    (request,) = requested(tick(ingested, CONSOLIDATION))
    assert request.partition_key == SIMULATED
    receipt = ingested.consolidate(SIMULATED)
    assert (receipt.status, receipt.staged_players) == ("partial", 7)
    assert requested(tick(ingested, CONSOLIDATION)) == []
    assert requested(tick(ingested, STAGING)) == []


def test_work_in_flight_is_not_asked_for_twice_and_failed_work_only_so_often(ingested):
    ingested.roster(SIMULATED)
    keys = []
    for _ in range(3):
        (request,) = requested(tick(ingested, STAGING))
        keys.append(request.run_key)
        run_id = finish(ingested, request, DagsterRunStatus.NOT_STARTED)
        waiting = tick(ingested, STAGING)
        assert requested(waiting) == []
        assert "in flight" in waiting.skip_reason.skip_message
        ingested._instance.report_run_failed(ingested._instance.get_run_by_id(run_id))
    assert len(set(keys)) == 3
    given_up = tick(ingested, STAGING)
    assert requested(given_up) == []
    assert "materialize by hand" in given_up.skip_reason.skip_message
    assert run_id in given_up.skip_reason.skip_message


def test_a_player_being_staged_by_hand_holds_the_consolidation_back(finished):
    slug = finished.progress(SIMULATED).batch.expected[0].slug
    finished.stage(SIMULATED, [slug])
    job = finished._defs.resolve_job_def("staging")
    finished._instance.create_run_for_job(job_def=job, tags={"dagster/partition": f"{SIMULATED}:{slug}"})
    result = tick(finished, CONSOLIDATION)
    assert requested(result) == []
    assert "being staged anew" in result.skip_reason.skip_message


def test_each_checked_consolidation_is_announced_once_oldest_first(finished):
    slug = finished.progress(SIMULATED).batch.expected[0].slug
    finished.stage(SIMULATED, [slug])
    finished.consolidate(SIMULATED)
    receipts = [r.receipt_id for r in finished.warehouse.receipts(SIMULATED)]
    cursor, asked = None, []
    for _ in range(6):
        result = tick(finished, COMPLETION, cursor)
        cursor = result.cursor
        for request in requested(result):
            asked.append(request.run_config["ops"]["phase5_completion"]["config"]["receipt_id"])
            finished._execute(
                "completion",
                partition=request.partition_key,
                ops={"phase5_completion": {"receipt_id": asked[-1]}},
                tags=request.tags,
            )
    assert asked == receipts
    assert requested(tick(finished, COMPLETION, cursor)) == []


def test_a_lost_completion_run_is_asked_for_again_before_any_later_one(finished):
    (request,) = requested(first := tick(finished, COMPLETION))
    run_id = finish(finished, request, DagsterRunStatus.NOT_STARTED)
    assert requested(tick(finished, COMPLETION, first.cursor)) == []
    finished._instance.report_run_failed(finished._instance.get_run_by_id(run_id))
    (again,) = requested(tick(finished, COMPLETION, first.cursor))
    assert again.tags[REQUEST_TAG] == request.tags[REQUEST_TAG]
    assert again.run_key != request.run_key


def test_a_consolidation_whose_check_failed_is_not_announced(ingested, monkeypatch):
    ingested.roster(SIMULATED)
    ingested.features(SIMULATED)
    ingested.stage(SIMULATED)
    monkeypatch.setattr("prediction_assets.checks.MOST_POINTS", 1.0)
    with pytest.raises(DagsterAssetCheckFailedError):
        ingested.consolidate(SIMULATED)
    result = tick(ingested, COMPLETION)
    assert requested(result) == []
    assert int(result.cursor) > 0


def test_the_daily_schedule_names_the_slate_of_its_tick_in_eastern_time(ingested):
    from datetime import UTC, datetime

    schedule = ingested._defs.get_repository_def().get_schedule_def("daily_roster")
    moment = datetime(2026, 1, 2, 15, 0, tzinfo=UTC)
    context = dg.build_schedule_context(scheduled_execution_time=moment)
    (request,) = schedule.evaluate_tick(context).run_requests
    assert request.run_config["ops"]["slate_roster"]["config"]["slate"] == "2026-01-02"
    assert schedule.execution_timezone == "America/Los_Angeles"
    assert schedule.cron_schedule == "0 7 * * *"


def test_the_size_of_a_staging_run_is_a_setting(ingested_home, open_home):
    run = open_home(ingested_home, staging_run_size=3)
    run.roster(SIMULATED)
    run.features(SIMULATED)
    assert len(requested(tick(run, STAGING))) == -(-PLAYERS // 3)


def test_a_second_attempt_waits_a_while(ingested, monkeypatch):
    ingested.roster(SIMULATED)
    (request,) = requested(tick(ingested, STAGING))
    run_id = finish(ingested, request, DagsterRunStatus.NOT_STARTED)
    ingested._instance.report_run_failed(ingested._instance.get_run_by_id(run_id))
    monkeypatch.setattr("prediction_assets.sensors.automation.FIRST_PAUSE", timedelta(seconds=30))
    waiting = tick(ingested, STAGING)
    assert requested(waiting) == []
    assert "next attempt waits" in waiting.skip_reason.skip_message


@pytest.mark.parametrize("point", ["merge_committed", "checks_evaluated", "part_dropped", "receipt_mirrored"])
def test_a_consolidation_that_stopped_anywhere_is_taken_up_by_the_sensors_and_announced(ingested, point):
    def stop(name):
        if name == point:
            raise OSError(5, f"injected behind {name}")

    ingested.roster(SIMULATED)
    ingested.features(SIMULATED)
    ingested.stage(SIMULATED)
    crash_points.install(stop)
    try:
        with pytest.raises(OSError, match="injected"):
            ingested.consolidate(SIMULATED)
    finally:
        crash_points.install(crash_points._go_on)

    if requested(tick(ingested, CONSOLIDATION)):
        ingested.consolidate(SIMULATED)
    assert requested(tick(ingested, CONSOLIDATION)) == []
    cursor = None
    for _ in range(4):
        result = tick(ingested, COMPLETION, cursor)
        cursor = result.cursor
        for request in requested(result):
            config = request.run_config["ops"]["phase5_completion"]["config"]
            ingested._execute(
                "completion", partition=SIMULATED, ops={"phase5_completion": config}, tags=request.tags
            )
    assert ingested.warehouse.parts.staged(SIMULATED) == {}
    (event,) = ingested.events(SIMULATED)
    assert event.message_id is not None


def test_a_player_whose_part_was_replaced_but_not_recorded_is_staged_again_before_the_merge(ingested):
    def stop(name):
        if name == "part_written":
            raise OSError(5, "injected")

    ingested.roster(SIMULATED)
    ingested.features(SIMULATED)
    ingested.stage(SIMULATED)
    slug = ingested.progress(SIMULATED).batch.expected[2].slug
    crash_points.install(stop)
    try:
        with pytest.raises(OSError, match="injected"):
            ingested.stage(SIMULATED, [slug])
    finally:
        crash_points.install(crash_points._go_on)

    (again,) = requested(tick(ingested, CONSOLIDATION))
    assert (again.job_name, again.tags[RANGE_START_TAG]) == ("staging", f"{SIMULATED}:{slug}")
    ingested.stage(SIMULATED, [slug])
    (merge,) = requested(tick(ingested, CONSOLIDATION))
    assert merge.job_name == "consolidation"
    assert ingested.consolidate(SIMULATED).rows == PLAYERS * 25

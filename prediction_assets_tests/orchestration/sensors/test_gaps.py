"""The gap finder: what should be there and isn't is requested again, slowly and oldest first."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from prediction_assets.orchestration.run_tags import RANGE_END_TAG, RANGE_START_TAG
from prediction_assets.orchestration.sensors.gaps import GAP_PAUSE
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.keys import NBA_LEAGUE
from prediction_assets.stores.sql.tables import SCHEDULE
from prediction_assets_tests.homes import PLAYERS, SIMULATED, OpenHome
from prediction_assets_tests.orchestration.sensors.ticking import (
    fail,
    kill,
    leave_run,
    open_without_features,
    requested,
    retry,
    tick,
)

GAPS, STAGING, CONSOLIDATION, COMPLETION = (
    "gap_sensor", "staging_sensor", "consolidation_sensor", "phase5_completion_sensor",
)  # fmt: skip
MORNING = datetime(2026, 1, 5, 15, 30, tzinfo=UTC)
"""Half past seven in Los Angeles, where the roster is requested at seven."""
AFTER = (date.fromisoformat(SIMULATED) + timedelta(days=2)).isoformat()


class Clock:
    """The time that the sensors go by."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def advance(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(datetime.now(UTC))
    monkeypatch.setattr("prediction_assets.slate.deadlines.Clock.now", lambda self: made.now)
    monkeypatch.setattr("prediction_assets.orchestration.sensors.requests.FIRST_PAUSE", timedelta(0))
    return made


def schedule_games(run: SlateRun, *days: date) -> None:
    """Schedule a real game on each of these days."""
    games = [
        {
            "league": NBA_LEAGUE, "season_id": 22025, "game_id": f"00225{day:%m%d}1", "game_date": day,
            "home_team": "BOS", "away_team": "NYK", "team_a": "BOS", "team_b": "NYK",
        }
        for day in days
    ]  # fmt: skip
    run.stores.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table(games))


def slates(run: SlateRun) -> list[str]:
    """Return the slates whose roster the gap finder requests."""
    requests = requested(tick(run, GAPS))
    assert {request.job_name for request in requests} <= {"roster"}
    return [request.run_config["ops"]["slate_roster"]["config"]["slate"] for request in requests]


def give_up(run: SlateRun, sensor: str, clock: Clock) -> None:
    """Let every run that a sensor requests fail until its attempts are used up."""
    while requests := requested(tick(run, sensor)):
        for request in requests:
            fail(run, leave_run(run, request))
        clock.now = max(clock.now, datetime.now(UTC))  # runs are stamped with the real time


def test_without_a_gap_it_rests(finished, clock):
    result = tick(finished, GAPS)
    assert requested(result) == []
    assert result.skip_reason


def test_recent_slates_with_games_and_no_batch_are_requested_oldest_first_and_a_few_at_a_time(
    ingested_home, open_home: OpenHome, clock, monkeypatch
):
    monkeypatch.setattr("prediction_assets.orchestration.sensors.gaps.REQUESTS_PER_TICK", 2)
    run = open_home(ingested_home)
    clock.now = MORNING
    schedule_games(run, *(date(2026, 1, day) for day in (1, 2, 3, 4, 5, 6)))
    assert slates(run) == ["2026-01-02", "2026-01-03"]


@pytest.mark.parametrize(
    ("now", "is_due"),
    [
        (datetime(2026, 1, 5, 14, 59, tzinfo=UTC), False),
        (datetime(2026, 1, 5, 15, 5, tzinfo=UTC), False),  # the daily schedule has just requested it
        (datetime(2026, 1, 5, 15, 11, tzinfo=UTC), True),
        (datetime(2026, 1, 6, 4, 0, tzinfo=UTC), True),  # still the fifth in New York
    ],
)
def test_tonight_s_slate_is_due_once_the_roster_s_hour_has_passed(ingested, clock, now, is_due):
    schedule_games(ingested, date(2026, 1, 5))
    clock.now = now
    assert slates(ingested) == (["2026-01-05"] if is_due else [])


def test_a_roster_run_that_fails_is_requested_again_with_growing_pauses_and_not_for_ever(ingested, clock):
    schedule_games(ingested, clock.now.date() - timedelta(days=1))
    asked_at = []
    for minutes in range(0, 600, 30):
        clock.now = datetime.now(UTC) + timedelta(minutes=minutes)
        requests = requested(tick(ingested, GAPS))
        if requests:
            asked_at.append(minutes)
            clock.now = datetime.now(UTC)
            run_id = leave_run(ingested, requests[0])
            assert "in progress" in tick(ingested, GAPS).skip_reason.skip_message
            kill(ingested, run_id)
            assert "in progress" in tick(ingested, GAPS).skip_reason.skip_message
            fail(ingested, retry(ingested, run_id))
    assert asked_at == [0, 60, 120, 240]
    assert "4 attempts didn't close it" in tick(ingested, GAPS).skip_reason.skip_message


def test_a_slate_that_was_opened_without_games_is_opened_again_when_it_has_some(ingested, clock):
    yesterday = clock.now.date() - timedelta(days=1)
    schedule_games(ingested, yesterday - timedelta(days=1), yesterday + timedelta(days=2))
    ingested._execute("roster", ops={"slate_roster": {"slate": yesterday.isoformat()}})
    schedule_games(ingested, yesterday)
    requests = requested(tick(ingested, GAPS))
    configs = [request.run_config["ops"]["slate_roster"]["config"] for request in requests]
    assert {"slate": yesterday.isoformat(), "reopen": True} in configs


def test_a_slate_whose_games_are_called_off_is_taken_back_and_opened_again_when_they_are_on_again(
    finished, clock
):
    day = date.fromisoformat(SIMULATED)
    with finished.stores.warehouse._connect(write=True) as connection:
        connection.execute("DELETE FROM facts.schedule WHERE game_date = ?", [day])
    finished.roster(SIMULATED, reopen=True)
    (requests,) = requested(tick(finished, CONSOLIDATION))
    assert (requests.job_name, requests.partition_key) == ("consolidation", SIMULATED)
    assert finished.consolidate(SIMULATED).rows == 0
    assert requested(tick(finished, CONSOLIDATION)) == []

    schedule_games(finished, day)
    clock.now = datetime.fromisoformat(f"{SIMULATED}T20:00:00+00:00")
    by_job = {request.job_name: request for request in requested(tick(finished, GAPS))}
    config = by_job["roster"].run_config["ops"]["slate_roster"]["config"]
    assert config == {"slate": SIMULATED, "reopen": True}
    assert set(by_job) == {"roster", "completion"}  # nobody has announced the retraction yet


@pytest.mark.parametrize(
    ("moment", "jobs"),
    [
        (f"{SIMULATED}T20:00:00+00:00", {"roster", "completion"}),  # tonight: its batch is opened again
        (f"{AFTER}T20:00:00+00:00", {"completion"}),  # over: the warehouse knows that it is done
    ],
)
def test_a_slate_whose_state_was_lost_and_whose_receipt_is_in_the_warehouse(finished, clock, moment, jobs):
    schedule_games(finished, date.fromisoformat(SIMULATED))
    clock.now = datetime.fromisoformat(moment)
    for path in finished._settings.home.glob("state.sqlite*"):
        path.unlink()
    requests = requested(tick(finished, GAPS))
    assert {request.job_name for request in requests} == jobs
    assert {request.tags["slate"] for request in requests} == {SIMULATED}


def test_what_the_staging_sensor_is_still_asking_for_is_left_to_it(ingested, clock):
    ingested.roster(SIMULATED)
    clock.advance(timedelta(minutes=20))
    assert requested(tick(ingested, GAPS)) == []
    (request,) = requested(tick(ingested, STAGING))
    fail(ingested, leave_run(ingested, request))
    assert requested(tick(ingested, GAPS)) == []


def test_features_that_the_staging_sensor_did_not_finish_are_requested_half_an_hour_later(
    ingested_home, open_home: OpenHome, clock
):
    run = open_home(ingested_home, deadline_minutes=600)
    open_without_features(run, SIMULATED)
    give_up(run, STAGING, clock)
    assert "waits until" in tick(run, GAPS).skip_reason.skip_message
    clock.advance(GAP_PAUSE + timedelta(minutes=1))
    (request,) = requested(tick(run, GAPS))
    assert (request.job_name, request.partition_key) == ("features", SIMULATED)
    assert requested(tick(run, STAGING)) == []
    run.features(SIMULATED)
    assert requested(tick(run, GAPS)) == []


def test_a_slate_with_too_few_players_stages_those_again_who_failed_and_heals(ready, clock, monkeypatch):
    run = ready
    slugs = [player.slug for player in run.stores.batch_state.progress(SIMULATED).batch.expected]
    with monkeypatch.context() as outage:
        outage.setattr(
            "prediction_assets.stores.local.parts.ArrowParts.write",
            lambda self, slate, slug, rows: (_ for _ in ()).throw(PermissionError(13, "Permission denied")),
        )
        assert not run.stage(SIMULATED)
    give_up(run, CONSOLIDATION, clock)
    assert requested(tick(run, GAPS)) == []
    clock.advance(GAP_PAUSE + timedelta(minutes=1))
    (request,) = requested(tick(run, GAPS))
    assert request.job_name == "staging"
    assert request.tags[RANGE_START_TAG] == f"{SIMULATED}:{slugs[0]}"
    assert request.tags[RANGE_END_TAG] == f"{SIMULATED}:{slugs[-1]}"
    run._execute("staging", tags=request.tags)
    (merge,) = requested(tick(run, CONSOLIDATION))
    assert merge.job_name == "consolidation"
    assert run.consolidate(SIMULATED).rows == PLAYERS * 25


def test_a_daemon_that_was_down_past_the_deadline_costs_no_half_hour_more(ingested, clock):
    open_without_features(ingested, SIMULATED)
    clock.advance(timedelta(hours=2))
    give_up(ingested, CONSOLIDATION, clock)  # refused: nobody is staged
    (request,) = requested(tick(ingested, GAPS))
    assert request.job_name == "features"
    ingested.features(SIMULATED)
    (request,) = requested(tick(ingested, GAPS))
    assert request.job_name == "staging"


def test_a_consolidation_that_failed_too_often_is_requested_again(staged, clock):
    give_up(staged, CONSOLIDATION, clock)
    assert requested(tick(staged, GAPS)) == []
    clock.advance(GAP_PAUSE + timedelta(minutes=1))
    (request,) = requested(tick(staged, GAPS))
    assert (request.job_name, request.partition_key) == ("consolidation", SIMULATED)


def test_a_receipt_whose_completion_run_failed_too_often_is_announced_in_the_end_and_once(staged, clock):
    staged.consolidate(SIMULATED)
    give_up(staged, COMPLETION, clock)
    assert staged.stores.outbox.entries(SIMULATED) == []
    assert requested(tick(staged, GAPS)) == []
    clock.advance(GAP_PAUSE + timedelta(minutes=1))
    (request,) = requested(tick(staged, GAPS))
    assert (request.job_name, request.partition_key) == ("completion", SIMULATED)
    staged._execute("completion", partition=SIMULATED, tags=request.tags)
    (entry,) = staged.stores.outbox.entries(SIMULATED)
    assert entry.delivery_id is not None
    assert requested(tick(staged, GAPS)) == []

"""A wall clock that jumps delays or hastens a decision; nothing waits for it for hours, nothing is undone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import dagster as dg
import pytest
from dagster._utils.schedules import cron_string_iterator, reverse_cron_string_iterator

from prediction_assets.orchestration.run_tags import REQUEST_TAG
from prediction_assets.orchestration.runs import LOST_AFTER, is_lost
from prediction_assets.orchestration.sensors.requests import FIRST_PAUSE, RunNeed, Skipped, request
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import deadline, is_recent, roster_hour, roster_hours_before
from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.receipt import MergeCounts, later_than
from prediction_assets_tests.made_up import NOW, SLATE, batch, progress_of, staged

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
WORK = RunNeed("work", "staging", SLATE)
PART = PartRef(SLATE, "player-1", 101, "a" * 32, 2, "b" * 64, 1, "snapshot1")


@pytest.mark.parametrize(
    ("moment_is", "recent"),
    [
        (timedelta(0), True),
        (-30 * SECOND, True),
        (-MINUTE, True),
        (-MINUTE - SECOND, False),
        (-5 * HOUR, False),
        (2 * SECOND, True),  # another machine's clock
        (MINUTE + SECOND, False),
        (5 * HOUR, False),  # this clock was set back
    ],
)
def test_what_lies_hours_ahead_is_as_old_as_what_lies_hours_behind(moment_is, recent):
    assert is_recent(NOW + moment_is, NOW, MINUTE) is recent


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def failed_run(instance):
    """A run that was asked for and failed just now."""

    @dg.job
    def work():
        pass

    run = instance.create_run_for_job(job_def=work, tags={REQUEST_TAG: "work"})
    instance.report_run_failed(run)
    return run


@pytest.mark.parametrize(
    ("clock_jumps", "asked"),
    [
        (timedelta(0), False),
        (FIRST_PAUSE / 2, False),
        (2 * FIRST_PAUSE, True),
        (-FIRST_PAUSE / 2, False),
        (-3 * HOUR, True),
        (3 * HOUR, True),
    ],
)
def test_the_pause_before_another_attempt_ends_whatever_the_clock_does(
    instance, failed_run, clock_jumps, asked
):
    outcome = request(instance, WORK, datetime.now(UTC) + clock_jumps)
    assert isinstance(outcome, dg.RunRequest) is asked


@pytest.mark.parametrize("clock_jumps", [-3 * HOUR, 3 * HOUR])
def test_attempts_stay_bounded_whatever_the_clock_does(instance, failed_run, clock_jumps):
    outcome = request(instance, replace(WORK, attempts=1), datetime.now(UTC) + clock_jumps)
    assert isinstance(outcome, Skipped)
    assert outcome.is_exhausted
    assert "fix the cause" in outcome.reason


@pytest.mark.parametrize(
    ("clock_jumps", "lost"),
    [
        (timedelta(0), False),
        (LOST_AFTER / 2, False),
        (LOST_AFTER * 2, True),
        (-LOST_AFTER / 2, False),
        (-3 * HOUR, True),
    ],
)
def test_a_silent_run_counts_as_lost_whatever_the_clock_does(instance, failed_run, clock_jumps, lost):
    assert is_lost(instance, failed_run, datetime.now(UTC) + clock_jumps) is lost


@pytest.mark.parametrize(
    ("settled", "clock", "step"),
    [
        ((), NOW, Step.STAGE),
        ((), NOW + 31 * MINUTE, Step.CONSOLIDATE),
        ((), NOW + 24 * HOUR, Step.CONSOLIDATE),  # set forward: at the deadline with whoever has settled
        ((), NOW - 3 * HOUR, Step.STAGE),  # set back: the players who are missing are staged meanwhile
        ((staged(PART),), NOW - 3 * HOUR, Step.CONSOLIDATE),  # all settled: the clock doesn't matter
        ((staged(PART),), NOW + 24 * HOUR, Step.CONSOLIDATE),
    ],
)
def test_a_deadline_is_a_moment_of_the_wall_clock_and_a_settled_slate_needs_none(settled, clock, step):
    opened = progress_of(batch(1), *settled)
    assert next_step(Progress(opened.batch, opened.outcomes, "snapshot1"), clock) is step


@pytest.mark.parametrize(
    ("newest", "now", "moment"),
    [
        (None, NOW, NOW),
        (NOW - HOUR, NOW, NOW),
        (NOW, NOW, NOW + MICROSECOND),
        (NOW + HOUR, NOW, NOW + HOUR + MICROSECOND),
    ],
)
def test_a_receipt_is_later_than_the_one_before_it(newest, now, moment):
    work = plan(progress_of(batch(1), staged(PART)), ())
    counts = MergeCounts(2, 2, 0, 0, 0, 2)
    earlier = [work.receipt(counts, (), merge_ms=1.0, now=newest)] if newest else []
    assert later_than(earlier, now) == moment


@pytest.mark.parametrize(
    ("local_time", "opened_at", "expected"),
    [
        (None, "2026-01-02T15:00+00:00", "2026-01-02T15:30+00:00"),
        ("07:10", "2026-01-02T15:00+00:00", "2026-01-02T15:10+00:00"),
        ("07:45", "2026-01-02T15:00+00:00", "2026-01-02T15:30+00:00"),
        ("06:00", "2026-01-02T15:00+00:00", "2026-01-02T15:30+00:00"),
    ],
)
def test_the_deadline_is_minutes_after_opening_or_the_clock_s_whichever_is_first(
    local_time, opened_at, expected
):
    found = deadline(datetime.fromisoformat(opened_at), 30, local_time, "America/Los_Angeles")
    assert found == datetime.fromisoformat(expected)


LOS_ANGELES, BERLIN = "America/Los_Angeles", "Europe/Berlin"


@pytest.mark.parametrize(
    ("slate", "cron", "time_zone", "due"),
    [
        ("2026-01-02", "0 7 * * *", LOS_ANGELES, "2026-01-02T15:00+00:00"),
        ("2026-07-02", "0 7 * * *", LOS_ANGELES, "2026-07-02T14:00+00:00"),
        ("2026-03-08", "0 7 * * *", LOS_ANGELES, "2026-03-08T14:00+00:00"),  # the clock went forward at 2:00
        ("2026-03-08", "30 2 * * *", LOS_ANGELES, "2026-03-08T10:00+00:00"),  # 2:30 doesn't exist: at 3:00
        ("2026-11-01", "0 7 * * *", LOS_ANGELES, "2026-11-01T15:00+00:00"),  # the clock went back at 2:00
        (
            "2026-11-01",
            "30 1 * * *",
            LOS_ANGELES,
            "2026-11-01T09:30:00+00:00",
        ),  # 1:30 comes twice: the second
        ("2026-11-01", "0 7,19 * * *", LOS_ANGELES, "2026-11-01T15:00+00:00"),
        ("2026-01-02", "0 7 * * *", BERLIN, "2026-01-02T06:00+00:00"),
        ("2026-01-02", "0 5 * * *", BERLIN, "2026-01-03T04:00+00:00"),  # 23:00 of the day before, in New York
        ("2026-01-02", "0 0 * * *", "America/New_York", "2026-01-02T05:00+00:00"),  # the date's first moment
        ("2026-01-02", "0 7 * * MON", LOS_ANGELES, "2026-01-05T15:00+00:00"),
    ],
)
def test_a_roster_is_due_at_the_cron_s_first_tick_on_the_slate_s_date(slate, cron, time_zone, due):
    assert roster_hour(slate, cron, time_zone) == datetime.fromisoformat(due)


@pytest.mark.parametrize("cron", ["0 7 * * *", "30 1 * * *", "30 2 * * *", "0 */6 * * *", "15 3 * * 1-5"])
@pytest.mark.parametrize("time_zone", [LOS_ANGELES, BERLIN, "America/New_York", "UTC"])
@pytest.mark.parametrize("slate", ["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01", "2026-11-02"])
def test_rosters_are_due_when_dagster_s_schedule_ticks_also_where_clocks_change(cron, time_zone, slate):
    midnight = datetime.combine(parse_slate(slate), time(), GAME_TIME_ZONE)
    first = next(cron_string_iterator(midnight.timestamp(), cron, time_zone))
    # By their seconds: Python calls moments of two zones unequal where a clock change repeats an hour.
    assert roster_hour(slate, cron, time_zone).timestamp() == first.timestamp()
    for moment in (midnight + n * HOUR / 2 for n in range(0, 60, 7)):
        ticked = itertools.islice(reverse_cron_string_iterator(moment.timestamp(), cron, time_zone), 3)
        found = itertools.islice(roster_hours_before(moment, cron, time_zone), 3)
        assert [hour.timestamp() for hour in found] == [tick.timestamp() for tick in ticked]


def test_a_roster_hour_counts_from_its_moment_on():
    tick = datetime(2026, 1, 2, 15, 0, tzinfo=UTC)
    for moment, newest in (
        (tick, tick),
        (tick + MICROSECOND, tick),
        (tick - MICROSECOND, tick - 24 * HOUR),
    ):
        assert next(roster_hours_before(moment, "0 7 * * *", LOS_ANGELES)) == newest

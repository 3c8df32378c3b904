"""A wall clock that jumps delays or hastens a decision; nothing waits for it for hours, nothing is undone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from prediction_assets.orchestration.run_tags import REQUEST_TAG
from prediction_assets.orchestration.runs import LOST_AFTER, is_lost
from prediction_assets.orchestration.sensors.requests import FIRST_PAUSE, RunNeed, Skipped, request
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import deadline, is_recent
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
    assert outcome.gave_up
    assert "mend the cause" in outcome.reason


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

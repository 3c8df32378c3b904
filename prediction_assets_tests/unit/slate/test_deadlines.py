"""A wall clock that jumps delays or hastens a decision; nothing waits for it for hours, nothing is undone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import Clock, deadline, is_recent, roster_hour, roster_hours_before
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.receipt import MergeCounts, later_than
from prediction_assets_tests.made_up import NOW, SLATE, batch, progress_of, staged

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
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


@pytest.mark.parametrize(
    ("settled", "clock", "step"),
    [
        ((), NOW, Step.STAGE),
        ((), batch(1).deadline - MICROSECOND, Step.STAGE),
        ((), batch(1).deadline, Step.CONSOLIDATE),
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
    counts = MergeCounts(2, 2, 0, 0, 0, 2, "")
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


def test_a_roster_hour_counts_from_its_moment_on():
    tick = datetime(2026, 1, 2, 15, 0, tzinfo=UTC)
    for moment, newest in (
        (tick, tick),
        (tick + MICROSECOND, tick),
        (tick - MICROSECOND, tick - 24 * HOUR),
    ):
        assert next(roster_hours_before(moment, "0 7 * * *", LOS_ANGELES)) == newest


def test_the_clock_reads_the_present_moment_in_utc():
    before = datetime.now(UTC)
    now = Clock().now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC

"""When sources are asked: the season's calendar, the evening, and a budget that is short."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from prediction_assets.ingest.live.budget import Limits, Spent
from prediction_assets.ingest.live.timing import (
    asks_logs,
    asks_schedule,
    is_due,
    pause,
)
from prediction_assets.nba.season import Calendar
from prediction_assets.nba.tonight import Tonight

HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
NOON = datetime(2026, 1, 16, 12, tzinfo=UTC)  # 16 days of the month are left
ENOUGH = Limits(10_000, 1_000_000)


def day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


@pytest.mark.parametrize(
    ("previous", "following", "today", "is_off", "logs", "schedule"),
    [
        pytest.param(None, None, "2026-01-02", False, True, True, id="nothing is stored yet"),
        pytest.param("2026-01-02", "2026-01-02", "2026-01-02", False, True, True, id="a day with games"),
        pytest.param("2026-02-12", "2026-02-19", "2026-02-16", False, False, True, id="all-star break"),
        pytest.param("2026-01-14", None, "2026-01-20", False, False, True, id="a schedule that stops in January"),
        pytest.param("2026-06-19", None, "2026-06-21", True, True, False, id="after the finals, a correction"),
        pytest.param("2026-06-19", None, "2026-06-22", True, True, True, id="after the finals, Monday"),
        pytest.param("2026-06-19", None, "2026-07-21", True, False, False, id="summer, a Tuesday"),
        pytest.param("2026-06-19", None, "2026-07-20", True, False, True, id="summer, a Monday"),
        pytest.param("2026-06-19", "2026-10-20", "2026-08-19", True, False, False, id="published, months ahead"),
        pytest.param("2026-06-19", "2026-10-20", "2026-10-06", False, False, True, id="two weeks before the first"),
        pytest.param("2026-06-19", None, "2026-10-20", False, False, True, id="October without a new schedule"),
        pytest.param("2020-03-11", "2020-07-30", "2020-05-05", True, False, False, id="a season that was stopped"),
        pytest.param("2020-10-11", None, "2020-10-13", False, True, True, id="finals in October"),
        pytest.param(None, "2026-10-20", "2026-08-19", True, False, False, id="a first season, months ahead"),
    ],
)  # fmt: skip
def test_nothing_is_asked_out_of_season_and_it_wakes_up_by_itself(
    previous, following, today, is_off, logs, schedule
):
    calendar, on = Calendar(day(previous), day(following)), date.fromisoformat(today)
    assert calendar.is_off_season(on) is is_off
    assert (asks_logs(calendar, on), asks_schedule(calendar, on)) == (logs, schedule)


def test_every_day_of_two_seasons_is_asked_about_and_few_of_the_summer_between():
    """Seasons of daily games; the second one's schedule is stored from August 14."""
    first, last, opening = date(2024, 10, 22), date(2025, 6, 22), date(2025, 10, 21)
    asked, silent = 0, 0
    for number in range(400):
        today = first + timedelta(days=number)
        following = today if today <= last else opening if today >= date(2025, 8, 14) else None
        if today >= opening:
            following = today
        calendar = Calendar(min(today, last) if today < opening else today, following)
        schedule, logs = asks_schedule(calendar, today), asks_logs(calendar, today)
        if today <= last or today >= opening:
            assert schedule, f"{today} is in season"
            assert logs, f"{today} is in season"
        elif today > last + timedelta(days=3):
            assert not logs
            asked += schedule
            silent += not schedule
    assert (asked, silent) == (29, 88), "Mondays, and the last fortnight"


def test_the_last_tip_off_is_the_lines_or_half_past_ten_eastern():
    assert Tonight(date(2026, 1, 2), 3).last_tip_off == datetime(2026, 1, 3, 3, 30, tzinfo=UTC)
    assert Tonight(date(2026, 7, 2), 3).last_tip_off == datetime(2026, 7, 3, 2, 30, tzinfo=UTC)
    known = datetime(2026, 1, 3, 1, tzinfo=UTC)
    assert Tonight(date(2026, 1, 2), 3, known).last_tip_off == known


@pytest.mark.parametrize(
    ("limits", "spent", "cost", "every"),
    [
        pytest.param(ENOUGH, Spent(0, 0, None), 20, QUARTER, id="enough"),
        pytest.param(ENOUGH, Spent(0, 0, None), 0, QUARTER, id="free"),
        pytest.param(Limits(200, 10_000), Spent(0, 0, None), 20, HOUR, id="ten looks in ten hours"),
        pytest.param(Limits(200, 10_000), Spent(100, 100, None), 20, 2 * HOUR, id="half of the day is spent"),
        pytest.param(
            Limits(1000, 1600), Spent(0, 0, None), 20, 2 * HOUR, id="100 a day for the rest of the month"
        ),
        pytest.param(Limits(1000, 10_000), Spent(0, 0, 1600), 20, 2 * HOUR, id="the plan's own count holds"),
        pytest.param(Limits(1000, 20), Spent(0, 0, None), 20, 10 * HOUR, id="the last look of the month"),
        pytest.param(Limits(19, 10_000), Spent(0, 0, None), 20, None, id="not one look today"),
        pytest.param(Limits(1000, 10_000), Spent(0, 0, 19), 20, None, id="not one look in the plan"),
        pytest.param(Limits(1000, 100), Spent(150, 150, None), 20, None, id="overspent"),
    ],
)
def test_a_short_budget_is_spread_over_the_evening_and_the_month(limits, spent, cost, every):
    assert pause(NOON, NOON + 10 * HOUR, QUARTER, cost, limits, spent) == every


def test_a_day_of_looks_stays_within_each_budget():
    """Every five minutes from 06:30 to 19:30, with 20 credits a look."""
    for per_day, per_month, looks in ((1000, 20_000, 50), (100, 20_000, 5), (1000, 400, 1), (10, 20_000, 0)):
        begin, asked, day_spent = NOON, None, 0
        end, count = begin + 13 * HOUR, 0
        limits = Limits(per_day, per_month)
        for tick in range(13 * 12 + 1):
            now = begin + tick * timedelta(minutes=5)
            every = pause(now, end, QUARTER, 20, limits, Spent(day_spent, day_spent, None))
            if every is not None and is_due(now, asked, every):
                asked, day_spent, count = now, day_spent + 20, count + 1
        assert day_spent <= min(per_day, per_month)
        assert looks - 2 <= count <= looks + 2, (per_day, per_month, count)


@pytest.mark.parametrize(("seconds", "due"), [(869, False), (870, True), (900, True), (3600, True)])
def test_a_tick_some_seconds_early_counts(seconds, due):
    assert is_due(NOON, NOON - timedelta(seconds=seconds), QUARTER) is due
    assert is_due(NOON, None, QUARTER)

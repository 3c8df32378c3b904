"""When the sources are asked: pure rules from the stored schedule, the clock and what is left of a budget.

The season's calendar is :mod:`prediction_assets.nba.season`. What doesn't belong here: who asks, and reading the
schedule.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta

from prediction_assets.ingest.live.budget import Limits, Spent
from prediction_assets.nba.season import LOGS_AFTER, Calendar
from prediction_assets.nba.tonight import Tonight
from prediction_assets.slate.keys import GAME_TIME_ZONE

LINES_OWED = timedelta(hours=4)
"""So long before the last tip-off every book offers points; before that a game without lines is no failure."""

SCHEDULE_OWED_IN = 10
"""A season's schedule is published in August, and its first games are in October."""

BEFORE_ROSTER = timedelta(minutes=30)
"""Lines and injury reports are looked for from so long before the roster's hour on."""


def asks_schedule(calendar: Calendar, today: date) -> bool:
    """Return whether the schedule is asked for on a date: each day, and in the off-season each Monday."""
    return not calendar.is_off_season(today) or today.weekday() == 0


def asks_logs(calendar: Calendar, today: date) -> bool:
    """Return whether game logs are asked for on a date: while games are played, and some days longer."""
    if not calendar.is_known:
        return True
    return calendar.previous is not None and today - calendar.previous <= LOGS_AFTER


def owes_games(tonight: Tonight, now: datetime) -> bool:
    """Return whether a game is still to begin."""
    return bool(tonight.games) and now < tonight.last_tip_off


def owes_lines(tonight: Tonight, now: datetime) -> bool:
    """Return whether every book has lines by now."""
    return owes_games(tonight, now) and now >= tonight.last_tip_off - LINES_OWED


def owes_report(tonight: Tonight, now: datetime) -> bool:
    """Return whether the teams have reported by now."""
    return owes_games(tonight, now) and now >= tonight.teams_reported


def pause(
    now: datetime, end: datetime, usual: timedelta, cost: int, limits: Limits, spent: Spent
) -> timedelta | None:
    """Return the time between two questions until the last tip-off, None when not even one can be paid for.

    What is left of the month is spread over its days, what is left of today over the hours until the last tip-off.

    Args:
        usual: the time between two questions while requests suffice.
        cost: requests, or credits, that one question takes; 0: nothing is counted.
    """
    if cost <= 0:
        return usual
    moment = now.astimezone(GAME_TIME_ZONE)
    days = monthrange(moment.year, moment.month)[1] - moment.day + 1
    month = spent.left_this_month(limits)
    # The day's share counts what was spent today, or each look would open a new share for the next.
    share = (month + spent.day) // days - spent.day
    if not spent.day:
        share = max(share, min(month, cost))  # a single look a day is worth more than none
    today = min(limits.per_day - spent.day, share)
    questions = today // cost
    if questions <= 0:
        return None
    return max(usual, (end - now) / questions)


def is_due(now: datetime, asked: datetime | None, every: timedelta) -> bool:
    """Return whether it is time to ask again; a tick that comes some seconds early counts."""
    return asked is None or now - asked >= every - timedelta(seconds=30)

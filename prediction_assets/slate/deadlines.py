"""What the clock decides: when a slate's roster is due, when its deadline is, and what happened just now.

Pure functions of moments and of the settings that they name; nothing here asks for the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dagster._utils.schedules import cron_string_iterator, reverse_cron_string_iterator

from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate

RECENT_DAYS = 3
"""Sensors and alerts look at the batches that were opened within so many days."""


class Clock:
    """The time that every decision goes by; a test replaces it."""

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return datetime.now(UTC)


def roster_hour(slate: str, roster_cron: str, time_zone: str) -> datetime:
    """Return when the daily schedule asks for a slate's roster: its first tick on the slate's date, in UTC."""
    midnight = datetime.combine(parse_slate(slate), time(), GAME_TIME_ZONE)
    return next(cron_string_iterator(midnight.timestamp(), roster_cron, time_zone)).astimezone(UTC)


def roster_hours_before(moment: datetime, roster_cron: str, time_zone: str) -> Iterator[datetime]:
    """Yield when the daily schedule asked for rosters until a moment, newest first, in UTC."""
    for hour in reverse_cron_string_iterator(moment.timestamp(), roster_cron, time_zone):
        yield hour.astimezone(UTC)


def deadline(opened_at: datetime, minutes: int, local_time: str | None, time_zone: str) -> datetime:
    """Return when a batch is consolidated as it is: the earlier of minutes after opening and the clock's.

    Args:
        local_time: a deadline by the clock of the time zone, ``HH:MM``; None: minutes only.
    """
    by_minutes = opened_at + timedelta(minutes=minutes)
    if local_time is None:
        return by_minutes
    hour, minute = map(int, local_time.split(":"))
    local = opened_at.astimezone(ZoneInfo(time_zone))
    by_clock = local.replace(hour=hour, minute=minute, second=0, microsecond=0).astimezone(UTC)
    # Opened after the clock's deadline, a batch still gets its minutes.
    return min(by_minutes, by_clock) if by_clock > opened_at else by_minutes


def is_recent(moment: datetime, now: datetime, span: timedelta) -> bool:
    """Return whether something happened within a span of time.

    A moment that lies further ahead than the span is from before the clock was set back; were it taken for
    recent, work would rest until the clock has caught up with it, for hours.
    """
    return abs(now - moment) <= span

"""What the time decides: when a slate's roster is due, when its deadline is, and whether something is recent.

Functions here get the present moment as a value; only :class:`Clock` reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate

RECENT_DAYS = 3
"""Sensors and alerts look at the batches that were opened within so many days."""


class Clock:
    """The one clock of the process; a test replaces it."""

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return datetime.now(UTC)


_LONGEST_SHIFT = timedelta(hours=3)
"""More than a clock change moves a cron's tick, or repeats: iterating starts so far outside, and is cut exactly."""


def roster_hour(slate: str, roster_cron: str, time_zone: str) -> datetime:
    """Return when the daily schedule requests a slate's roster: its first tick on the slate's date, in UTC.

    The date is America/New_York's; the cron is read in ``time_zone``.
    """
    midnight = datetime.combine(parse_slate(slate), time(), GAME_TIME_ZONE)
    start = (midnight - _LONGEST_SHIFT).astimezone(ZoneInfo(time_zone))
    return next(filter(lambda tick: tick >= midnight, _ticks(roster_cron, start)))


def roster_hours_before(moment: datetime, roster_cron: str, time_zone: str) -> Iterator[datetime]:
    """Iterate over when the daily schedule requested rosters, up to and with a moment, newest first, in UTC."""
    start = (moment + _LONGEST_SHIFT).astimezone(ZoneInfo(time_zone))
    return filter(lambda tick: tick <= moment, _ticks(roster_cron, start, reverse=True))


def _ticks(cron: str, start: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """Return a cron's ticks from a moment on, or backwards, in UTC, as Dagster's schedules have them."""
    # A tick at a time that a clock change leaves out comes when the clock has moved on. At a time that comes twice,
    # a cron of fixed hours ticks the second time; one of every hour ticks both times.
    is_fixed = not any(field.startswith("*") for field in cron.split()[:2])

    def in_utc(tick: datetime) -> datetime:
        return (tick.replace(fold=1) if is_fixed else tick).astimezone(UTC)

    return map(in_utc, CronSim(cron, start, reverse=reverse))


def deadline(opened_at: datetime, minutes: int, local_time: str | None, time_zone: str) -> datetime:
    """Return when a batch is merged without the players who haven't settled.

    Args:
        minutes: the deadline is so long after the opening, or at ``local_time`` if that is earlier.
        local_time: ``HH:MM`` in the time zone; None: the minutes alone count.
    """
    by_minutes = opened_at + timedelta(minutes=minutes)
    if local_time is None:
        return by_minutes
    hour, minute = map(int, local_time.split(":"))
    local = opened_at.astimezone(ZoneInfo(time_zone))
    by_clock = local.replace(hour=hour, minute=minute, second=0, microsecond=0).astimezone(UTC)
    # A batch that is opened after the local time still gets its minutes.
    return min(by_minutes, by_clock) if by_clock > opened_at else by_minutes


def first_tip_off(slate: str, known: datetime | None) -> datetime:
    """Return when the first game of a slate begins.

    Args:
        known: the earliest that a line says. Without one it is noon Eastern: hardly a game begins before that.
    """
    return known or datetime.combine(parse_slate(slate), time(12), GAME_TIME_ZONE).astimezone(UTC)


def end_of_slate(slate: str) -> datetime:
    """Return the midnight, Eastern, after which no game of a slate begins."""
    return datetime.combine(parse_slate(slate) + timedelta(days=1), time(), GAME_TIME_ZONE).astimezone(UTC)


def is_recent(moment: datetime, now: datetime, span: timedelta) -> bool:
    """Return whether a moment is at most a span away from now, in either direction."""
    # A moment that lies far ahead is from before the clock was set back. If it counted as recent, work would rest for
    # hours, until the clock has reached it.
    return abs(now - moment) <= span

"""What an incident makes of an alert, and when there is something to say: pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from prediction_assets.monitoring.destinations import Message, Notice
from prediction_assets.stores.alert import Alert, Change, Incident

CLAIM = timedelta(minutes=2)
"""How long one delivery may take before another process may try: a destination answers in seconds."""


def opened(incident: Incident, now: datetime) -> Change:
    """Return the change that an incident makes: a new alert, or the one that lasts with the newest fact.

    An event that was looked at before, told by its position and its time, changes nothing.
    """

    def change(alert: Alert | None) -> Alert | None:
        if alert is None:
            return Alert(incident, opened_at=now)
        if _is_old(incident.position, incident.at, alert):
            return alert
        if alert.settled_at is not None:
            return Alert(incident, opened_at=now)
        if alert.recovered_at is None and alert.incident == incident:
            return alert
        return replace(alert, incident=incident, recovered_at=None)

    return change


def recovered(now: datetime, position: int | None = None, at: datetime | None = None) -> Change:
    """Return the change that the end of an incident makes; an event before the newest one changes nothing."""

    def change(alert: Alert | None) -> Alert | None:
        if alert is None or not alert.is_open or _is_old(position, at, alert):
            return alert
        incident = alert.incident if position is None else replace(alert.incident, position=position, at=at)
        return replace(alert, incident=incident, recovered_at=now)

    return change


def _is_old(position: int | None, at: datetime | None, alert: Alert) -> bool:
    """Return whether an event isn't newer than the newest one: not by its position, and not by its time either.

    Positions start again after runs were deleted, and clocks are set back, but not both between two looks.
    """
    newest = alert.incident
    if position is None or newest.position is None or position > newest.position:
        return False
    return at is None or newest.at is None or at <= newest.at


def over(alerts: Iterable[Alert], found: Collection[str], judged: Collection[str]) -> list[str]:
    """Return the keys of open alerts of the kinds that were judged and whose incident wasn't found again."""
    return [
        alert.incident.key
        for alert in alerts
        if alert.is_open and alert.incident.kind in judged and alert.incident.key not in found
    ]


def due(alert: Alert, now: datetime, again: timedelta) -> Notice | None:
    """Return what is to be said of an alert now, None when nothing is or somebody is saying it.

    Args:
        again: how long after it was told an incident that lasts is told again.
    """
    if alert.settled_at is not None or (alert.claimed_until is not None and now < alert.claimed_until):
        return None
    if alert.recovered_at is not None:
        return Notice.RECOVERED
    if alert.told_at is None:
        return Notice.OPENED
    return Notice.STILL_OPEN if now >= alert.told_at + again else None


def told(notice: Notice, now: datetime) -> Change:
    """Return the change that a complete delivery makes."""

    def change(alert: Alert | None) -> Alert | None:
        if alert is None:
            return None
        done = replace(alert, told_at=now, claimed_until=None, reached=())
        if notice is Notice.RECOVERED:
            # It may have come back while its end was being told.
            return (
                replace(done, settled_at=now)
                if alert.recovered_at is not None
                else replace(done, told_at=None)
            )
        return replace(done, times_told=alert.times_told + 1)

    return change


def partly_told(reached: Iterable[str]) -> Change:
    """Return the change that an incomplete delivery makes: the rest is due again at once."""
    marks = tuple(reached)

    def change(alert: Alert | None) -> Alert | None:
        return None if alert is None else replace(alert, claimed_until=None, reached=marks)

    return change


def given_up(now: datetime, after: timedelta) -> Change:
    """Return the change that ends an alert which nobody settled for so long; it was told, and told again."""

    def change(alert: Alert | None) -> Alert | None:
        if alert is None or not alert.is_open or alert.told_at is None or now < alert.opened_at + after:
            return alert
        return replace(alert, settled_at=now)

    return change


def message(alert: Alert, notice: Notice) -> Message:
    """Return what a person reads: the slate and what happened, then the fact, the link and the next command."""
    incident = alert.incident
    about = f"slate {incident.slate}" if incident.slate else "prediction_assets"
    state = (
        incident.severity.value if notice is Notice.OPENED else f"{notice.value}, {incident.severity.value}"
    )
    lines = [incident.fact]
    if notice is Notice.RECOVERED:
        lines.append(f"Lasted from {_moment(alert.opened_at)} to {_moment(alert.recovered_at)}.")
    else:
        if notice is Notice.STILL_OPEN:
            lines.append(f"Open since {_moment(alert.opened_at)}.")
        lines.append(f"Next: {incident.command}")
    lines.append(incident.link)
    return Message(
        notice,
        incident.severity,
        title=f"[{state}] {about}: {incident.kind.replace('_', ' ')}",
        body="\n".join(lines),
    )


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"

"""What a finding makes of its alert, and when a message is due: pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

from prediction_assets.monitoring.destinations import Message, Notice
from prediction_assets.monitoring.finding_kinds import EVENTS
from prediction_assets.monitoring.findings import Finding, local
from prediction_assets.stores.alert import DIGEST, Alert, Change


def opened(finding: Finding, now: datetime) -> Change:
    """Return the change that a finding makes: a new alert, or the open one with the newest line."""
    new = Alert(
        key=finding.key, severity=finding.severity, line=finding.line, link=finding.link, command=finding.command,
        slate=finding.slate, opened_at=now, board=finding.board,
    )  # fmt: skip

    def change(alert: Alert | None) -> Alert | None:
        if alert is not None and finding.kind in EVENTS:
            return alert
        if alert is None or alert.settled_at is not None:
            return new
        lasting = replace(
            new,
            opened_at=alert.opened_at,
            delivered_at=alert.delivered_at,
            deliveries=alert.deliveries,
            claimed_until=alert.claimed_until,
            reached=alert.reached,
        )
        return alert if alert == lasting else lasting

    return change


def recovered(now: datetime) -> Change:
    def change(alert: Alert | None) -> Alert | None:
        return alert if alert is None or not alert.is_open else replace(alert, recovered_at=now)

    return change


def due(alert: Alert, now: datetime, repeat: timedelta) -> Notice | None:
    """Return which message is due now; None when none is, or when another process is delivering it."""
    if alert.settled_at is not None or (alert.claimed_until is not None and now < alert.claimed_until):
        return None
    if alert.recovered_at is not None:
        return Notice.DIGEST if alert.kind == DIGEST else Notice.RECOVERED
    if alert.delivered_at is None:
        return Notice.OPENED
    return Notice.STILL_OPEN if now >= alert.delivered_at + repeat else None


def mark_delivered(notice: Notice, now: datetime) -> Change:
    """Return the change that a complete delivery makes."""

    def change(alert: Alert | None) -> Alert | None:
        if alert is None:
            return None
        done = replace(alert, delivered_at=now, claimed_until=None, reached=())
        if notice not in (Notice.RECOVERED, Notice.DIGEST):
            over = now if alert.kind in EVENTS else None
            return replace(done, deliveries=alert.deliveries + 1, settled_at=over)
        if alert.recovered_at is None:  # it came back while its recovery was delivered
            return replace(done, delivered_at=None)
        return replace(done, settled_at=now)

    return change


def mark_partly_delivered(reached: Iterable[str]) -> Change:
    """Return the change that an incomplete delivery makes: the rest is due again at once."""
    marks = tuple(reached)

    def change(alert: Alert | None) -> Alert | None:
        return None if alert is None else replace(alert, claimed_until=None, reached=marks)

    return change


def expired(now: datetime, after: timedelta) -> Change:
    """Return the change that settles an alert which is open for this long, once it was delivered."""

    def change(alert: Alert | None) -> Alert | None:
        if alert is None or not alert.is_open or alert.delivered_at is None or now < alert.opened_at + after:
            return alert
        return replace(alert, settled_at=now)

    return change


def message(alert: Alert, notice: Notice, zone: tzinfo = UTC) -> Message:
    """Return what a person reads: the slate and the finding's kind, then the line, the next command and the link."""
    if notice is Notice.DIGEST:
        title = f"[digest] slate {alert.slate}: the best bets"
        lines = [alert.line, f"All of them: {alert.command}", *_board(alert)]
        return Message(notice, alert.severity, title, "\n".join(lines))
    about = f"slate {alert.slate}" if alert.slate else "prediction_assets"
    state = alert.severity.value if notice is Notice.OPENED else f"{notice.value}, {alert.severity.value}"
    lines = [alert.line]
    if notice is Notice.RECOVERED:
        lines.append(f"Lasted from {local(alert.opened_at, zone)} to {local(alert.recovered_at, zone)}.")
    else:
        if notice is Notice.STILL_OPEN:
            lines.append(f"Open since {local(alert.opened_at, zone)}.")
        lines.append(f"Next: {alert.command}")
    if alert.link:
        lines.append(alert.link)
    lines += _board(alert)
    return Message(
        notice,
        alert.severity,
        title=f"[{state}] {about}: {alert.kind.replace('_', ' ')}",
        body="\n".join(lines),
    )


def _board(alert: Alert) -> list[str]:
    return [f"board: {alert.board}"] if alert.board else []

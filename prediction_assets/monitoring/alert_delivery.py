"""Deliver each message that is due: claim the alert, send it to every destination, and keep who has it.

A process that dies in between leaves a claim, which runs out; the message is then sent again. A destination that
has the message doesn't get it again because another one was unreachable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from prediction_assets.errors import NotDelivered
from prediction_assets.monitoring.alert_lifecycle import (
    due,
    expired,
    mark_delivered,
    mark_partly_delivered,
    message,
)
from prediction_assets.monitoring.destinations import Destination, Notice, receivers_of
from prediction_assets.monitoring.thresholds import CLAIM
from prediction_assets.stores.alert import Alert
from prediction_assets.stores.protocols import AlertStore


@dataclass(frozen=True)
class Delivered:
    """The result of one delivery."""

    notices: tuple[tuple[str, Notice], ...]  # the messages that every destination has, by alert's key
    problems: tuple[str, ...]  # why a message didn't reach a destination; it stays due


def deliver_due(
    store: AlertStore,
    destinations: Sequence[Destination],
    now: datetime,
    *,
    repeat: timedelta,
    expire: timedelta,
    zone: tzinfo = UTC,
) -> Delivered:
    """Deliver every message that is due.

    Args:
        repeat: how long after its delivery an open alert is delivered again.
        expire: how old an open alert is when it isn't delivered any more.
        zone: the operator's; moments are written in it.
    """
    notices: list[tuple[str, Notice]] = []
    problems: list[str] = []
    for waiting in store.unsettled():
        key = waiting.key
        store.change(key, expired(now, expire))
        claimed = _claim(store, key, now, repeat)
        if claimed is None:
            continue
        alert, notice = claimed
        reached = [mark for mark in alert.reached if mark.startswith(f"{notice.value}:")]
        failed = []
        for destination in receivers_of(destinations, alert.severity):
            mark = f"{notice.value}:{destination.identity}"
            if mark in reached:
                continue
            try:
                destination.send(message(alert, notice, zone))
                reached.append(mark)
            except NotDelivered as error:
                failed.append(str(error))
        if failed:
            store.change(key, mark_partly_delivered(reached))
            problems += [f"{key}: {problem}" for problem in failed]
        else:
            store.change(key, mark_delivered(notice, now))
            notices.append((key, notice))
    return Delivered(tuple(notices), tuple(problems))


def _claim(store: AlertStore, key: str, now: datetime, repeat: timedelta) -> tuple[Alert, Notice] | None:
    """Return the alert and the message that is due, to exactly one of all processes that claim it at the same time."""
    won: list[Notice] = []

    def claim(alert: Alert | None) -> Alert | None:
        won.clear()
        notice = None if alert is None else due(alert, now, repeat)
        if alert is None or notice is None:
            return alert
        won.append(notice)
        return replace(alert, claimed_until=now + CLAIM)

    claimed = store.change(key, claim)
    return (claimed, won[0]) if won and claimed is not None else None

"""Say what is due: claim an alert, deliver it everywhere it should go, and remember who got it.

A process that dies in between leaves a claim, which runs out; the message is then sent again. A destination that
got it isn't told twice because another was unreachable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prediction_assets.errors import NotDelivered
from prediction_assets.monitoring.alert_lifecycle import CLAIM, due, given_up, message, partly_told, told
from prediction_assets.monitoring.destinations import Destination, Notice, wanting
from prediction_assets.stores.alert import Alert
from prediction_assets.stores.protocols import AlertStore


@dataclass(frozen=True)
class Delivered:
    """What came of it.

    Attributes:
        notices: what was said to everybody who should know, by incident's key.
        problems: why a message didn't reach a destination; it stays due.
    """

    notices: tuple[tuple[str, Notice], ...]
    problems: tuple[str, ...]


def tell(
    store: AlertStore,
    destinations: Sequence[Destination],
    now: datetime,
    *,
    repeat: timedelta,
    give_up: timedelta,
) -> Delivered:
    """Deliver every message that is due.

    Args:
        repeat: how long after it was told an incident that lasts is told again.
        give_up: how old an incident is when it isn't told any more.
    """
    notices: list[tuple[str, Notice]] = []
    problems: list[str] = []
    for waiting in store.unsettled():
        key = waiting.incident.key
        store.change(key, given_up(now, give_up))
        claimed = _claim(store, key, now, repeat)
        if claimed is None:
            continue
        alert, notice = claimed
        reached = [mark for mark in alert.reached if mark.startswith(f"{notice.value}:")]
        failed = []
        for destination in wanting(destinations, alert.incident.severity):
            mark = f"{notice.value}:{destination.identity}"
            if mark in reached:
                continue
            try:
                destination.send(message(alert, notice))
                reached.append(mark)
            except NotDelivered as error:
                failed.append(str(error))
        if failed:
            store.change(key, partly_told(reached))
            problems += [f"{key}: {problem}" for problem in failed]
        else:
            store.change(key, told(notice, now))
            notices.append((key, notice))
    return Delivered(tuple(notices), tuple(problems))


def _claim(store: AlertStore, key: str, now: datetime, repeat: timedelta) -> tuple[Alert, Notice] | None:
    """Return the alert and what to say of it, to exactly one of all who ask at the same time."""
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

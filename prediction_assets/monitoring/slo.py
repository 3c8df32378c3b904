"""How often phase 6 had a slate's predictions before its games began: shares of the slates of each month.

A slate counts once its date is over, from the installation's first receipt on, also when nothing of it was ever made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from prediction_assets.slate.acknowledgement import Handover, handover
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.deadlines import first_tip_off
from prediction_assets.slate.keys import NBA_LEAGUE, slate_key
from prediction_assets.stores.protocols import Outbox, Warehouse
from prediction_assets.stores.sql import queries


@dataclass(frozen=True, slots=True)
class Month:
    """One month's slates, and those that were in time."""

    month: str  # such as `2026-01`
    slates: int
    published: int  # slates of which a message was delivered
    acknowledged: int  # slates of which phase 6 acknowledged a revision
    before_tip_off: int  # of these, the ones that it acknowledged before their first game began
    late: tuple[str, ...]  # the other slates, oldest first


def months(slates: Iterable[tuple[str, Handover, datetime]]) -> list[Month]:
    """Return each month's counts, oldest first."""
    by_month: dict[str, list[tuple[str, Handover, bool]]] = defaultdict(list)
    for slate, came, begins in slates:
        by_month[slate[:7]].append((slate, came, came.is_before(begins)))
    return [
        Month(
            month,
            len(listed),
            sum(came.published_at is not None for _, came, _ in listed),
            sum(came.acknowledged_at is not None for _, came, _ in listed),
            sum(in_time for _, _, in_time in listed),
            tuple(sorted(slate for slate, _, in_time in listed if not in_time)),
        )
        for month, listed in sorted(by_month.items())
    ]


def read_months(warehouse: Warehouse, outbox: Outbox, first: date, last: date, today: date) -> list[Month]:
    """Return the months from first to last, up to yesterday; none before the first receipt."""
    (began,) = warehouse.query(queries.FIRST_RECEIPT, {"league": NBA_LEAGUE})["game_date"].to_pylist()
    if began is None:
        return []
    span = {"first": max(first, began), "last": last}
    owed = [
        row["game_date"]
        for row in warehouse.query(queries.SLATES_BETWEEN, span).to_pylist()
        if row["league"] == NBA_LEAGUE and row["game_date"] < today
    ]
    known: Mapping[date, datetime] = {
        row["game_date"]: row["first_tip_off"]
        for row in warehouse.query(queries.FIRST_TIP_OFFS, {"league": NBA_LEAGUE, **span}).to_pylist()
    }
    entries: dict[str, list[OutboxEntry]] = defaultdict(list)
    for entry in outbox.entries():
        entries[entry.slate].append(entry)
    slates = {slate_key(day): known.get(day) for day in owed}
    return months(
        (slate, handover(entries[slate]), first_tip_off(slate, begins)) for slate, begins in slates.items()
    )

"""Reads, for the diagnosis of a slate, whose facts changed since he was staged."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prediction_assets.monitoring.health_facts import StaleFacts
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import end_of_slate
from prediction_assets.steps.refresh import read_refresh
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries


def read_stale(
    progress: Progress, warehouse: Warehouse, now: datetime, markets: Iterable[str] = ()
) -> StaleFacts | None:
    """Return what changed since a slate's players were staged; None if nothing did, or if the slate is over."""
    slate, outcomes = progress.batch.slate, progress.outcomes.values()
    if progress.receipt is None or now >= end_of_slate(slate) or not outcomes:
        return None
    version, staged_from = warehouse.facts_version(), min(done.facts_version for done in outcomes)
    if staged_from >= version:
        return None
    found = read_refresh(progress, warehouse, now, markets=markets)
    changed = warehouse.query(queries.FACTS_CHANGED_AT, {"since": staged_from})["changed_at"].to_pylist()
    return StaleFacts(found.due, found.late, tuple(found.roster.added), changed[0], version, staged_from)

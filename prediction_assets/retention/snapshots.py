"""Feature snapshots of old slates: by far the largest thing that a slate leaves behind.

A snapshot is kept while its slate isn't at rest. When an old slate is run again, its features are computed again from
the facts. In BigQuery the tables also expire by themselves.
"""

from prediction_assets.retention.kinds import History, Pruned
from prediction_assets.retention.slates import SlatesAtRest, is_before, oldest_kept

SNAPSHOTS_PER_SLICE = 200
"""Snapshots that one slice prunes. A slate gets one each time that its facts change."""


def prune_snapshots(history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Prune one slice of the snapshots of slates that are older than they are kept."""
    stored, oldest = history.warehouse.snapshots, oldest_kept(history, keep_days)
    old = [(slate, snapshot) for slate, snapshot in stored.stored() if is_before(slate, oldest)]
    at_rest = SlatesAtRest(history)
    reasons = {slate: at_rest.reason_to_keep(slate) for slate, _ in old}
    found = [(slate, snapshot) for slate, snapshot in old if reasons[slate] is None]
    now = found[:SNAPSHOTS_PER_SLICE]
    if not dry_run:
        for slate, snapshot in now:
            stored.drop(slate, snapshot)
    kept = {slate: reason for slate, reason in reasons.items() if reason is not None}
    return Pruned(len(now), tuple(sorted({slate for slate, _ in now})), kept, len(found) - len(now))

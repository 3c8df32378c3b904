"""Which slates are at rest, and the pruning of their snapshots and kept fits. The history of any other slate is kept.

They are the largest things that a slate leaves behind. When an old slate is run again, its features are computed again
from the facts, and the systems are fitted again. In BigQuery the snapshots' tables also expire by themselves.
"""

from datetime import date, timedelta

from prediction_assets.errors import BadInput
from prediction_assets.retention.kinds import History, Pruned
from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate, slate_key
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import POINTS_MODELS

SNAPSHOTS_PER_SLICE = 200
"""Snapshots that one slice prunes. A slate gets one each time that its facts change."""


FITS_PER_SLICE = 200
"""Slates whose kept fits one slice prunes, in one transaction."""


class SlatesAtRest:
    """Decides whether a slate is at rest, from one listing of staging."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._in_staging = set(history.warehouse.parts.slates())
        self._known: dict[str, str | None] = {}

    def reason_to_keep(self, slate: str) -> str | None:
        """Return why the slate isn't at rest, None when it is."""
        if slate not in self._known:
            self._known[slate] = self._reason(slate)
        return self._known[slate]

    def _reason(self, slate: str) -> str | None:
        if slate in self._in_staging:
            return "parts in staging"
        if slate in self._history.slates_at_work:
            return "a run is at work on it"
        progress = self._history.state.progress(slate)
        if progress is not None and next_step(progress, self._history.now) is not Step.NOTHING:
            return "not finished"
        return None


def is_before(slate: str, oldest: date) -> bool:
    """Return whether a slate's date lies before another.

    False for keys that aren't slates: another program created them.
    """
    try:
        return parse_slate(slate) < oldest
    except BadInput:
        return False


def oldest_kept(history: History, keep_days: int) -> date:
    """Return the first US Eastern date that is kept."""
    return history.now.astimezone(GAME_TIME_ZONE).date() - timedelta(days=keep_days)


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


def prune_kept_fits(history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Prune one slice of what was fitted on the own history of slates that are older than they are kept."""
    warehouse = history.warehouse
    found = warehouse.query(queries.KEPT_FITS_BEFORE, {"oldest": oldest_kept(history, keep_days)})
    now = found.slice(0, FITS_PER_SLICE)
    if now.num_rows and not dry_run:
        none = POINTS_MODELS.arrow_table([])
        warehouse.upsert(POINTS_MODELS, none, replace_by=("league", "only_slate"), also_replaced=now)
    slates = tuple(map(slate_key, now["only_slate"].to_pylist()))
    return Pruned(now.num_rows, slates, left=found.num_rows - now.num_rows)

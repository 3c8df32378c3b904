"""Keeps alerts for the recent slates, from the same findings that the health report shows.

Reads batch state, the outbox and the dead letters, and the warehouse only when a roster or an acknowledgement is
missing. An alert of a
slate that can't be read stays as it is: it is neither opened nor recovered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prediction_assets.errors import PredictionAssetsError, TransientError
from prediction_assets.monitoring.alert_findings import (
    dead_letters,
    no_roster,
    not_consolidated,
    unacknowledged,
    unpublished,
)
from prediction_assets.monitoring.alert_lifecycle import opened, over, recovered
from prediction_assets.monitoring.findings import Finding, Pages
from prediction_assets.monitoring.reader import read_first_tip_off
from prediction_assets.monitoring.thresholds import NO_ROSTER_AFTER
from prediction_assets.settings import Settings
from prediction_assets.slate.acknowledgement import handover
from prediction_assets.slate.batch import Batch, Progress
from prediction_assets.slate.completion_message import OutboxEntry, outbox_entry_of
from prediction_assets.slate.dead_letter import DeadLetter
from prediction_assets.slate.deadlines import RECENT_DAYS, first_tip_off, roster_hours_before
from prediction_assets.slate.keys import GAME_TIME_ZONE, is_simulated, parse_slate, slate_key
from prediction_assets.stores.alert import Alert
from prediction_assets.stores.protocols import AlertStore, BatchState, DeadLetters, Outbox, Warehouse
from prediction_assets.stores.sql import queries

SLATE_KINDS = frozenset({"no_receipt", "unpublished", "unacknowledged", "dead_letters"})
"""Kinds of findings about an opened batch that are kept as alerts."""

ROSTER_KINDS = frozenset({"no_roster"})

_EXPECTED_FOR = timedelta(days=1)
"""A roster that is older than this is no longer worth opening."""


@dataclass(frozen=True)
class SlateSources:
    """The stores that the slates are read from, and the store that keeps alerts."""

    warehouse: Warehouse
    batch_state: BatchState
    dead_letters: DeadLetters
    outbox: Outbox
    alerts: AlertStore


def look_at_slates(stores: SlateSources, settings: Settings, now: datetime) -> list[str]:
    """Keep the alerts of the recent slates; return the slates that were read.

    Raises:
        PredictionAssetsError: a slate couldn't be read; the alerts of the others are kept by then.
    """
    pages = Pages(settings.ui_url)
    kept = [alert for alert in stores.alerts.unsettled() if alert.is_open]
    recent = stores.batch_state.recent_slates(now - timedelta(days=RECENT_DAYS))
    slates = sorted({*recent, *(alert.slate for alert in kept if alert.slate and alert.kind in SLATE_KINDS)})
    found: list[Finding] = []
    unread: dict[str, PredictionAssetsError] = {}
    for slate in slates:
        try:
            progress = stores.batch_state.progress(slate)
            if progress is not None:
                entries = stores.outbox.entries(slate) if progress.receipt is not None else ()
                letters = stores.dead_letters.letters(slate)
                found += slate_findings(progress, entries, letters, now, pages)
                found += _unacknowledged(progress.batch, entries, stores.warehouse, settings, now)
        except PredictionAssetsError as error:
            unread[slate] = error
    open_keys = {alert.key for alert in kept}
    found = [finding for finding in found if not _is_known_from_its_run(finding, open_keys)]
    _keep(stores.alerts, found, _of_slates(kept, unread), SLATE_KINDS, now)
    _look_for_rosters(stores, settings, now, kept, unread)
    for unreadable in unread.values():
        raise unreadable
    return [slate for slate in slates if slate not in unread]


def slate_findings(
    progress: Progress,
    entries: Iterable[OutboxEntry],
    letters: Sequence[DeadLetter],
    now: datetime,
    pages: Pages,
) -> list[Finding]:
    """Return what is wrong with a slate for long enough to raise an alert.

    Args:
        entries: the slate's completion messages in the outbox.
        letters: the slate's open dead letters.
    """
    slate, receipt = progress.batch.slate, progress.receipt
    found = [not_consolidated(progress, now, pages), dead_letters(slate, letters, progress, pages)]
    if receipt is not None:
        entry = outbox_entry_of(receipt, entries)
        if entry is None or entry.delivery_id is None:
            found.append(unpublished(receipt, entry, now, pages))
    return [finding for finding in found if finding is not None and finding.alerts]


def _unacknowledged(
    batch: Batch, entries: Sequence[OutboxEntry], warehouse: Warehouse, settings: Settings, now: datetime
) -> list[Finding]:
    """Return the finding about a consumer that doesn't acknowledge; nobody consumes a simulated league."""
    came, within = handover(entries), timedelta(minutes=settings.acknowledge_minutes)
    if came.waiting_since is None or not within or is_simulated(batch.league):
        return []
    try:
        begins = read_first_tip_off(warehouse, batch.slate)
    except TransientError:  # another process writes to the warehouse
        begins = first_tip_off(batch.slate, None)
    found = unacknowledged(batch.slate, came, begins, within, now, Pages(settings.ui_url))
    return [found] if found is not None and found.alerts else []


def expected_rosters(settings: Settings, now: datetime) -> dict[str, datetime]:
    """Return the slates of the last 24 hours whose roster is late, with the hour that the schedule opens it."""
    expected: dict[str, datetime] = {}
    for hour in roster_hours_before(now - NO_ROSTER_AFTER, settings.roster_cron, settings.time_zone):
        if hour < now - _EXPECTED_FOR:
            break
        expected.setdefault(slate_key(hour.astimezone(GAME_TIME_ZONE).date()), hour)
    return expected


def _is_known_from_its_run(finding: Finding, open_keys: Collection[str]) -> bool:
    """Return whether the slate's failed completion run has an alert already, and this finding has none."""
    run = f"run:completion:{finding.slate}"
    return finding.kind == "unpublished" and run in open_keys and finding.key not in open_keys


def _look_for_rosters(
    stores: SlateSources, settings: Settings, now: datetime, kept: Iterable[Alert], unread: Collection[str]
) -> None:
    # Last, because only this opens the warehouse: the other alerts don't wait for a busy one.
    pages = Pages(settings.ui_url)
    missing: list[Finding] = []
    try:
        for slate, due in expected_rosters(settings, now).items():
            if slate in unread or stores.batch_state.progress(slate) is not None:
                continue  # a slate that can't be read was opened
            day = {"slate": parse_slate(slate)}
            if games := int(stores.warehouse.query(queries.SLATE_GAMES, day).num_rows):
                missing.append(no_roster(slate, games, due, now, pages))
    except TransientError:  # another process writes to the warehouse: the next look is soon
        return
    # A day later the roster isn't expected any more, but the alert lasts: it isn't there either.
    never_opened = [
        alert.key
        for alert in kept
        if alert.kind in ROSTER_KINDS
        and alert.slate
        and alert.slate not in unread
        and stores.batch_state.progress(alert.slate) is None
    ]
    _keep(stores.alerts, missing, never_opened, ROSTER_KINDS, now)


def _of_slates(alerts: Iterable[Alert], slates: Collection[str]) -> list[str]:
    return [alert.key for alert in alerts if alert.slate in slates]


def _keep(
    store: AlertStore,
    found: Iterable[Finding],
    lasting: Iterable[str],
    kinds: Collection[str],
    now: datetime,
) -> None:
    """Open the findings' alerts, and mark as recovered the others of these kinds, except the lasting keys."""
    still_open = set(lasting)
    for finding in found:
        store.change(finding.key, opened(finding, now))
        still_open.add(finding.key)
    for key in over(store.unsettled(), still_open, kinds):
        store.change(key, recovered(now))

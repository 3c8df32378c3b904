"""What the slates' state tells: late, not announced, too many failures, no roster; kept as alerts.

Reads batch state, the outbox and the dead letters, and the warehouse only when a roster is missing. What
couldn't be read is not judged: no alert, and no recovery either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prediction_assets.errors import PredictionAssetsError, TransientError
from prediction_assets.monitoring.alert_lifecycle import opened, over, recovered
from prediction_assets.monitoring.incidents import (
    SLATE_KINDS,
    Limits,
    Pages,
    SlateState,
    missing_roster,
    slate_incidents,
)
from prediction_assets.settings import Settings
from prediction_assets.slate.completion_message import is_announced
from prediction_assets.slate.deadlines import RECENT_DAYS, roster_hours_before
from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate, slate_key
from prediction_assets.stores.alert import Alert, Incident
from prediction_assets.stores.protocols import AlertStore, BatchState, DeadLetters, Outbox, Warehouse
from prediction_assets.stores.sql import queries

LIMITS = Limits(
    receipt_after_deadline=timedelta(minutes=5),
    completion_after_receipt=timedelta(minutes=10),
    dead_letters=5,
)
"""What a slate may take, and how many of its dead letters may be open, before an alert is raised."""

ROSTER_OVERDUE = timedelta(hours=1)
"""How long after ``roster_cron`` a missing roster is an alert."""


@dataclass(frozen=True)
class SlateSources:
    """The stores that the slates' state is read from, and where alerts are kept."""

    warehouse: Warehouse
    batch_state: BatchState
    dead_letters: DeadLetters
    outbox: Outbox
    alerts: AlertStore


def look_at_slates(stores: SlateSources, settings: Settings, now: datetime) -> list[str]:
    """Keep what the recent slates' state tells; return the slates that were looked at.

    Raises:
        PredictionAssetsError: some slate couldn't be read; what the others tell is kept by then.
    """
    pages = Pages(settings.ui_url)
    store = stores.alerts
    lasting = store.unsettled()
    state = stores.batch_state
    recent = state.recent_slates(now - timedelta(days=RECENT_DAYS))
    of_alerts = {
        alert.incident.slate
        for alert in lasting
        if alert.is_open and alert.incident.slate and alert.incident.kind in SLATE_KINDS
    }
    slates = sorted({*recent, *of_alerts})
    # A completion run that failed has said already that the slate isn't announced, unless this was said first.
    open_keys = {alert.incident.key for alert in lasting if alert.is_open}
    told_by_run = {
        slate
        for slate in slates
        if f"run:completion:{slate}" in open_keys and f"unpublished:{slate}" not in open_keys
    }
    states, unread = _states(stores, slates)
    found = [
        incident
        for slate, seen in states.items()
        for incident in slate_incidents(seen, now, LIMITS, pages)
        if not (incident.kind == "unpublished" and slate in told_by_run)
    ]
    as_they_are = [
        alert.incident
        for alert in lasting
        if alert.is_open and alert.incident.kind in SLATE_KINDS and alert.incident.slate in unread
    ]
    _keep(store, [*as_they_are, *found], SLATE_KINDS, now)
    _look_for_rosters(stores, settings, now, lasting, unread)
    for error in unread.values():
        raise error
    return [slate for slate in slates if slate not in unread]


def _look_for_rosters(
    stores: SlateSources,
    settings: Settings,
    now: datetime,
    lasting: Sequence[Alert],
    unread: Mapping[str, PredictionAssetsError],
) -> None:
    pages, state = Pages(settings.ui_url), stores.batch_state
    # Last: of these it alone opens the warehouse, and what batch state tells doesn't wait for that.
    try:
        missing = _missing_roster(stores, settings, now, pages, unread)
    except TransientError:  # somebody writes to the warehouse: the next look will tell
        return
    # A day later nobody expects that roster any more, but it isn't there either.
    never_came = [
        alert.incident
        for alert in lasting
        if alert.is_open
        and alert.incident.kind == "no_roster"
        and alert.incident.slate not in unread
        and _never_opened(state, alert.incident.slate or "")
    ]
    _keep(stores.alerts, [*never_came, *missing], frozenset({"no_roster"}), now)


def _states(
    stores: SlateSources, slates: Sequence[str]
) -> tuple[dict[str, SlateState], dict[str, PredictionAssetsError]]:
    """Return the state of each slate, and the errors of those that can't be read."""
    states: dict[str, SlateState] = {}
    unread: dict[str, PredictionAssetsError] = {}
    for slate in slates:
        try:
            seen = _state(stores, slate)
        except PredictionAssetsError as error:
            unread[slate] = error
        else:
            if seen is not None:
                states[slate] = seen
    return states, unread


def _keep(store: AlertStore, found: Sequence[Incident], judged: frozenset[str], now: datetime) -> None:
    """Keep the incidents that were found, and the end of those of the kinds judged that weren't."""
    for incident in found:
        store.change(incident.key, opened(incident, now))
    for key in over(store.unsettled(), {incident.key for incident in found}, judged):
        store.change(key, recovered(now))


def _state(stores: SlateSources, slate: str) -> SlateState | None:
    progress = stores.batch_state.progress(slate)
    if progress is None:
        return None
    announced = progress.receipt is not None and is_announced(progress.receipt, stores.outbox.entries(slate))
    return SlateState(progress, announced, stores.dead_letters.letters(slate))


def _missing_roster(
    stores: SlateSources,
    settings: Settings,
    now: datetime,
    pages: Pages,
    unread: Mapping[str, PredictionAssetsError],
) -> list[Incident]:
    """Return the incident of each slate that has games and no batch although its hour has passed."""
    expected = expected_rosters(settings, now)
    return [
        missing_roster(slate, games, at, pages)
        for slate, at in expected.items()
        if slate not in unread  # it was opened, or it couldn't be unreadable
        and _never_opened(stores.batch_state, slate)
        and (games := _games(stores, slate))
    ]


def expected_rosters(settings: Settings, now: datetime) -> dict[str, datetime]:
    """Return the slates whose roster should be there by now, with the hour that the schedule asked for them.

    Those of the last 24 hours: what is older is no longer worth a roster.
    """
    latest = now - ROSTER_OVERDUE
    expected: dict[str, datetime] = {}
    for hour in roster_hours_before(latest, settings.roster_cron, settings.time_zone):
        if hour < now - timedelta(days=1):
            break
        expected.setdefault(slate_key(hour.astimezone(GAME_TIME_ZONE).date()), hour)
    return expected


def _never_opened(state: BatchState, slate: str) -> bool:
    return state.progress(slate) is None


def _games(stores: SlateSources, slate: str) -> int:
    return int(stores.warehouse.query(queries.SLATE_GAMES, {"slate": parse_slate(slate)}).num_rows)

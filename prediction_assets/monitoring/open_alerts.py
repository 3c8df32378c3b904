"""Keeps the open findings as alerts: what is found is opened, and what is over is marked as recovered.

The findings are the health report's, from the same reader; the warehouse is opened only for a missing roster or
acknowledgement, and for what changed in the facts. What can't be read neither opens nor ends an alert.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prediction_assets.monitoring.alert_lifecycle import opened, recovered
from prediction_assets.monitoring.evaluate import open_findings
from prediction_assets.monitoring.finding_kinds import EVENTS
from prediction_assets.monitoring.findings import Finding
from prediction_assets.monitoring.health_facts import HealthFacts, InstanceFacts, RecentFailure, Unreadable
from prediction_assets.monitoring.reader import Sources, read_facts
from prediction_assets.monitoring.run_findings import key_of
from prediction_assets.monitoring.stale_findings import refreshes, stale_predictions
from prediction_assets.monitoring.thresholds import NO_ROSTER_AFTER, ROSTER_EXPECTED_FOR
from prediction_assets.settings import Settings
from prediction_assets.slate.audits import AUDITS
from prediction_assets.slate.deadlines import RECENT_DAYS, end_of_slate, roster_hours_before
from prediction_assets.slate.keys import GAME_TIME_ZONE, is_slate, slate_key
from prediction_assets.stores.alert import Alert, Severity
from prediction_assets.stores.protocols import AlertStore

_WINDOW = timedelta(days=RECENT_DAYS)
"""An alert on a failure that is older expires: nothing is heard of it again."""

_OF_FAILURES = frozenset({"run", "tick", "check", "empty_merge"})
"""Kinds that end when the work succeeds, and not when its failure is forgotten."""


_STALE = frozenset({"out_in_force", "line_gone", "older_facts"})


@dataclass(frozen=True)
class Look:
    """What one look found."""

    slates: tuple[str, ...]  # the slates that were read
    unread: tuple[str, ...]  # what couldn't be read, one line each, apart from a warehouse that was busy
    # what of each revision in force doesn't follow its facts, by the revision's name; of the slates whose
    # games are still to come
    stale: Mapping[str, tuple[Finding, ...]]


def look(sources: Sources, alerts: AlertStore, *, leave_out: Collection[str] = ()) -> Look:
    """Keep the alerts of the recent slates and of the installation.

    Args:
        leave_out: sensors whose ticks are left out: the caller's own tick hasn't ended.
    """
    now = sources.clock.now()
    unsettled = alerts.unsettled()
    kept = [alert for alert in unsettled if alert.is_open]
    instance = _instance(sources, now, leave_out)
    failures = instance.failures if isinstance(instance, InstanceFacts) else ()
    today = slate_key(now.astimezone(GAME_TIME_ZONE).date())
    slates = sorted({today, *_slates(sources, kept, failures, now)})
    found: list[Finding] = []
    over: set[str] = set()
    unread: list[str] = []
    stale: dict[str, tuple[Finding, ...]] = {}
    for slate in slates:
        # What belongs to no slate, or to one that was never opened, is looked at once, with today's.
        mine = instance
        if isinstance(instance, InstanceFacts):
            is_mine = [f for f in failures if f.slate == slate or (slate == today and f.slate not in slates)]
            rest = instance if slate == today else InstanceFacts((), None, ())
            mine = replace(rest, failures=tuple(is_mine))
        facts = read_facts(replace(sources, instance=mine), slate, _WINDOW, warehouse=False)
        problems = [
            each
            for each in (facts.progress, facts.schedule, facts.messages, facts.dead_letters, facts.instance)
            if isinstance(each, Unreadable)
        ]
        unread += [problem.error for problem in problems if not problem.is_transient]
        if not problems:
            of_this = open_findings(facts, {alert.key for alert in kept})
            found += [*of_this, *refreshes(facts)]
            ended = _over(facts, kept, is_today=slate == today)
            if isinstance(facts.tonight, Unreadable):  # a busy warehouse: the next look is soon
                ended = {key for key in ended if not key.startswith("stale:")}
            stale |= not_followed(facts)
            # An alert doesn't end because the facts changed once more.
            over |= ended - {f.key for f in (*of_this, *stale_predictions(facts))}
    _keep(alerts, unsettled, found, over, now)
    return Look(tuple(slates), tuple(dict.fromkeys(unread)), stale)


def not_followed(facts: HealthFacts) -> dict[str, tuple[Finding, ...]]:
    """Return what of a slate doesn't follow its facts, by the name of the revision in force; nothing if it is over."""
    if facts.receipt is None or isinstance(facts.stale, Unreadable) or facts.now >= end_of_slate(facts.slate):
        return {}
    name = f"slate {facts.slate}, revision {facts.receipt.revision}"
    return {name: tuple(f for f in stale_predictions(facts) if f.severity is not Severity.OK)}


def _over(facts: HealthFacts, kept: Iterable[Alert], *, is_today: bool) -> set[str]:
    """Return the open alerts that these facts can end: the slate's, and with today's slate the installation's."""
    ended: set[str] = set()
    if isinstance(facts.instance, InstanceFacts):
        for failure in facts.instance.failures:
            if failure.recovered:
                ended.add(key_of(failure))
                ended |= {f"check:predictions:{audit.name}:{failure.slate}" for audit in AUDITS}
                ended.add(f"empty_merge:{failure.slate}")
        ended |= {f"check:{check.asset}:{check.name}" for check in facts.instance.checks if check.passed}
    return {
        alert.key
        for alert in kept
        if (alert.slate == facts.slate or is_today)
        and alert.kind not in EVENTS
        and not (alert.kind in _STALE and isinstance(facts.stale, Unreadable))
        and (
            alert.key in ended
            if alert.kind in _OF_FAILURES
            else alert.slate == facts.slate or (alert.slate is None and facts.instance is not None)
        )
    }


def _keep(
    alerts: AlertStore,
    unsettled: Iterable[Alert],
    found: Iterable[Finding],
    over: Iterable[str],
    now: datetime,
) -> None:
    """Open the findings' alerts, and mark those that are over as recovered.

    Most looks change none, and a store bills each read: so the unsettled alerts are read once.
    """
    known = {alert.key: alert for alert in unsettled}
    changes = [(finding.key, opened(finding, now)) for finding in found]
    changes += [(key, recovered(now)) for key in over]
    for key, change in changes:
        before = known.get(key)
        if change(before) is not before:
            alerts.change(key, change)


def expected_rosters(settings: Settings, now: datetime) -> dict[str, datetime]:
    """Return the slates of the last 24 hours whose roster is late, with the hour that the schedule opens it."""
    expected: dict[str, datetime] = {}
    for hour in roster_hours_before(now - NO_ROSTER_AFTER, settings.roster_cron, settings.time_zone):
        if hour < now - ROSTER_EXPECTED_FOR:
            break
        expected.setdefault(slate_key(hour.astimezone(GAME_TIME_ZONE).date()), hour)
    return expected


def _slates(
    sources: Sources, kept: Iterable[Alert], failures: Iterable[RecentFailure], now: datetime
) -> set[str]:
    """Return the recent slates, those that a roster is late for, and those with an alert or a failed run."""
    recent = sources.stores.batch_state.recent_slates(now - _WINDOW)
    named = {alert.slate for alert in kept} | {failure.slate for failure in failures}
    opened = {
        slate
        for slate in named - {*recent}
        if slate and is_slate(slate) and sources.stores.batch_state.progress(slate)
    }
    return {*recent, *opened, *expected_rosters(sources.settings, now)}


def _instance(
    sources: Sources, now: datetime, leave_out: Collection[str]
) -> InstanceFacts | Unreadable | None:
    read = sources.instance
    if read is None or isinstance(read, (InstanceFacts, Unreadable)):
        return read
    facts = read(None, now, _WINDOW)
    return replace(facts, failures=tuple(f for f in facts.failures if f.page[2] not in leave_out))

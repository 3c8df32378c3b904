"""Old records: closed dead letters, delivered messages, settled alerts.

Open, pending and unsettled records stay, however old they are. Each slate's newest message stays, too: it shows
`phase5_completion`, the morning check and a repeated run that the slate was announced. Open dead letters of a
slate at rest expire, because sensors read all open ones at every tick.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from prediction_assets.retention.kinds import History, Pruned
from prediction_assets.retention.slates import SlatesAtRest
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.dead_letter import Closing, DeadLetter

RECORDS_PER_SLICE = 1_000
"""Records of a kind that one slice prunes."""


def old_letters(letters: Iterable[DeadLetter], before: datetime) -> list[DeadLetter]:
    """Return the closed letters whose newest failure is before a moment."""
    return [letter for letter in letters if letter.closed is not None and letter.last_seen < before]


def old_messages(entries: Iterable[OutboxEntry], before: datetime) -> list[OutboxEntry]:
    """Return the messages that were delivered before a moment, or replaced by one that was, except a slate's newest.

    The newest also holds the highest revision that its slate has seen.
    """
    newest: dict[str, OutboxEntry] = {}
    listed = list(entries)
    for entry in listed:
        held = newest.get(entry.slate)
        if held is None or entry.revision >= held.revision:
            newest[entry.slate] = entry

    def is_old(entry: OutboxEntry) -> bool:
        # A replaced message was never delivered: it is as old as its slate's newest one.
        at = entry.delivered_at or (newest[entry.slate].delivered_at if entry.replaced_by else None)
        return at is not None and at < before

    return [entry for entry in listed if entry is not newest[entry.slate] and is_old(entry)]


def prune_dead_letters(history: History, keep_days: int, dry_run: bool) -> Pruned:
    found = old_letters(history.letters.letters(include_closed=True), history.before(keep_days))
    now = found[:RECORDS_PER_SLICE]
    by_slate = _slugs_by_slate(now)
    if not dry_run:
        for slate, slugs in by_slate.items():
            history.letters.drop_closed(slate, slugs)
    return Pruned(len(now), tuple(by_slate), left=len(found) - len(now))


def expire_dead_letters(history: History, days: int, dry_run: bool) -> Pruned:
    """Close one slice of the open letters of slates at rest whose newest failure is older than the days."""
    waiting = [x for x in history.letters.letters() if x.last_seen < history.before(days)]
    if not waiting:
        return Pruned(0)
    at_rest = SlatesAtRest(history)
    reasons = {slate: at_rest.reason_to_keep(slate) for slate in sorted({x.slate for x in waiting})}
    found = [letter for letter in waiting if reasons[letter.slate] is None]
    now = found[:RECORDS_PER_SLICE]
    by_slate = _slugs_by_slate(now)
    if not dry_run:
        for slate, slugs in by_slate.items():
            mine = {x.player_slug: x.newest.fence for x in now if x.slate == slate and x.player_slug in slugs}
            history.letters.close(slate, mine, Closing.EXPIRED)
    kept = {slate: reason for slate, reason in reasons.items() if reason is not None}
    return Pruned(len(now), tuple(by_slate), kept=kept, left=len(found) - len(now))


def _slugs_by_slate(letters: Iterable[DeadLetter]) -> dict[str, list[str]]:
    return {
        slate: [letter.player_slug for letter in found]
        for slate, found in groupby(letters, key=lambda letter: letter.slate)
    }


def prune_messages(history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Prune one slice of the delivered messages, except each slate's newest."""
    found = old_messages(history.outbox.entries(), history.before(keep_days))
    now = found[:RECORDS_PER_SLICE]
    removed = len(now) if dry_run else history.outbox.drop_delivered([entry.message_id for entry in now])
    return Pruned(removed, tuple(sorted({entry.slate for entry in now})), left=len(found) - len(now))


def prune_alerts(history: History, keep_days: int, dry_run: bool) -> Pruned:
    found = history.alerts.settled_before(history.before(keep_days))
    now = found[:RECORDS_PER_SLICE]
    removed = len(now) if dry_run else history.alerts.drop_settled([alert.key for alert in now])
    return Pruned(removed, left=len(found) - len(now))

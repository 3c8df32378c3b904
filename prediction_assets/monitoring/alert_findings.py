"""The findings that alerts keep too: no roster, no receipt, not announced, not acknowledged, dead letters.

Pure functions of what batch state, outbox and dead letters hold, so that a look for alerts rarely opens the warehouse.
A finding's severity grows with the time that it lasts; ``alerts`` is set when its threshold is passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from prediction_assets.errors import one_line
from prediction_assets.monitoring.findings import Finding, Pages, count, replay_command, run_command, utc
from prediction_assets.monitoring.thresholds import (
    DEAD_LETTERS,
    GRACE,
    NO_RECEIPT_AFTER,
    NO_ROSTER_AFTER,
    UNPUBLISHED_AFTER,
)
from prediction_assets.slate.acknowledgement import Handover, acknowledgement_due
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.dead_letter import DeadLetter, common_cause
from prediction_assets.slate.deadlines import end_of_slate, is_recent
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.alert import Severity

_LONGEST = 300
"""Characters of an error in a line; it may be a page long."""


def no_roster(slate: str, games: int, due: datetime | None, now: datetime, pages: Pages) -> Finding:
    """Return the finding for a slate with games and no batch.

    Args:
        due: when the schedule opens the batch; None for a simulated league, whose slates have no hour.
    """
    key, evidence = f"no_roster:{slate}", {"games": games, "roster_due": utc(due)}
    if due is not None and now < due:
        line = f"not open yet; the roster is due at {utc(due)}"
        return Finding(key, Severity.INFO, line, slate, evidence=evidence)
    late = due is not None and now >= due + NO_ROSTER_AFTER
    when = "" if due is None else f", it was due at {utc(due)}"
    return Finding(
        key,
        Severity.CRITICAL if late else Severity.ERROR,
        f"{count(games, 'game')} and no roster{when}: slate_roster wasn't materialized",
        slate,
        command=run_command(slate),
        evidence=evidence,
        link=pages.asset("slate_roster"),
        alerts=late,
    )


def not_consolidated(progress: Progress, now: datetime, pages: Pages) -> Finding | None:
    """Return what a batch still lacks; None when nothing is left to do."""
    step, batch = next_step(progress, now), progress.batch
    if step is Step.NOTHING:
        return None
    slate, evidence = batch.slate, {"next_step": step.value, "deadline": utc(batch.deadline)}
    key = f"no_receipt:{slate}" if progress.receipt is None else f"outdated_receipt:{slate}"
    late = progress.receipt is None and now >= batch.deadline + NO_RECEIPT_AFTER
    if not late and is_under_way(progress, now):
        line = f"not complete: the next step is {step.value}, and it isn't late yet"
        return Finding(key, Severity.INFO, line, slate, evidence=evidence)
    if late:
        settled = len(batch.expected) - len(progress.unsettled)
        line = (
            f"{count(batch.games, 'game')} and no checked consolidation at the deadline {utc(batch.deadline)}; "
            f"{settled} of {count(len(batch.expected), 'player')} settled, the next step is {step.value}"
        )
    else:
        line = f"not complete: players settled after the newest consolidation, the next step is {step.value}"
    return Finding(
        key,
        Severity.CRITICAL if late else Severity.ERROR,
        line,
        slate,
        command=run_command(slate),
        evidence=evidence,
        link=pages.partition("predictions", slate),
        alerts=late,
    )


def unpublished(receipt: Receipt, entry: OutboxEntry | None, now: datetime, pages: Pages) -> Finding:
    """Return the finding for a receipt whose completion message isn't delivered.

    Args:
        entry: the completion message in the outbox, None when it isn't there.
    """
    slate, since = receipt.slate, receipt.consolidated_at
    key = f"unpublished:{slate}"
    what = (
        "the completion message wasn't published"
        if entry is None
        else "the completion message wasn't delivered"
    )
    line = f"consolidated at {utc(since)} and not announced: {what}"
    if is_recent(since, now, GRACE):
        return Finding(key, Severity.INFO, line, slate)
    late = now >= since + UNPUBLISHED_AFTER
    return Finding(
        key,
        Severity.CRITICAL if late else Severity.ERROR,
        f"{line}; phase 6 waits",
        slate,
        command=f"prediction-assets republish --slate {slate}",
        link=pages.partition("phase5_completion", slate),
        alerts=late,
    )


def unacknowledged(
    slate: str, came: Handover, first_tip_off: datetime, within: timedelta, now: datetime, pages: Pages
) -> Finding | None:
    """Return the finding for a delivered revision that phase 6 hasn't acknowledged; None when none waits.

    Args:
        first_tip_off: of the slate.
        within: how long phase 6 may take; zero when no consumer acknowledges here.
    """
    if came.waiting_since is None or not within:
        return None
    due = acknowledgement_due(came.waiting_since, first_tip_off, within)
    key, since = f"unacknowledged:{slate}", utc(came.waiting_since)
    evidence = {
        "delivered_revision": came.revision,
        "acknowledged_revision": came.acknowledged or None,
        "waiting_since": since,
        "acknowledgement_due": utc(due),
        "first_tip_off": utc(first_tip_off),
    }
    if now < due:
        line = f"delivered at {since}; phase 6 has until {utc(due)} to acknowledge it"
        return Finding(key, Severity.OK, line, slate, evidence=evidence)
    has = f"it has revision {came.acknowledged}" if came.acknowledged else "it has none of the slate"
    begins = "begins" if now < first_tip_off else "began"
    line = (
        f"revision {came.revision} is delivered and not acknowledged, since {since}: phase 6 may be down ({has}); the "
        f"first game {begins} at {utc(first_tip_off)}"
    )
    # A slate that is run after its games is nobody's emergency.
    late = came.waiting_since < end_of_slate(slate)
    return Finding(
        key,
        Severity.CRITICAL if late else Severity.WARNING,
        line,
        slate,
        command=f"prediction-assets republish --slate {slate}",
        evidence=evidence,
        link=pages.partition("phase5_completion", slate),
        alerts=late,
    )


def dead_letters(
    slate: str, letters: Sequence[DeadLetter], progress: Progress | None, pages: Pages
) -> Finding | None:
    """Return one finding for all of a slate's open dead letters; None without any."""
    if not letters:
        return None
    expected = len(progress.batch.expected) if progress is not None else None
    alike = None if expected is None else common_cause(letters, expected)
    shown = alike or max(letters, key=lambda letter: letter.last_seen)
    many = len(letters) > DEAD_LETTERS
    players = "" if expected is None else f" of {count(expected, 'player')}"
    why = "most with one cause" if alike else f"newest {shown.player_slug}"
    error = one_line(f"{shown.newest.error_class}: {shown.newest.message}", _LONGEST)
    return Finding(
        f"dead_letters:{slate}",
        Severity.CRITICAL if alike else Severity.ERROR if many else Severity.WARNING,
        f"{count(len(letters), 'dead letter')} open{players}, {why}: {error}",
        slate,
        command=replay_command(slate),
        link=pages.asset("dead_letters"),
        alerts=alike is not None or many,
    )


def is_under_way(progress: Progress, now: datetime) -> bool:
    """Return whether the batch still has time: before its deadline, or a moment after it or the newest outcome."""
    moments = [progress.batch.deadline, *(done.recorded_at for done in progress.outcomes.values())]
    return now < progress.batch.deadline or is_recent(max(moments), now, GRACE)

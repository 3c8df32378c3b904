"""Is the batch open, are its players settled, is nothing left to do? From batch state and the schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from prediction_assets.monitoring.finding_kinds import CRITICAL, ERROR, INFO, WARNING
from prediction_assets.monitoring.findings import SHOWN, Finding, count, utc
from prediction_assets.monitoring.health_facts import HealthFacts, ScheduleFacts, Unreadable, WarehouseFacts
from prediction_assets.monitoring.thresholds import (
    GRACE,
    NO_RECEIPT_AFTER,
    NO_ROSTER_AFTER,
    RATE_OVER,
    ROSTER_EXPECTED_FOR,
)
from prediction_assets.slate.audits import AUDITS
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry, outbox_entry_of
from prediction_assets.slate.deadlines import is_recent
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome


def unreadable(facts: HealthFacts, what: Unreadable) -> Finding:
    evidence = {"source": what.source, "error": what.error}
    found = facts.found("unreadable", f"can't be read: {what.error}", evidence)
    return replace(found, key=f"unreadable:{what.error}")  # one damaged file may be several sources


def is_under_way(facts: HealthFacts, progress: Progress) -> bool:
    """Return whether the batch still has time: before its deadline, or a moment after it or the newest outcome."""
    moments = [progress.batch.deadline, *(done.recorded_at for done in progress.outcomes.values())]
    return facts.now < progress.batch.deadline or is_recent(max(moments), facts.now, GRACE)


def is_without_games(facts: HealthFacts) -> bool:
    """Return whether the schedule, and the batch that it led to, has no games on the slate.

    Not when a receipt exists: after games that were called off, a consolidated slate has rows in force to retract.
    """
    schedule, progress = facts.schedule, facts.progress
    if (
        facts.receipt is not None
        or isinstance(progress, Unreadable)
        or isinstance(facts.warehouse, Unreadable)
    ):
        return False
    if progress is not None and progress.batch.expected:
        return False
    if isinstance(schedule, ScheduleFacts):
        return schedule.last_slate is not None and schedule.games == 0
    return schedule is None and progress is not None and progress.batch.games == 0


def is_done(facts: HealthFacts) -> bool:
    """Return whether nothing is left to do for the slate: its newest content is announced, or it has no games."""
    return announced_at(facts.progress, facts.messages, facts.now) is not None or is_without_games(facts)


def announced_at(
    progress: Progress | Unreadable | None, messages: Sequence[OutboxEntry] | Unreadable, now: datetime
) -> datetime | None:
    """Return when a batch's newest content was delivered; None while anything is left to do, or nobody knows."""
    if not isinstance(progress, Progress) or progress.receipt is None or isinstance(messages, Unreadable):
        return None
    entry = outbox_entry_of(progress.receipt, messages)
    return entry.delivered_at if entry is not None and next_step(progress, now) is Step.NOTHING else None


def never_opened(facts: HealthFacts) -> bool:
    """Return whether the slate is of a day that is over and was never opened: nobody waits for it any more."""
    return (
        facts.progress is None
        and facts.receipt is None
        and facts.roster_due is not None
        and facts.now >= facts.roster_due + ROSTER_EXPECTED_FOR
    )


def waiting(facts: HealthFacts, name: str, line: str) -> Finding:
    """Return the finding about facts that aren't there yet: info until they are due, then an error.

    Its cause is that the roster is missing, or that the batch wasn't consolidated.
    """
    progress = facts.progress
    if isinstance(progress, Unreadable):
        return unreadable(facts, progress)
    if never_opened(facts):
        return facts.fine(name, f"{line}; the slate was never opened")
    due: datetime | None
    if progress is None:
        due, is_due = facts.roster_due, facts.roster_due is None or facts.now >= facts.roster_due
    elif progress.receipt is None and next_step(progress, facts.now) is Step.NOTHING:
        return facts.fine(name, f"{line}; every expected player is skipped: nothing to predict")
    else:
        due, is_due = progress.batch.deadline, not is_under_way(facts, progress)
    return facts.found(
        "nothing_yet",
        line if is_due else f"{line}; due at {facts.at(due)}",
        {"due": utc(due)},
        severity=ERROR if is_due else INFO,
        causes=facts.causes("no_schedule", "no_roster", "no_receipt"),
        about=name,
    )


def batch_opened(facts: HealthFacts) -> Finding:
    """The slate's batch is open, with the games that the schedule has, and the games before them have game logs."""
    progress, schedule = facts.progress, facts.schedule
    if not isinstance(progress, Progress):
        return _not_opened(facts)
    batch = progress.batch
    evidence = {
        "batch_id": batch.batch_id,
        "games": batch.games,
        "expected_players": len(batch.expected),
        "opened_at": utc(batch.opened_at),
        "deadline": utc(batch.deadline),
    }
    line = (
        f"{count(batch.games, 'game')}, {count(len(batch.expected), 'expected player')}, "
        f"opened at {facts.at(batch.opened_at)}"
    )
    if isinstance(schedule, ScheduleFacts):
        if schedule.games != batch.games:
            said = f"opened with {count(batch.games, 'game')}, the schedule now has {schedule.games}"
            return facts.found("games_changed", said, {**evidence, "games_in_schedule": schedule.games})
        if _stands_in(facts, schedule):
            return _after_the_schedule(facts, schedule, f"{line}; ", evidence)
    stored = facts.warehouse if isinstance(facts.warehouse, WarehouseFacts) else None
    logs, hole = (stored.without_logs, stored.without_schedule) if stored is not None else (None, None)
    if logs is not None and logs.games:
        verb = "have" if logs.games > 1 else "has"
        return facts.found(
            "no_game_logs",
            f"{line}; but {count(logs.games, 'game')} since {logs.since} {verb} no game logs",
            {**evidence, "games_without_logs": logs.games, "without_logs_since": str(logs.since)},
        )
    if hole is not None:
        said = f"{line}; but no game is known from {hole[0]} to {hole[1]}, which is longer than any break"
        return facts.found("schedule_hole", said, {**evidence, "hole": [str(day) for day in hole]})
    return facts.fine("batch_opened", line, evidence)


def _not_opened(facts: HealthFacts) -> Finding:
    """Return the finding for a slate without a batch: not due yet, late, or of a day that is over."""
    schedule, due, now = facts.schedule, facts.roster_due, facts.now
    if schedule is None:
        return facts.found("no_roster", "not open yet, and not late", severity=INFO)
    if isinstance(schedule, Unreadable):
        said = f"no batch, and the schedule can't be read: {schedule.error}"
        return facts.found("no_roster", said, causes=(f"unreadable:{schedule.error}",))
    if schedule.last_slate is None:
        return facts.found("no_schedule", "no batch, and no schedule was ingested", slate=None)
    evidence = {"games": schedule.games, "roster_due": utc(due)}
    if due is not None and now < due:
        return facts.found(
            "no_roster", f"not open yet; the roster is due at {facts.at(due)}", evidence, severity=INFO
        )
    games = count(schedule.games, "game")
    if never_opened(facts):
        return facts.found("never_opened", f"{games}, and the slate was never opened", evidence)
    late = due is not None and now >= due + NO_ROSTER_AFTER
    when = "" if due is None else f", it was due at {facts.at(due)}"
    return facts.found(
        "no_roster",
        f"{games} and no roster{when}: slate_roster wasn't materialized",
        evidence,
        severity=CRITICAL if late else ERROR,
        causes=facts.causes("run:roster"),
    )


def _stands_in(facts: HealthFacts, schedule: ScheduleFacts) -> bool:
    """Return whether the slate stands in for tonight because the schedule ended before it."""
    return (
        not facts.named
        and facts.roster_due is not None
        and schedule.last_slate is not None
        and (facts.now.date() - schedule.last_slate).days > 1
    )


def _after_the_schedule(
    facts: HealthFacts, schedule: ScheduleFacts, before: str, evidence: dict[str, object]
) -> Finding:
    if schedule.off_season:
        return facts.fine("batch_opened", f"{before}out of season: {_until(schedule)}", evidence)
    return facts.found(
        "schedule_ended",
        f"{before}the schedule ends on {schedule.last_slate}, so it has no games of tonight",
        {**evidence, "schedule_ends": str(schedule.last_slate)},
        slate=None,
    )


def without_games(facts: HealthFacts) -> Finding:
    """Return what is said of a day without games: no games, out of season, or a schedule that ended."""
    schedule = facts.schedule
    if isinstance(schedule, ScheduleFacts) and not facts.named:
        if schedule.off_season:
            return facts.fine("batch_opened", f"out of season: {_until(schedule)}")
        if not schedule.covered:
            return _after_the_schedule(facts, schedule, "", {})
    return facts.fine("batch_opened", f"no games on {facts.slate}: nothing to do")


def _until(schedule: ScheduleFacts) -> str:
    return (
        f"no game until {schedule.following}"
        if schedule.following
        else f"the last game was on {schedule.last_slate}"
    )


def players_settled(facts: HealthFacts) -> Finding:
    """Every expected player has an outcome, and enough of them are staged."""
    progress = facts.progress
    if not isinstance(progress, Progress):
        return waiting(facts, "unsettled", "nobody is expected yet")
    expected, settled = len(progress.batch.expected), len(progress.outcomes)
    staged, skipped = progress.count(Outcome.STAGED), progress.count(Outcome.SKIPPED)
    failed = progress.count(Outcome.FAILED)
    moments = sorted(done.recorded_at for done in progress.outcomes.values())
    newest = moments[-1] if moments else progress.batch.opened_at
    late = facts.now >= progress.batch.deadline
    rate = None if late or not progress.unsettled else _players_a_minute(facts, progress, moments)
    without = failed + (len(progress.unsettled) if late else 0)
    share = staged / (staged + without) if staged + without else 1.0
    by_slug = sorted(progress.outcomes.items())
    evidence = {
        "expected": expected, "settled": settled, "staged": staged, "skipped": skipped, "failed": failed,
        "unsettled": list(progress.unsettled[:SHOWN]), "players_per_minute": rate,
        "newest_outcome": utc(newest) if moments else None,
        "failures": [f"{slug}: {c.reason}" for slug, c in by_slug if c.outcome is Outcome.FAILED][:SHOWN],
        "skips": [slug for slug, c in by_slug if c.outcome is Outcome.SKIPPED][:SHOWN],
    }  # fmt: skip
    line = f"{settled} of {expected} settled: {staged} staged, {skipped} skipped, {failed} failed"
    if progress.unsettled and not late:
        stuck = facts.now - newest > facts.window
        if stuck:
            line += f"; none since {facts.at(newest)}"
        elif rate:
            left = max(1, round(len(progress.unsettled) / rate))
            line += f"; {rate:g} players a minute, {count(left, 'minute')} to go"
        return facts.found(
            "unsettled",
            f"{line}; deadline at {facts.at(progress.batch.deadline)}",
            evidence,
            severity=WARNING if stuck else INFO,
        )
    if not expected or not without:
        return facts.fine("unsettled", line, evidence)
    enough = staged > 0 and share >= facts.rules.minimum_staged_share
    if not enough:
        line += f"; less than the minimum share of {facts.rules.minimum_staged_share:.0%} is staged"
    return facts.found(
        "failed_players" if failed else "unsettled",
        line,
        evidence,
        severity=WARNING if enough else ERROR,
        causes=() if failed else facts.causes("no_receipt"),
    )


def _players_a_minute(facts: HealthFacts, progress: Progress, moments: list[datetime]) -> float | None:
    """Return how fast players settle now: those of the last minutes, by the time since the batch was opened at most."""
    span = min(RATE_OVER, facts.now - progress.batch.opened_at)
    lately = sum(facts.now - span <= moment <= facts.now for moment in moments)
    minutes = span.total_seconds() / 60
    return round(lately / minutes, 1) if lately and minutes > 0 else None


def batch_complete(facts: HealthFacts) -> Finding:
    """Nothing is left to do: the newest outcomes are the ones that were consolidated."""
    progress, now = facts.progress, facts.now
    if not isinstance(progress, Progress):
        return waiting(facts, "complete", "no batch yet")
    step, batch = next_step(progress, now), progress.batch
    evidence = {"next_step": step.value, "deadline": utc(batch.deadline)}
    if step is Step.NOTHING:
        return facts.fine("complete", "complete: nothing is left to do", evidence)
    late = progress.receipt is None and now >= batch.deadline + NO_RECEIPT_AFTER
    # Nothing can be merged while nobody is staged: the players who failed come first.
    failed = not progress.count(Outcome.STAGED) and progress.count(Outcome.FAILED)
    refused = (f"check:predictions:{audit.name}" for audit in AUDITS)
    under_way = not late and is_under_way(facts, progress)
    if late:
        line = (
            f"{count(batch.games, 'game')} and no checked consolidation at the deadline {facts.at(batch.deadline)}; "
            f"{len(batch.expected) - len(progress.unsettled)} of {count(len(batch.expected), 'player')} settled, "
            f"the next step is {step.value}"
        )
    elif under_way:
        line = f"not complete: the next step is {step.value}, and it isn't late yet"
    else:
        line = f"not complete: players settled after the newest consolidation, the next step is {step.value}"
    return facts.found(
        "no_receipt" if progress.receipt is None else "outdated_receipt",
        line,
        evidence,
        severity=INFO if under_way else None,
        causes=facts.causes(
            *(("failed_players",) if failed else ()),
            "unchecked_receipt",
            "empty_merge",
            *refused,
            *(f"run:{job}" for job in ("features", "staging", "consolidation")),
        ),
    )

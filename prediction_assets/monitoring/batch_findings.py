"""Is the batch open, are its players settled, is nothing left to do? From batch state and the schedule."""

from __future__ import annotations

from dataclasses import replace

from prediction_assets.monitoring.alert_findings import is_under_way, no_roster, not_consolidated
from prediction_assets.monitoring.evidence import HealthFacts, ScheduleFacts, Unreadable
from prediction_assets.monitoring.findings import SHOWN, Finding, count, replay_command, run_command, utc
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome
from prediction_assets.stores.alert import Severity


def unreadable(facts: HealthFacts, what: Unreadable) -> Finding:
    """Return the finding about a source that couldn't be read."""
    return Finding(
        f"unreadable:{what.error}",  # one damaged file may be several sources
        Severity.ERROR,
        f"can't be read: {what.error}",
        facts.slate,
        command=f"prediction-assets health --slate {facts.slate}",
        evidence={"source": what.source, "error": what.error},
    )


def waiting(facts: HealthFacts, key: str, line: str) -> Finding:
    """Return the finding about facts that aren't there yet: info until they are due, then an error.

    Its cause is that the roster is missing, or that the batch wasn't consolidated.
    """
    progress, key = facts.progress, f"{key}:{facts.slate}"
    if isinstance(progress, Unreadable):
        return unreadable(facts, progress)
    if progress is None:
        cause, due = f"no_roster:{facts.slate}", facts.roster_due
        is_due = due is None or facts.now >= due
    elif progress.receipt is None and next_step(progress, facts.now) is Step.NOTHING:
        said = f"{line}; every expected player is skipped: nothing to predict"
        return Finding(key, Severity.OK, said, facts.slate)
    else:
        cause, due = f"no_receipt:{facts.slate}", progress.batch.deadline
        is_due = not is_under_way(progress, facts.now)
    evidence = {"due": utc(due)}
    if is_due:
        return Finding(
            key, Severity.ERROR, line, facts.slate, run_command(facts.slate), evidence, cause=cause
        )
    return Finding(
        key, Severity.INFO, f"{line}; due at {utc(due)}", facts.slate, evidence=evidence, cause=cause
    )


def batch_opened(facts: HealthFacts) -> Finding:
    """The slate's batch is open, with the games that the schedule has, and the games before them have game logs."""
    slate, progress = facts.slate, facts.progress
    schedule = facts.warehouse if isinstance(facts.warehouse, Unreadable) else facts.warehouse.schedule
    if isinstance(progress, Unreadable):
        return unreadable(facts, progress)
    if progress is None:
        return _not_opened(facts, schedule)
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
        f"opened at {utc(batch.opened_at)}"
    )
    reopen = f"{run_command(slate)} --reopen"
    if isinstance(schedule, ScheduleFacts) and schedule.games != batch.games:
        return Finding(
            f"games_changed:{slate}",
            Severity.WARNING,
            f"opened with {count(batch.games, 'game')}, the schedule now has {schedule.games}",
            slate,
            reopen,
            {**evidence, "games_in_schedule": schedule.games},
        )
    if isinstance(schedule, ScheduleFacts) and _outdated(facts, schedule):
        return Finding(
            "schedule_ended",
            Severity.WARNING,
            f"{line}; but the schedule ends on {schedule.last_slate}, so it has no games of tonight",
            slate,
            "prediction-assets ingest --schedule FILE",
            {**evidence, "schedule_ends": str(schedule.last_slate)},
        )
    if not isinstance(facts.warehouse, Unreadable) and facts.warehouse.without_logs.games:
        games, since = facts.warehouse.without_logs.games, facts.warehouse.without_logs.since
        return Finding(
            f"no_game_logs:{slate}",
            Severity.WARNING,
            f"{line}; but {count(games, 'game')} since {since} {'have' if games > 1 else 'has'} no game logs",
            slate,
            f"prediction-assets ingest --game-logs FILE && {reopen}",
            {**evidence, "games_without_logs": games, "without_logs_since": str(since)},
        )
    return Finding(f"batch_opened:{slate}", Severity.OK, line, slate, evidence=evidence)


def _not_opened(facts: HealthFacts, schedule: ScheduleFacts | Unreadable) -> Finding:
    slate = facts.slate
    if isinstance(schedule, Unreadable):
        line = f"no batch, and the schedule can't be read: {schedule.error}"
        return Finding(f"no_roster:{slate}", Severity.ERROR, line, slate, run_command(slate))
    if schedule.last_slate is None:
        ingest = "prediction-assets ingest --game-logs FILE --schedule FILE --prop-lines FILE"
        return Finding(
            f"no_roster:{slate}", Severity.ERROR, "no batch, and no schedule was ingested", slate, ingest
        )
    return no_roster(slate, schedule.games, facts.roster_due, facts.now, facts.pages)


def _outdated(facts: HealthFacts, schedule: ScheduleFacts) -> bool:
    """Return whether the slate stands in for tonight because the schedule ended before it."""
    return (
        not facts.named
        and facts.roster_due is not None
        and schedule.last_slate is not None
        and (facts.now.date() - schedule.last_slate).days > 1
    )


def players_settled(facts: HealthFacts) -> Finding:
    """Every expected player has an outcome, and enough of them are staged."""
    progress, slate = facts.progress, facts.slate
    if not isinstance(progress, Progress):
        return waiting(facts, "unsettled", "nobody is expected yet")
    expected, settled = len(progress.batch.expected), len(progress.outcomes)
    staged, skipped = progress.count(Outcome.STAGED), progress.count(Outcome.SKIPPED)
    failed = progress.count(Outcome.FAILED)
    moments = sorted(done.recorded_at for done in progress.outcomes.values())
    minutes = (moments[-1] - moments[0]).total_seconds() / 60 if moments else 0.0
    rate = round((settled - 1) / minutes, 1) if minutes > 0 and settled > 1 else None
    late = facts.now >= progress.batch.deadline
    without = failed + (len(progress.unsettled) if late else 0)
    share = staged / (staged + without) if staged + without else 1.0
    by_slug = sorted(progress.outcomes.items())
    evidence = {
        "expected": expected, "settled": settled, "staged": staged, "skipped": skipped, "failed": failed,
        "unsettled": list(progress.unsettled[:SHOWN]), "players_per_minute": rate,
        "newest_outcome": utc(moments[-1]) if moments else None,
        "failures": [f"{slug}: {c.reason}" for slug, c in by_slug if c.outcome is Outcome.FAILED][:SHOWN],
        "skips": [slug for slug, c in by_slug if c.outcome is Outcome.SKIPPED][:SHOWN],
    }  # fmt: skip
    line = f"{settled} of {expected} settled: {staged} staged, {skipped} skipped, {failed} failed"
    if rate is not None:
        line += f"; {rate:g} players a minute"
    key = f"unsettled:{slate}"
    if progress.unsettled and not late:
        newest = moments[-1] if moments else progress.batch.opened_at
        stuck = facts.now - newest > facts.window
        if stuck:
            line += f"; none since {utc(newest)}"
        return Finding(
            key, Severity.WARNING if stuck else Severity.INFO,
            f"{line}; deadline at {utc(progress.batch.deadline)}",
            slate, f"prediction-assets status --slate {slate}", evidence,
        )  # fmt: skip
    if not expected or not without:
        return Finding(key, Severity.OK, line, slate, evidence=evidence)
    enough = staged > 0 and share >= facts.rules.minimum_staged_share
    if not enough:
        line += f"; less than the minimum share of {facts.rules.minimum_staged_share:.0%} is staged"
    return Finding(
        key,
        Severity.WARNING if enough else Severity.ERROR,
        line,
        slate,
        replay_command(slate) if failed else run_command(slate),
        evidence,
        cause="" if failed else f"no_receipt:{slate}",
    )


def batch_complete(facts: HealthFacts) -> Finding:
    """Nothing is left to do: the newest outcomes are the ones that were consolidated."""
    progress, slate = facts.progress, facts.slate
    if not isinstance(progress, Progress):
        return waiting(facts, "incomplete", "no batch yet")
    found = not_consolidated(progress, facts.now, facts.pages)
    if found is not None:
        nothing_to_merge = not progress.count(Outcome.STAGED) and progress.count(Outcome.FAILED)
        return replace(found, cause=f"{'unsettled' if nothing_to_merge else 'unchecked_receipt'}:{slate}")
    return Finding(
        f"complete:{slate}",
        Severity.OK,
        "complete: nothing is left to do",
        slate,
        evidence={"next_step": Step.NOTHING.value, "deadline": utc(progress.batch.deadline)},
    )

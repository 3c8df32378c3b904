"""Is the batch open, are its players settled, is nothing of it left to do? By batch state and the schedule."""

from __future__ import annotations

from prediction_assets.monitoring.evidence import HealthFacts, ScheduleFacts, Unreadable
from prediction_assets.monitoring.findings import (
    SHOWN,
    Color,
    Finding,
    count,
    run_command,
    under_way,
    unreadable,
    utc,
    waiting,
)
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome


def batch_opened(facts: HealthFacts) -> Finding:
    """The slate's batch is open, with the games that the schedule has, and the games before them have game logs."""
    roster, schedule = run_command(facts), _schedule(facts)
    progress = facts.progress
    if isinstance(progress, Unreadable):
        return unreadable(facts, progress)
    if progress is None:
        if isinstance(schedule, Unreadable):
            return Finding(
                Color.RED, f"no batch, and the schedule can't be read: {schedule.error}", {}, (roster,)
            )
        if schedule.last_slate is None:
            return Finding(
                Color.RED,
                "no batch, and no schedule was ingested",
                {},
                ("prediction-assets ingest --game-logs FILE --schedule FILE --prop-lines FILE", roster),
            )
        details = {"games": schedule.games, "roster_due": utc(facts.roster_due)}
        if facts.roster_due is not None and facts.now < facts.roster_due:
            return Finding(
                Color.YELLOW, f"not open yet; the roster is due at {utc(facts.roster_due)}", details
            )
        return Finding(
            Color.RED, f"{count(schedule.games, 'game')} and no batch: slate_roster wasn't materialized",
            details, (roster,),
        )  # fmt: skip
    batch = progress.batch
    details = {
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
    if not isinstance(schedule, Unreadable) and schedule.games != batch.games:
        return Finding(
            Color.YELLOW,
            f"opened with {count(batch.games, 'game')}, the schedule now has {schedule.games}",
            {**details, "games_in_schedule": schedule.games},
            (f"prediction-assets run --slate {facts.slate} --reopen",),
        )
    if _outdated(facts, schedule):
        last = str(schedule.last_slate) if isinstance(schedule, ScheduleFacts) else ""
        return Finding(
            Color.YELLOW,
            f"{line}; but the schedule ends on {last}, so tonight has none",
            {**details, "schedule_ends": last},
            ("prediction-assets ingest --schedule FILE",),
        )
    if not isinstance(facts.warehouse, Unreadable) and facts.warehouse.without_logs.games:
        games, since = facts.warehouse.without_logs.games, facts.warehouse.without_logs.since
        return Finding(
            Color.YELLOW,
            f"{line}; but {count(games, 'game')} since {since} {'have' if games > 1 else 'has'} no game logs",
            {**details, "games_without_logs": games, "without_logs_since": str(since)},
            ("prediction-assets ingest --game-logs FILE", f"{roster} --reopen"),
        )
    return Finding(Color.GREEN, line, details)


def players_settled(facts: HealthFacts) -> Finding:
    """Every expected player has an outcome, and enough of them are staged."""
    progress = facts.progress
    if not isinstance(progress, Progress):
        return waiting(facts, "nobody is expected yet")
    expected, settled = len(progress.batch.expected), len(progress.outcomes)
    staged, skipped = progress.count(Outcome.STAGED), progress.count(Outcome.SKIPPED)
    failed = progress.count(Outcome.FAILED)
    moments = sorted(c.recorded_at for c in progress.outcomes.values())
    minutes = (moments[-1] - moments[0]).total_seconds() / 60 if moments else 0.0
    rate = round((settled - 1) / minutes, 1) if minutes > 0 and settled > 1 else None
    late = facts.now >= progress.batch.deadline
    without = failed + (len(progress.unsettled) if late else 0)
    share = staged / (staged + without) if staged + without else 1.0
    details = {
        "expected": expected, "settled": settled, "staged": staged, "skipped": skipped, "failed": failed,
        "unsettled": list(progress.unsettled[:SHOWN]), "players_per_minute": rate,
        "newest_outcome": utc(moments[-1]) if moments else None,
        "failures": [
            f"{slug}: {c.reason}"
            for slug, c in sorted(progress.outcomes.items())
            if c.outcome is Outcome.FAILED
        ][:SHOWN],
        "skips": [slug for slug, c in sorted(progress.outcomes.items()) if c.outcome is Outcome.SKIPPED][:SHOWN],
    }  # fmt: skip
    line = f"{settled} of {expected} settled: {staged} staged, {skipped} skipped, {failed} failed"
    if rate is not None:
        line += f"; {rate:g} players a minute"
    look, again = f"prediction-assets status --slate {facts.slate}", (() if failed else (run_command(facts),))
    if progress.unsettled and not late:
        newest = moments[-1] if moments else progress.batch.opened_at
        if facts.now - newest > facts.window:
            line += f"; none since {utc(newest)}"
        return Finding(Color.YELLOW, f"{line}; deadline at {utc(progress.batch.deadline)}", details, (look,))
    if not expected or not without:
        return Finding(Color.GREEN, line, details)
    enough = staged > 0 and share >= facts.rules.minimum_staged_share
    if not enough:
        line += f"; less than the minimum share of {facts.rules.minimum_staged_share:.0%} is staged"
    mend = (f"prediction-assets dead-letters replay --slate {facts.slate}",) if failed else ()
    return Finding(Color.YELLOW if enough else Color.RED, line, details, (look, *mend, *again))


def batch_complete(facts: HealthFacts) -> Finding:
    """Nothing is left to do: the newest outcomes are the ones that were consolidated."""
    progress = facts.progress
    if not isinstance(progress, Progress):
        return waiting(facts, "no batch yet")
    step = next_step(progress, facts.now)
    details = {"next_step": step.value, "deadline": utc(progress.batch.deadline)}
    if step is Step.NOTHING:
        return Finding(Color.GREEN, "complete: nothing is left to do", details)
    line = f"not complete: the next step is {step.value}"
    if under_way(facts, progress):
        return Finding(Color.YELLOW, f"{line}, and it isn't late yet", details)
    return Finding(Color.RED, line, details, (run_command(facts),))


def _schedule(facts: HealthFacts) -> ScheduleFacts | Unreadable:
    return facts.warehouse if isinstance(facts.warehouse, Unreadable) else facts.warehouse.schedule


def _outdated(facts: HealthFacts, schedule: ScheduleFacts | Unreadable) -> bool:
    """Return whether the slate stands in for tonight because the schedule ended before it."""
    return (
        not facts.named
        and facts.roster_due is not None
        and isinstance(schedule, ScheduleFacts)
        and schedule.last_slate is not None
        and (facts.now.date() - schedule.last_slate).days > 1
    )

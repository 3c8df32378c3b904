"""What a judgement is: a colour, one line, details and what to do; and what every check says in the same words.

Green: as it should be. Yellow: under way, or worth a look today. Red: the slate isn't there or isn't right, or
a fact couldn't be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from prediction_assets.monitoring.evidence import HealthFacts, Unreadable
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import is_recent
from prediction_assets.slate.next_step import Step, next_step

GRACE = timedelta(minutes=5)
"""What follows an outcome, a deadline or a MERGE is given this long: sensors look every 10 to 60 seconds."""

SHOWN = 20
"""So many items of a list are in the details; the line counts all of them."""


class Color(StrEnum):
    """A traffic light."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says.

    Attributes:
        line: the finding, one line.
        details: numbers and lists behind it, JSON values.
        commands: what to do next, each a command to type or a sentence; empty when green.
    """

    color: Color
    line: str
    details: Mapping[str, Any] = field(default_factory=dict)
    commands: tuple[str, ...] = ()


def unreadable(facts: HealthFacts, what: Unreadable) -> Finding:
    """Return what a check says whose source couldn't be read: red, with the source's error."""
    return Finding(
        Color.RED, f"can't be read: {what.error}", {"source": what.source, "error": what.error},
        (f"prediction-assets health --slate {facts.slate}",),
    )  # fmt: skip


def waiting(facts: HealthFacts, line: str) -> Finding:
    """Return what a check says whose facts aren't there yet: yellow while they aren't due, then red."""
    progress = facts.progress
    if isinstance(progress, Unreadable):
        return unreadable(facts, progress)
    if progress is not None and progress.receipt is None and next_step(progress, facts.now) is Step.NOTHING:
        return Finding(Color.GREEN, f"{line}; every expected player is skipped: nothing to predict")
    if progress is not None:
        due, at = not under_way(facts, progress), progress.batch.deadline
    elif facts.roster_due is not None:
        due, at = facts.now >= facts.roster_due, facts.roster_due
    else:
        return Finding(Color.RED, line, {}, (run_command(facts),))
    if due:
        return Finding(Color.RED, line, {"due": utc(at)}, (run_command(facts),))
    return Finding(Color.YELLOW, f"{line}; due at {utc(at)}", {"due": utc(at)})


def under_way(facts: HealthFacts, progress: Progress) -> bool:
    """Return whether the batch still has time: its deadline is to come, or something happened a moment ago."""
    moments = [progress.batch.deadline, *(c.recorded_at for c in progress.outcomes.values())]
    return facts.now < progress.batch.deadline or recent(facts, max(moments))


def recent(facts: HealthFacts, moment: datetime) -> bool:
    """Return whether the work that follows a moment is still within its time: sensors, checks, cleanup."""
    return is_recent(moment, facts.now, GRACE)


def run_command(facts: HealthFacts) -> str:
    """Return the command that carries the slate through whatever it lacks."""
    return f"prediction-assets run --slate {facts.slate}"


def utc(moment: datetime | None) -> str | None:
    """Return a moment as ``2026-01-02 15:04:05Z``; None stays None."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def count(n: int, noun: str) -> str:
    """Return ``1 player``, ``1,000 players``: the number with its noun, in the plural unless it is one."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"

"""The budget of requests: each question to a live source is counted in the warehouse before it is asked.

What a question may take is written down first and corrected when it has ended, so a process that is killed in between
has counted too much, never too little. What doesn't belong here: how often to ask.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prediction_assets.errors import RequestsSpent
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import FETCHES


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests, or credits, that a source may be asked for in a day and in a month, of US Eastern time.

    An evening of games is one day there; in UTC midnight is in its middle.
    """

    per_day: int
    per_month: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What a source was asked so far."""

    day: int  # requests since midnight
    month: int  # requests since the month began
    # requests that the source itself said are left this month; None when it says nothing
    remaining: int | None

    def left_this_month(self, limits: Limits) -> int:
        """Return how many requests may still be made this month, by the settings and by the source's own count."""
        left = limits.per_month - self.month
        return max(0, left if self.remaining is None else min(left, self.remaining))

    def left(self, limits: Limits) -> int:
        return max(0, min(limits.per_day - self.day, self.left_this_month(limits)))


@dataclass
class Fetch:
    """One question while it is asked; what it cost and found is filled in by who asks."""

    folder: Path  # of its recorded answers
    allowed: int  # requests, or credits, that the budget leaves for it
    requests: int = 0  # what counts against the budget
    remaining: int | None = None  # what the source said is left
    outcome: str = "answered"  # `answered`, `partial` or `nothing`
    problem: str = ""  # what a partial answer lacks


def spent(warehouse: Warehouse, source: str, now: datetime) -> Spent:
    midnight = now.astimezone(GAME_TIME_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    asked = {"source": source, "month": midnight.replace(day=1)}
    counted = warehouse.query(queries.REQUESTS_SPENT, {**asked, "day": midnight}).to_pylist()[0]
    said = warehouse.query(queries.REQUESTS_LEFT, asked)["remaining"].to_pylist()
    return Spent(int(counted["day"]), int(counted["month"]), said[0] if said else None)


@contextmanager
def counted(
    warehouse: Warehouse,
    source: str,
    facts: str,
    least: int,
    most: int,
    limits: Limits,
    answers: Path,
    now: datetime,
) -> Iterator[Fetch]:
    """Ask one question within this block.

    Args:
        least: requests, or credits, that the question takes when nothing fails.
        most: what it may take with all attempts, as far as the budget allows.
        answers: the folder of all recorded answers.

    Raises:
        RequestsSpent: the budget doesn't allow the least; nothing may be asked then.
    """
    moment = now.astimezone(UTC)
    # Of two questions in one second each has its own folder.
    fetch_id = f"{moment:%Y%m%dT%H%M%SZ}-{source}-{facts}-{secrets.token_hex(3)}"
    folder = answers / source / f"{moment:%Y-%m-%d}" / fetch_id
    row: dict[str, Any] = {
        "fetch_id": fetch_id, "source": source, "facts": facts, "started_at": moment, "requests": most,
        "remaining": None, "outcome": "running", "problem": "", "answers": str(folder),
    }  # fmt: skip
    # Written before it is compared: of two that ask at once, neither overlooks the other.
    warehouse.upsert(FETCHES, FETCHES.arrow_table([row]))
    before = spent(warehouse, source, now)
    left = Spent(before.day - most, before.month - most, before.remaining).left(limits)
    fetch = Fetch(folder, min(most, left))
    try:
        if left < least:
            raise RequestsSpent(
                f"{source}: {facts} take {least} requests, and {left} are left ({before.day - most} today of "
                f"{limits.per_day}, {before.month - most} this month of {limits.per_month}"
                + (f", {before.remaining} by the source" if before.remaining is not None else "")
                + "); raise its limits in the settings, or wait"
            )
        yield fetch
    except BaseException as error:
        row |= {"outcome": "failed", "problem": str(error) or type(error).__name__}
        raise
    else:
        row |= {"outcome": fetch.outcome, "problem": fetch.problem}
    finally:
        row |= {"requests": fetch.requests, "remaining": fetch.remaining}
        warehouse.upsert(FETCHES, FETCHES.arrow_table([row]))

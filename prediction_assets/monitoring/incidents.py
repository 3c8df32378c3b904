"""What counts as an incident, how bad it is, where to look and what to do: pure functions from facts.

Severities: critical means that a slate isn't or won't be announced, error that something failed which may still
be made good, warning that a slate is worse than it should be.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from prediction_assets.errors import one_line
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.dead_letter import DeadLetter, common_cause
from prediction_assets.slate.merge_plan import ENOUGH_STAGED, NOT_EMPTY
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.stores.alert import Incident, Severity

LONGEST_FACT = 600
"""Characters of a fact: an error's text may be a page long, a chat message shouldn't."""


@dataclass(frozen=True)
class Pages:
    """The pages of the UI that alerts link to.

    Attributes:
        base: where people reach the UI, such as ``http://127.0.0.1:3000``.
    """

    base: str

    def run(self, run_id: str) -> str:
        """Return the page of a run."""
        return f"{self._root}/runs/{run_id}"

    def check(self, asset: str, name: str) -> str:
        """Return the page of an asset check."""
        return f"{self._root}/assets/{asset}?view=checks&checkDetail={quote(name)}"

    def partition(self, asset: str, key: str) -> str:
        """Return the page of an asset's partition."""
        return f"{self._root}/assets/{asset}?view=partitions&partition={quote(key)}"

    def asset(self, asset: str) -> str:
        """Return the page of an asset."""
        return f"{self._root}/assets/{asset}"

    def automation(self, location: str, kind: str, name: str) -> str:
        """Return the page of a sensor or schedule: kind is ``sensors`` or ``schedules``."""
        return f"{self._root}/locations/{quote(location)}/{kind}/{quote(name)}"

    def daemons(self) -> str:
        """Return the page of the daemons."""
        return f"{self._root}/deployment/daemons"

    @property
    def _root(self) -> str:
        return self.base.rstrip("/")


@dataclass(frozen=True)
class CheckResult:
    """One evaluation of an asset check."""

    asset: str
    name: str
    slate: str | None
    passed: bool
    warns: bool
    text: str


def check_key(check: CheckResult) -> str:
    """Return the key of a check's incident. A 0-row MERGE has its own, whichever check saw it."""
    if check.name == NOT_EMPTY:
        return f"empty_merge:{check.slate}"
    return f"check:{check.asset}:{check.name}:{check.slate or ''}".rstrip(":")


def failed_checks(results: Sequence[CheckResult], position: int, pages: Pages) -> list[Incident]:
    """Return the incidents that a run's failed checks are. Too few players says nothing new beside no player."""
    failed = [check for check in results if not check.passed]
    empty = {check.slate for check in failed if check.name == NOT_EMPTY}
    return [
        Incident(
            key=check_key(check),
            severity=_check_severity(check),
            fact=_fact(
                (
                    "0-row MERGE: "
                    if check.name == NOT_EMPTY
                    else f"Check {check.name} failed on {check.asset}: "
                )
                + (check.text or "see its page")
            ),
            link=pages.check(check.asset, check.name),
            command=_of_slate(check.slate, "prediction-assets status --slate {}"),
            slate=check.slate,
            position=position,
        )
        for check in failed
        if not (check.name == ENOUGH_STAGED and check.slate in empty)
    ]


def _check_severity(check: CheckResult) -> Severity:
    if check.name == NOT_EMPTY:
        return Severity.CRITICAL
    return Severity.WARNING if check.warns else Severity.ERROR


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended.

    Attributes:
        stage: the job's name, or the one that its assets belong to.
        step: the step that failed first, ``""`` when none did.
        error: why, one line.
    """

    run_id: str
    stage: str
    slate: str | None
    position: int
    step: str = ""
    error: str = ""

    @property
    def key(self) -> str:
        """The key of the incident that its failure is: the same for each attempt at a slate's stage."""
        return f"run:{self.stage}:{self.slate or ''}".rstrip(":")


def failed_run(run: FinishedRun, pages: Pages) -> Incident:
    """Return the incident that a failed run is."""
    where = f" at step {run.step}" if run.step else ""
    return Incident(
        key=run.key,
        severity=Severity.CRITICAL if run.stage == "completion" else Severity.ERROR,
        fact=_fact(f"Run of {run.stage} failed{where}: {run.error or 'no error was recorded'}"),
        link=pages.run(run.run_id),
        command=_next_of_stage(run),
        slate=run.slate,
        position=run.position,
    )


def _next_of_stage(run: FinishedRun) -> str:
    if run.slate is None:
        return "prediction-assets ingest --help" if run.stage == "ingest" else "prediction-assets alerts list"
    if run.stage == "completion":
        return f"prediction-assets republish --slate {run.slate}"
    return f"prediction-assets run --slate {run.slate}"


@dataclass(frozen=True)
class FinishedTick:
    """A tick of a sensor (kind ``sensors``) or a schedule (``schedules``) that ended; ``error`` when it failed."""

    name: str
    kind: str
    location: str
    tick_id: int
    at: datetime
    error: str | None

    @property
    def key(self) -> str:
        """The key of the incident that its failure is."""
        return f"tick:{self.name}"


def failed_tick(tick: FinishedTick, pages: Pages) -> Incident:
    """Return the incident that a failed tick is."""
    return Incident(
        key=tick.key,
        severity=Severity.ERROR,
        fact=_fact(f"A tick of {tick.name} failed: {tick.error}"),
        link=pages.automation(tick.location, tick.kind, tick.name),
        command="prediction-assets alerts check",
        position=tick.tick_id,
        at=tick.at,
    )


def daemon_incidents(last_heard: Mapping[str, datetime], pages: Pages) -> list[Incident]:
    """Return the incident that daemons are which were heard once and aren't any more, by their last heartbeat."""
    if not last_heard:
        return []
    names = ", ".join(sorted(last_heard))
    return [
        Incident(
            key="daemon",
            severity=Severity.CRITICAL,
            fact=f"No heartbeat of {names} since {min(last_heard.values()):%Y-%m-%d %H:%M} UTC: nothing runs by itself",
            link=pages.daemons(),
            command=START_THE_DAEMON,
        )
    ]


def missing_roster(slate: str, games: int, expected_at: datetime, pages: Pages) -> Incident:
    """Return the incident that a slate with games and without a batch is."""
    return Incident(
        key=f"no_roster:{slate}",
        severity=Severity.CRITICAL,
        fact=f"{games} games and no roster, expected at {expected_at:%H:%M} UTC",
        link=pages.asset("slate_roster"),
        command=f"prediction-assets run --slate {slate}",
        slate=slate,
    )


@dataclass(frozen=True)
class SlateState:
    """What alerts look at of one slate.

    Attributes:
        announced: the newest receipt's completion was delivered.
        letters: its open dead letters.
    """

    progress: Progress
    announced: bool
    letters: Sequence[DeadLetter]


@dataclass(frozen=True)
class Limits:
    """From when on a slate's state is an incident."""

    receipt_after_deadline: timedelta
    completion_after_receipt: timedelta
    dead_letters: int


SLATE_KINDS = frozenset({"no_receipt", "unpublished", "dead_letters"})
"""Kinds of incidents that :func:`slate_incidents` judges."""


def slate_incidents(state: SlateState, now: datetime, limits: Limits, pages: Pages) -> list[Incident]:
    """Return what is wrong with a slate, as its state shows it. A day with nothing to predict is never late."""
    batch, receipt = state.progress.batch, state.progress.receipt
    slate, found = batch.slate, []
    is_late = now >= batch.deadline + limits.receipt_after_deadline
    if receipt is None and is_late and next_step(state.progress, now) is not Step.NOTHING:
        settled = len(batch.expected) - len(state.progress.unsettled)
        found.append(
            Incident(
                key=f"no_receipt:{slate}",
                severity=Severity.CRITICAL,
                fact=f"{batch.games} games and no checked consolidation at the deadline {batch.deadline:%H:%M} UTC; "
                f"{settled} of {len(batch.expected)} players have settled",
                link=pages.partition("predictions", slate),
                command=f"prediction-assets run --slate {slate}",
                slate=slate,
            )
        )
    if receipt is not None and not state.announced:
        since = receipt.consolidated_at
        if now >= since + limits.completion_after_receipt:
            found.append(
                Incident(
                    key=f"unpublished:{slate}",
                    severity=Severity.CRITICAL,
                    fact=f"Consolidated at {since:%H:%M} UTC and not announced; phase 6 waits",
                    link=pages.partition("phase5_completion", slate),
                    command=f"prediction-assets republish --slate {slate}",
                    slate=slate,
                )
            )
    return found + _dead_letters(state, limits, pages)


def _dead_letters(state: SlateState, limits: Limits, pages: Pages) -> list[Incident]:
    """Return one incident for all of a slate's letters, however many there are."""
    batch, letters = state.progress.batch, state.letters
    alike = common_cause(letters, len(batch.expected))
    if alike is None and len(letters) <= limits.dead_letters:
        return []
    shown = alike or max(letters, key=lambda letter: letter.last_seen)
    why = "most with one cause: " if alike else "the newest: "
    return [
        Incident(
            key=f"dead_letters:{batch.slate}",
            severity=Severity.CRITICAL if alike else Severity.ERROR,
            fact=_fact(
                f"{len(letters)} of {len(batch.expected)} players failed, {why}"
                f"{shown.newest.error_class}: {shown.newest.message}"
            ),
            link=pages.asset("dead_letters"),
            command=f"prediction-assets dead-letters replay --slate {batch.slate}",
            slate=batch.slate,
        )
    ]


def _of_slate(slate: str | None, command: str) -> str:
    return command.format(slate) if slate else "prediction-assets alerts list"


def _fact(text: str) -> str:
    return one_line(text, LONGEST_FACT)


START_THE_DAEMON = "start the daemon: `prediction-assets dev`, or restart its service"
"""What to do when it is silent, wherever it runs."""

"""Findings about what Dagster did: failed asset checks, runs and ticks, and silent daemons; all of them raise alerts.

Critical: a slate isn't or won't be announced. Error: something failed and can be repaired. Warning: a slate is worse
than it should be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prediction_assets.errors import one_line
from prediction_assets.monitoring.findings import START_THE_DAEMON, Finding, Pages, run_command, utc
from prediction_assets.slate.audits import ENOUGH_STAGED, NOT_EMPTY
from prediction_assets.stores.alert import Severity

_LONGEST = 600
"""Characters of a line: an error's text may be a page long, a chat message shouldn't."""


@dataclass(frozen=True)
class CheckResult:
    """One evaluation of an asset check."""

    asset: str
    name: str
    slate: str | None
    passed: bool
    warns: bool
    text: str

    @property
    def key(self) -> str:
        """The key of its finding. A 0-row MERGE has one key for all checks."""
        if self.name == NOT_EMPTY:
            return f"empty_merge:{self.slate}"
        return f"check:{self.asset}:{self.name}:{self.slate or ''}".rstrip(":")


def failed_checks(results: Sequence[CheckResult], pages: Pages) -> list[Finding]:
    """Return a run's failed checks. Too few players is left out beside no player: it says nothing new."""
    failed = [check for check in results if not check.passed]
    empty = {check.slate for check in failed if check.name == NOT_EMPTY}
    return [
        _failed_check(check, pages)
        for check in failed
        if not (check.name == ENOUGH_STAGED and check.slate in empty)
    ]


def _failed_check(check: CheckResult, pages: Pages) -> Finding:
    is_empty = check.name == NOT_EMPTY
    what = "0-row MERGE" if is_empty else f"Check {check.name} failed on {check.asset}"
    severity = Severity.WARNING if check.warns else Severity.ERROR
    return Finding(
        check.key,
        Severity.CRITICAL if is_empty else severity,
        one_line(f"{what}: {check.text or 'see its page'}", _LONGEST),
        check.slate,
        command=f"prediction-assets status --slate {check.slate}"
        if check.slate
        else "prediction-assets alerts list",
        link=pages.check(check.asset, check.name),
        alerts=True,
    )


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended.

    Attributes:
        stage: the job's name, or the name of the job that its assets belong to.
        step: the step that failed first, ``""`` when none did.
        error: the first error, one line.
    """

    run_id: str
    stage: str
    slate: str | None
    step: str = ""
    error: str = ""

    @property
    def key(self) -> str:
        """The key of the finding when it failed: the same for each attempt at a slate's stage."""
        return f"run:{self.stage}:{self.slate or ''}".rstrip(":")


def failed_run(run: FinishedRun, pages: Pages) -> Finding:
    """Return the finding about a failed run."""
    where = f" at step {run.step}" if run.step else ""
    if run.slate is None:
        command = f"prediction-assets {'ingest --help' if run.stage == 'ingest' else 'alerts list'}"
    elif run.stage == "completion":
        command = f"prediction-assets republish --slate {run.slate}"
    else:
        command = run_command(run.slate)
    return Finding(
        run.key,
        Severity.CRITICAL if run.stage == "completion" else Severity.ERROR,
        one_line(f"Run of {run.stage} failed{where}: {run.error or 'no error was recorded'}", _LONGEST),
        run.slate,
        command=command,
        link=pages.run(run.run_id),
        alerts=True,
    )


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
        """The key of the finding when it failed."""
        return f"tick:{self.name}"


def failed_tick(tick: FinishedTick, pages: Pages) -> Finding:
    """Return the finding about a failed tick."""
    return Finding(
        tick.key,
        Severity.ERROR,
        one_line(f"A tick of {tick.name} failed: {tick.error}", _LONGEST),
        command="prediction-assets alerts check",
        link=pages.automation(tick.location, tick.kind, tick.name),
        alerts=True,
    )


def silent_daemons(last_heard: Mapping[str, datetime], pages: Pages) -> list[Finding]:
    """Return one finding about all daemons that ran once and are silent now, by their last heartbeat."""
    if not last_heard:
        return []
    line = (
        f"No heartbeat of {', '.join(sorted(last_heard))} since {utc(min(last_heard.values()))}: "
        "no schedule and no sensor runs"
    )
    return [
        Finding(
            "daemon", Severity.CRITICAL, line, command=START_THE_DAEMON, link=pages.daemons(), alerts=True
        )
    ]

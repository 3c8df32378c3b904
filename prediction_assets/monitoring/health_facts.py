"""The facts that findings are made from: one typed record, the same for every store.

A source that couldn't be read is :class:`Unreadable` in the place of its facts, so that no finding takes silence for
health.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from prediction_assets.monitoring.finding_kinds import INFO, KINDS, STATUS
from prediction_assets.monitoring.findings import Finding, link_to, local
from prediction_assets.nba.tonight import Tonight
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.dead_letter import DeadLetter
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.reconcile import Behind, SlateCopies, behind
from prediction_assets.stores.alert import Severity


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A source whose facts couldn't be read."""

    source: str  # its name: `warehouse`
    error: str  # the error's text, one line
    is_transient: bool = False  # the same read may succeed in a moment


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """The slate in the schedule."""

    games: int  # games on the slate
    league: str  # '' when no schedule was ingested
    last_slate: date | None  # the schedule's last date, None when no schedule was ingested
    covered: bool  # the slate is within the schedule of a league
    off_season: bool = False  # nobody plays around today
    following: date | None = None  # the first date from today on with a game, None without one


@dataclass(frozen=True, slots=True)
class GamesWithoutLogs:
    """Games before the slate that are over and have no game logs."""

    games: int = 0
    since: date | None = None  # the date of the first of them, None without any


@dataclass(frozen=True, slots=True)
class InQuarantine:
    """Rows of one kind of facts that wait for an operator."""

    facts: str  # their table: `schedule`
    rows: int
    since: datetime  # when the oldest of them was found
    example: str  # one of the objections


@dataclass(frozen=True, slots=True)
class TableFacts:
    """The slate's active rows in the predictions table."""

    rows: int
    players: int
    players_with_a_line: int  # players with rows at a line that a book offered
    newest: datetime | None  # when a row was last changed, None without rows
    systems: Mapping[str, tuple[str, ...]]  # by forecasting system, the versions that made its rows
    schema_versions: tuple[int, ...]  # of the rows
    feature_snapshots: tuple[str, ...]  # that the rows were made from


@dataclass(frozen=True, slots=True)
class EarlierMerge:
    """An earlier MERGE, of this slate or another one."""

    merge_ms: float  # milliseconds from BEGIN to the receipt
    rows_staged: int  # rows in the parts that it consumed
    parts: int  # how many parts it consumed


@dataclass(frozen=True, slots=True)
class SourceFetch:
    """How a live source answered last, for one kind of facts."""

    facts: str
    source: str
    started_at: datetime
    outcome: str  # running, answered, partial, nothing, or failed
    problem: str  # why it failed, or what a partial answer lacks, else ''
    requests: int  # requests, or credits, that it cost
    remaining: int | None  # requests that the source said are left, None when it says nothing


@dataclass(frozen=True, slots=True)
class WarehouseFacts:
    """The facts in the warehouse."""

    without_logs: GamesWithoutLogs  # of the slate's league; none for a simulated league
    # the newest date up to the slate that has prop lines, read only when no player has a line. None without
    # one in two months, and for a simulated league.
    newest_lines: date | None
    receipts: tuple[Receipt, ...]  # the slate's, oldest first
    earlier_merges: tuple[EarlierMerge, ...]  # newest first, at most some dozens
    table: TableFacts
    staged: tuple[tuple[str, str], ...]  # player slug and id of the slate's parts in staging
    other_slates_staged: tuple[str, ...]  # other slates that have parts in staging
    fetches: tuple[SourceFetch, ...] = ()  # the newest of each live source and kind of facts, of the last day
    quarantine: tuple[InQuarantine, ...] = ()  # the facts that wait for an operator, of every slate
    # the first and the last date of the season's first hole that is longer than any break
    without_schedule: tuple[date, date] | None = None
    # what each live source was asked this day and this month, of US Eastern time
    requests: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    strays: tuple[str, ...] = ()  # names among the slate's parts, or beside them, that are no parts


Causes = Mapping[str, tuple[str, ...]]
"""Why each player would be staged differently now, by slug."""


@dataclass(frozen=True, slots=True)
class StaleFacts:
    """What changed in the facts since a slate's players were staged."""

    due: Causes = field(default_factory=dict)  # of the players whose games are still to come
    late: Causes = field(default_factory=dict)  # of the players whose games have begun: their rows are final
    added: tuple[str, ...] = ()  # slugs of players who would be expected now and aren't
    since: datetime | None = None  # when the facts changed last; None when nobody knows
    version: int = 0  # the version of the facts now
    staged_from: int = 0  # the lowest one that a player was staged from


@dataclass(frozen=True, slots=True)
class RecentFailure:
    """A run or a tick that failed lately: the newest one of its work."""

    work: str  # the job of a run, `consolidation`; `a tick of` a sensor or schedule
    slate: str  # the run's, '' when it has none
    at: datetime  # when it failed
    error: str  # what went wrong first, one line, '' when Dagster has none
    step: str = ""  # the step that failed first, '' when none did
    run_id: str = ""  # of a run; '' for a tick
    recovered: bool = False  # the same work succeeded later
    # of a tick: its code location, `sensors` or `schedules`, and its name
    page: tuple[str, str, str] = ("", "", "")
    # name and text of each blocking asset check that failed in the run
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def is_tick(self) -> bool:
        return not self.run_id


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The newest evaluation of an asset check that has no partitions and blocks nothing."""

    asset: str
    name: str
    passed: bool
    warns: bool
    text: str


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """The facts in the Dagster instance."""

    failures: tuple[RecentFailure, ...]  # failed runs and ticks, oldest first
    # the newest heartbeat when every daemon is silent, or the oldest of those that Dagster misses; None while
    # they beat, and when none ever ran here
    daemon_silent_since: datetime | None
    code_versions: tuple[str, ...]  # the package's versions that staged the slate's players
    checks: tuple[CheckResult, ...] = ()  # asset checks that no receipt tells of


@dataclass(frozen=True, slots=True)
class Rules:
    """The installation's settings that findings depend on."""

    minimum_staged_share: float  # below this share of the players not skipped, nothing is announced, 0 to 1
    systems: Mapping[str, str]  # the running code's forecasting systems and their versions
    schema_version: int  # the running code's schema of the predictions
    code_version: str  # of the running package
    ui_url: str  # where people reach the UI, '' when nobody said
    time_zone: str = "UTC"  # the operator's; lines are written in it
    # the kinds of facts that the settings name a file or a live source for
    sources: frozenset[str] = frozenset()
    staging: str = ""  # the folder of the parts, '' where they are no files
    # how long phase 6 may take to acknowledge a message; zero when it doesn't, and for a simulated league
    acknowledged_within: timedelta = timedelta(0)
    fetch_every: timedelta = timedelta(0)  # the time between two looks at a source of tonight's facts
    refresh_alert: Severity | None = None  # the severity of a refresh; None: it is no alert
    board: str = ""  # where people open the slate's board, '' where nobody can
    rows_a_player: int = 25  # how many rows each player should have: markets x systems x lines


NO_EVIDENCE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """Everything that a slate's findings are made from."""

    slate: str  # the slate to report on
    now: datetime  # when the facts were read
    # failed runs and ticks are looked for this far back; a batch without a new outcome
    # for this long is reported
    window: timedelta
    # when the schedule opens the slate's batch; None for a simulated league's slates to come,
    # which no schedule opens
    roster_due: datetime | None
    rules: Rules
    progress: Progress | Unreadable | None  # None when no batch was opened
    schedule: ScheduleFacts | Unreadable | None  # None where the batch is open and nobody asked
    # None where nobody asked: a look for alerts reads it only for a missing roster
    warehouse: WarehouseFacts | Unreadable | None
    messages: tuple[OutboxEntry, ...] | Unreadable
    dead_letters: tuple[DeadLetter, ...] | Unreadable  # the slate's open ones
    instance: InstanceFacts | Unreadable | None  # None where nobody asked
    first_tip_off: datetime | None = None  # when the slate's first game begins; None where nobody asked
    # how new the slate's lines and injury reports are; None where they need not be new, or nobody asked
    tonight: Tonight | Unreadable | None = None
    unfinished: frozenset[str] = frozenset()  # slates of failed runs whose batch is open and not done
    named: bool = False  # the slate was named; otherwise it is tonight's
    damage: str | Unreadable = ""  # what a quick check of batch state's file found, '' if nothing
    # revisions at the messages' destination, by message id; None if nobody can look there
    delivered: Mapping[str, int] | None = None
    # what changed since the players were staged; None when nothing did, or nothing of the slate can change
    stale: StaleFacts | Unreadable | None = None

    @property
    def receipt(self) -> Receipt | None:
        """The newest receipt: the warehouse's, or batch state's copy where the warehouse wasn't read."""
        if isinstance(self.warehouse, WarehouseFacts):
            return next(reversed(self.warehouse.receipts), None)
        return self.progress.receipt if isinstance(self.progress, Progress) else None

    @property
    def behind(self) -> tuple[Behind, ...]:
        """The stores that are behind the others, as far as they can be read."""
        if not isinstance(self.warehouse, WarehouseFacts) or isinstance(self.messages, Unreadable):
            return ()
        copy = self.progress.receipt if isinstance(self.progress, Progress) else None
        return behind(SlateCopies(self.receipt, copy, self.messages, self.delivered))

    @property
    def board(self) -> str:
        """Where people open the slate's board, '' before its first message was delivered: it is written after it."""
        messages = () if isinstance(self.messages, Unreadable) else self.messages
        return self.rules.board if any(entry.delivery_id is not None for entry in messages) else ""

    def link(self, page: str, *names: str) -> str:
        """Return the address of a page of the UI, '' where nobody set it."""
        return link_to(self.rules.ui_url, page, *names)

    def at(self, moment: datetime | None) -> str:
        """Return a moment as the operator's clock shows it: ``2026-01-02 07:04 PST``."""
        return local(moment, ZoneInfo(self.rules.time_zone))

    def fine(self, name: str, line: str, evidence: Mapping[str, Any] = NO_EVIDENCE) -> Finding:
        """Return a finding that nothing is wrong."""
        return Finding(f"{name}:{self.slate}", Severity.OK, line, self.slate, evidence=evidence)

    def found(
        self,
        kind: str,
        line: str,
        evidence: Mapping[str, Any] = NO_EVIDENCE,
        *,
        severity: Severity | None = None,
        causes: Sequence[str] = (),
        about: str = "",
        slate: str | None = "",
        command: str = "",
        link: str = "",
    ) -> Finding:
        """Return a finding of a kind; severity, command, page and alerting are its row's of the table.

        Args:
            severity: one of the row's, or info while things are under way; None for the mildest.
            causes: keys of findings that may cause it; the first one that is open does.
            about: the key's second word, where a slate can have several findings of the kind.
            slate: another one than the report's; None for the installation.
            command: in place of the row's.
            link: in place of the row's page.
        """
        row, slate = KINDS[kind], self.slate if slate == "" else slate
        page, _, asset = row.page.partition(":")
        severity = severity or row.severities[0]
        if severity not in (INFO, *row.severities):
            raise ValueError(f"a finding of kind {kind} can't be {severity.value}")
        template = command or (STATUS if severity is INFO and INFO not in row.severities else row.command)
        files = {
            name: "" if name in self.rules.sources else f" --{name.replace('_', '-')} FILE"
            for name in ("game_logs", "schedule", "prop_lines")
        }
        return Finding(
            ":".join(word for word in (kind, about, slate) if word),
            severity,
            line,
            slate,
            template.format(slate=slate or self.slate, **files),
            evidence,
            link or self.link(page, asset, slate or self.slate),
            tuple(causes),
            alerts=row.alerts_from is not None and severity.rank >= row.alerts_from.rank,
        )

    def causes(self, *kinds: str) -> tuple[str, ...]:
        return tuple(f"{kind}:{self.slate}" for kind in kinds)

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

from prediction_assets.monitoring.findings import Finding, Pages, local
from prediction_assets.monitoring.kinds import INFO, KINDS, STATUS
from prediction_assets.nba.tonight import Tonight
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.dead_letter import DeadLetter
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.reconcile import Behind, SlateCopies, behind
from prediction_assets.stores.alert import Severity


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A source whose facts couldn't be read.

    Attributes:
        source: its name: ``warehouse``.
        error: the error's text, one line.
        is_transient: the same read may succeed in a moment.
    """

    source: str
    error: str
    is_transient: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """The slate in the schedule.

    Attributes:
        games: games on the slate.
        league: '' when no schedule was ingested.
        last_slate: the schedule's last date, None when no schedule was ingested.
        covered: the slate is within the schedule of a league.
        off_season: nobody plays around today.
        following: the first date from today on with a game, None without one.
    """

    games: int
    league: str
    last_slate: date | None
    covered: bool
    off_season: bool = False
    following: date | None = None


@dataclass(frozen=True, slots=True)
class GamesWithoutLogs:
    """Games before the slate that are over and have no game logs.

    Attributes:
        since: the date of the first of them, None without any.
    """

    games: int = 0
    since: date | None = None


@dataclass(frozen=True, slots=True)
class InQuarantine:
    """Rows of one kind of facts that wait for an operator.

    Attributes:
        facts: their table: ``schedule``.
        since: when the oldest of them was found.
        example: one of the objections.
    """

    facts: str
    rows: int
    since: datetime
    example: str


@dataclass(frozen=True, slots=True)
class TableFacts:
    """The slate's active rows in the predictions table.

    Attributes:
        players_with_a_line: players with rows at a line that a book offered.
        newest: when a row was last changed, None without rows.
        systems: by forecasting system, the versions that made its rows.
        schema_versions: of the rows.
        feature_snapshots: that the rows were made from.
    """

    rows: int
    players: int
    players_with_a_line: int
    newest: datetime | None
    systems: Mapping[str, tuple[str, ...]]
    schema_versions: tuple[int, ...]
    feature_snapshots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EarlierMerge:
    """An earlier MERGE, of this slate or another one.

    Attributes:
        merge_ms: milliseconds from BEGIN to the receipt.
        rows_staged: rows in the parts that it consumed.
        parts: how many parts it consumed.
    """

    merge_ms: float
    rows_staged: int
    parts: int


@dataclass(frozen=True, slots=True)
class SourceFetch:
    """How a live source answered last, for one kind of facts.

    Attributes:
        outcome: running, answered, partial, nothing, or failed.
        problem: why it failed, or what a partial answer lacks, else ''.
        requests: requests, or credits, that it cost.
        remaining: requests that the source said are left, None when it says nothing.
    """

    facts: str
    source: str
    started_at: datetime
    outcome: str
    problem: str
    requests: int
    remaining: int | None


@dataclass(frozen=True, slots=True)
class WarehouseFacts:
    """The facts in the warehouse.

    Attributes:
        without_schedule: the first and the last date of the season's first hole that is longer than any break.
        without_logs: of the slate's league; none for a simulated league.
        newest_lines: the newest date up to the slate that has prop lines, read only when no player has a line.
            None without one in two months, and for a simulated league.
        receipts: the slate's, oldest first.
        earlier_merges: newest first, at most some dozens.
        staged: player slug and id of the slate's parts in staging.
        strays: names among the slate's parts, or beside them, that are no parts.
        other_slates_staged: other slates that have parts in staging.
        fetches: the newest of each live source and kind of facts, of the last day.
        quarantine: the facts that wait for an operator, of every slate.
        requests: what each live source was asked this day and this month, of US Eastern time.
    """

    without_logs: GamesWithoutLogs
    newest_lines: date | None
    receipts: tuple[Receipt, ...]
    earlier_merges: tuple[EarlierMerge, ...]
    table: TableFacts
    staged: tuple[tuple[str, str], ...]
    other_slates_staged: tuple[str, ...]
    fetches: tuple[SourceFetch, ...] = ()
    quarantine: tuple[InQuarantine, ...] = ()
    without_schedule: tuple[date, date] | None = None
    requests: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    strays: tuple[str, ...] = ()


Causes = Mapping[str, tuple[str, ...]]
"""Why each player would be staged differently now, by slug."""


@dataclass(frozen=True, slots=True)
class StaleFacts:
    """What changed in the facts since a slate's players were staged.

    Attributes:
        due: of the players whose games are still to come.
        late: of the players whose games have begun: their rows are final.
        added: slugs of players who would be expected now and aren't.
        since: when the facts changed last; None when nobody knows.
        version: the version of the facts now.
        staged_from: the lowest one that a player was staged from.
    """

    due: Causes = field(default_factory=dict)
    late: Causes = field(default_factory=dict)
    added: tuple[str, ...] = ()
    since: datetime | None = None
    version: int = 0
    staged_from: int = 0


@dataclass(frozen=True, slots=True)
class RecentFailure:
    """A run or a tick that failed lately: the newest one of its work.

    Attributes:
        work: the job of a run, ``consolidation``; ``a tick of`` a sensor or schedule.
        slate: the run's, '' when it has none.
        at: when it failed.
        error: what went wrong first, one line, '' when Dagster has none.
        step: the step that failed first, '' when none did.
        run_id: of a run; '' for a tick.
        recovered: the same work succeeded later.
        page: of a tick: its code location, ``sensors`` or ``schedules``, and its name.
        refused: name and text of each blocking asset check that failed in the run.
    """

    work: str
    slate: str
    at: datetime
    error: str
    step: str = ""
    run_id: str = ""
    recovered: bool = False
    page: tuple[str, str, str] = ("", "", "")
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def is_tick(self) -> bool:
        """Whether a tick failed."""
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
    """The facts in the Dagster instance.

    Attributes:
        failures: failed runs and ticks, oldest first.
        daemon_silent_since: the newest heartbeat when every daemon is silent, or the oldest of those that Dagster
            misses; None while they beat, and when none ever ran here.
        code_versions: the package's versions that staged the slate's players.
        checks: asset checks that no receipt tells of.
    """

    failures: tuple[RecentFailure, ...]
    daemon_silent_since: datetime | None
    code_versions: tuple[str, ...]
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The installation's settings that findings depend on.

    Attributes:
        minimum_staged_share: below this share of the players not skipped, nothing is announced, 0 to 1.
        systems: the running code's forecasting systems and their versions.
        schema_version: the running code's schema of the predictions.
        code_version: of the running package.
        ui_url: where people reach the UI, '' when nobody said.
        time_zone: the operator's; lines are written in it.
        sources: the kinds of facts that the settings name a file or a live source for.
        staging: the folder of the parts, '' where they are no files.
        acknowledged_within: how long phase 6 may take to acknowledge a message; zero when it doesn't, and for a
            simulated league.
        fetch_every: the time between two looks at a source of tonight's facts.
        refresh_alert: the severity of a refresh; None: it is no alert.
        board: where people open the slate's board, '' where nobody can.
        rows_a_player: how many rows each player should have: markets x systems x lines.
    """

    minimum_staged_share: float
    systems: Mapping[str, str]
    schema_version: int
    code_version: str
    ui_url: str
    time_zone: str = "UTC"
    sources: frozenset[str] = frozenset()
    staging: str = ""
    acknowledged_within: timedelta = timedelta(0)
    fetch_every: timedelta = timedelta(0)
    refresh_alert: Severity | None = None
    board: str = ""
    rows_a_player: int = 25


NO_EVIDENCE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """Everything that a slate's findings are made from.

    Attributes:
        slate: the slate to report on.
        now: when the facts were read.
        window: failed runs and ticks are looked for this far back; a batch without a new outcome for this long is
            reported.
        roster_due: when the schedule opens the slate's batch; None for a simulated league's slates to come, which no
            schedule opens.
        progress: None when no batch was opened.
        schedule: None where the batch is open and nobody asked.
        warehouse: None where nobody asked: a look for alerts reads it only for a missing roster.
        dead_letters: the slate's open ones.
        instance: None where nobody asked.
        first_tip_off: when the slate's first game begins; None where nobody asked.
        tonight: how new the slate's lines and injury reports are; None where they need not be new, or nobody asked.
        unfinished: slates of failed runs whose batch is open and not done.
        named: the slate was named; otherwise it is tonight's.
        damage: what a quick check of batch state's file found, ``""`` if nothing.
        delivered: revisions at the messages' destination, by message id; None if nobody can look there.
        stale: what changed since the players were staged; None when nothing did, or nothing of the slate can change.
    """

    slate: str
    now: datetime
    window: timedelta
    roster_due: datetime | None
    rules: Rules
    progress: Progress | Unreadable | None
    schedule: ScheduleFacts | Unreadable | None
    warehouse: WarehouseFacts | Unreadable | None
    messages: tuple[OutboxEntry, ...] | Unreadable
    dead_letters: tuple[DeadLetter, ...] | Unreadable
    instance: InstanceFacts | Unreadable | None
    first_tip_off: datetime | None = None
    tonight: Tonight | Unreadable | None = None
    unfinished: frozenset[str] = frozenset()
    named: bool = False
    damage: str | Unreadable = ""
    delivered: Mapping[str, int] | None = None
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

    @property
    def pages(self) -> Pages:
        """The pages of the UI."""
        return Pages(self.rules.ui_url)

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
            link or self.pages.of(row.page, slate or self.slate),
            tuple(causes),
            alerts=row.alerts_from is not None and severity.rank >= row.alerts_from.rank,
        )

    def causes(self, *kinds: str) -> tuple[str, ...]:
        """Return the keys of this slate's findings of these kinds."""
        return tuple(f"{kind}:{self.slate}" for kind in kinds)

"""The facts that findings are made from: one typed record, the same for every store.

A source that couldn't be read is :class:`Unreadable` in the place of its facts, so that no finding takes silence for
health.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from prediction_assets.monitoring.findings import Pages
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.dead_letter import DeadLetter
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.reconcile import Behind, SlateCopies, behind


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A source whose facts couldn't be read.

    Attributes:
        source: its name: ``warehouse``.
        error: the error's text, one line.
    """

    source: str
    error: str


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """The slate in the schedule.

    Attributes:
        games: games on the slate.
        league: '' when no schedule was ingested.
        last_slate: the schedule's last date, None when no schedule was ingested.
        covered: the slate is within the schedule of a league.
    """

    games: int
    league: str
    last_slate: date | None
    covered: bool


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
        outcome: running, answered, nothing, or failed.
        problem: why it failed, '' when it didn't.
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
        without_logs: of the slate's league; none for a simulated league.
        first_tip_off: when the slate's first game begins.
        newest_lines: the newest date up to the slate that has prop lines, read only when no player has a line.
            None without one in two months, and for a simulated league.
        receipts: the slate's, oldest first.
        earlier_merges: newest first, at most some dozens.
        staged: player slug and id of the slate's parts in staging.
        other_slates_staged: other slates that have parts in staging.
        fetches: the newest of each live source and kind of facts, of the last day.
        quarantine: the facts that wait for an operator, of every slate.
    """

    schedule: ScheduleFacts
    first_tip_off: datetime
    without_logs: GamesWithoutLogs
    newest_lines: date | None
    receipts: tuple[Receipt, ...]
    earlier_merges: tuple[EarlierMerge, ...]
    table: TableFacts
    staged: tuple[tuple[str, str], ...]
    other_slates_staged: tuple[str, ...]
    fetches: tuple[SourceFetch, ...] = ()
    quarantine: tuple[InQuarantine, ...] = ()


@dataclass(frozen=True, slots=True)
class RecentFailure:
    """A run or a tick that failed within the window.

    Attributes:
        what: the job, sensor or schedule, with its slate if it has one: ``consolidation of 2026-01-02``.
        at: when it failed.
        error: what went wrong first, one line, '' when Dagster has none.
        run_id: of a run; '' for a tick.
        recovered: the same work succeeded later.
    """

    what: str
    at: datetime
    error: str
    run_id: str = ""
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """The facts in the Dagster instance.

    Attributes:
        failures: failed runs and ticks within the window, oldest first.
        daemon_silent_since: the newest heartbeat when every daemon is silent; None while one beats, and when none
            ever ran here.
        code_versions: the package's versions that staged the slate's players.
    """

    failures: tuple[RecentFailure, ...]
    daemon_silent_since: datetime | None
    code_versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """The installation's settings that findings depend on.

    Attributes:
        minimum_staged_share: below this share of the players not skipped, nothing is announced, 0 to 1.
        systems: the running code's forecasting systems and their versions.
        schema_version: the running code's schema of the predictions.
        code_version: of the running package.
        ui_url: where people reach the UI, '' when nobody said.
        acknowledged_within: how long phase 6 may take to acknowledge a message; zero when it doesn't, and for a
            simulated league.
    """

    minimum_staged_share: float
    systems: Mapping[str, str]
    schema_version: int
    code_version: str
    ui_url: str
    acknowledged_within: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """Everything that the ten lines of the health report are made from.

    Attributes:
        slate: the slate to report on.
        now: when the facts were read.
        window: failed runs and ticks are looked for this far back; a batch without a new outcome for this long is
            reported.
        roster_due: when the schedule opens the slate's batch; None for a simulated league, whose slates have no
            hour.
        named: the slate was named; otherwise it is tonight's.
        progress: None when no batch was opened.
        dead_letters: the slate's open ones.
        damage: what a quick check of batch state's file found, ``""`` if nothing.
        delivered: revisions at the messages' destination, by message id; None if nobody can look there.
    """

    slate: str
    now: datetime
    window: timedelta
    roster_due: datetime | None
    rules: Rules
    progress: Progress | Unreadable | None
    warehouse: WarehouseFacts | Unreadable
    messages: tuple[OutboxEntry, ...] | Unreadable
    dead_letters: tuple[DeadLetter, ...] | Unreadable
    instance: InstanceFacts | Unreadable
    named: bool = False
    damage: str | Unreadable = ""
    delivered: Mapping[str, int] | None = None

    @property
    def behind(self) -> tuple[Behind, ...]:
        """The stores that are behind the others, as far as they can be read."""
        if isinstance(self.warehouse, Unreadable) or isinstance(self.messages, Unreadable):
            return ()
        newest = next(reversed(self.warehouse.receipts), None)
        copy = self.progress.receipt if isinstance(self.progress, Progress) else None
        return behind(SlateCopies(newest, copy, self.messages, self.delivered))

    @property
    def pages(self) -> Pages:
        """The pages of the UI."""
        return Pages(self.rules.ui_url)

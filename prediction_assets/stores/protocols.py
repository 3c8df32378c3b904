"""Everything that is durable, on one page: what each store holds, and what callers may rely on.

Each profile implements these protocols, and one contract suite per protocol runs against both. The values that they
exchange are declared in ``slate``. Unless a method says otherwise, a write is durable when it returns, is safe to
repeat, and may run in any process at the same moment as any other.

Errors that any method may raise: ``StateUnreadable`` and ``WarehouseUnreadable`` (damaged, not permitted, not reached),
``WarehouseBusy`` (another process, or a quota, holds it), ``SchemaTooNew`` (a newer version made the store).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from prediction_assets.errors import BatchNotOpen

if TYPE_CHECKING:
    import pyarrow as pa

    from prediction_assets.slate.batch import Batch, Progress
    from prediction_assets.slate.completion_message import OutboxEntry
    from prediction_assets.slate.dead_letter import Closing, DeadLetter, Failure
    from prediction_assets.slate.merge_plan import MergePlan
    from prediction_assets.slate.outcome import PartRef, PlayerOutcome
    from prediction_assets.slate.receipt import Receipt
    from prediction_assets.stores.alert import Alert, Change
    from prediction_assets.stores.sql.tables import Table

# Batch state --------------------------------------------------------------------------------------


class BatchState(Protocol):
    """The expected players of each slate, frozen when its batch is opened, and how each of them ended."""

    def open(self, batch: Batch) -> Batch:
        """Freeze a batch, atomically. Opening the same batch again returns the first one.

        Raises:
            BatchConflict: the slate's batch is open with other expected players.
        """

    def reopen(self, batch: Batch) -> Batch:
        """Replace a slate's batch, atomically.

        A player keeps his outcome if his id, team, opponent and game are the same. The pinned features stay if nobody
        is new or changed. An outcome of the earlier batch that is recorded after this doesn't count: it may be about
        a game that isn't played.
        """

    def claim_fence(self, slate: str, above: int = 0) -> int:
        """Return a number that is higher than all that were claimed for the slate before, in any of its batches.

        A run claims it before it reads the batch or a fact: with a lower number it can't have read anything newer. The
        claim survives a power cut.

        Args:
            above: claim a number that is higher than this one, too: what the caller knows to be claimed, although batch
                state was restored from an older backup and doesn't know it.

        Raises:
            BatchNotOpen: the slate has no batch.
        """

    def pin_features(
        self, slate: str, snapshot_id: str, *, fence: int, facts_version: int, made_from: str = ""
    ) -> bool:
        """Record the feature snapshot that the slate's predictions are made from, and return whether it counts.

        A lower fence than the one of the pinned features changes nothing. After a reopening that dropped the pinned
        features, neither does a fence that was claimed before it.

        Args:
            made_from: what the features were made from, as a digest; ``""``: nothing is said of it.

        Raises:
            BatchNotOpen: the slate has no batch.
        """

    def record(self, outcomes: Sequence[PlayerOutcome]) -> None:
        """Set each player's outcome, blindly: nothing is read first, so concurrent writers don't contend.

        Of a player's outcomes the one with the highest fence counts, in whatever order they are recorded. Recording an
        outcome again replaces it and counts nothing twice; one with the same fence is from the same run, and its last
        one counts. An outcome of another batch than the slate's doesn't count, and hides none that does.

        An error may come after some of the outcomes are recorded; recording all of them again is right.
        """

    def progress(self, slate: str, only: Collection[str] | None = None) -> Progress | None:
        """Return the slate's batch as of one moment, None when it was never opened.

        Args:
            only: the slugs of the players whose outcomes the caller needs: the others' may be missing.

        A copy of a receipt that was edited by hand is left out, with a warning.
        """

    def recent_slates(self, since: datetime) -> Sequence[str]:
        """Return the slates whose batch was opened since then, oldest first."""

    def damage(self) -> str:
        """Return what a quick check of the stored bytes finds, ``""`` if nothing; it ends after two seconds."""

    def prune_outcomes(self, slate: str) -> int:
        """Prune the outcomes that don't count because a higher fence of their player does; return how many."""

    def mark_consolidated(self, receipt: Receipt) -> None:
        """Copy the slate's newest receipt, so that sensors needn't open the warehouse.

        A receipt of an older revision changes nothing. Of two receipts of one revision, the one that is copied last
        counts.
        """

    def consolidated(self, slate: str) -> Receipt | None:
        """Return the copy of the slate's newest receipt, None without one, or if it was edited by hand."""


def open_progress(state: BatchState, slate: str, only: Collection[str] | None = None) -> Progress:
    """Return the progress of a slate that has a batch.

    Args:
        only: the slugs of the players whose outcomes the caller needs: the others' may be missing.
    """
    progress = state.progress(slate, only)
    if progress is None:
        raise BatchNotOpen.on(slate)
    return progress


# Warehouse ----------------------------------------------------------------------------------------


class Parts(Protocol):
    """Each player's staged rows, from the staging run that writes them to the cleanup that drops them."""

    def write(self, slate: str, player_slug: str, rows: pa.Table, fence: int) -> PartRef:
        """Store one player's rows as a new part, beside his other ones; a reader sees all of it or nothing.

        It is durable after :meth:`flush`, and may be seen by nobody before that.
        """

    def flush(self, slate: str) -> None:
        """Make the slate's written parts durable; call it before an outcome refers to them."""

    def keep_fence(self, slate: str, fence: int) -> None:
        """Note durably that a fence is claimed: batch state may be restored from before that."""

    def highest_fence(self, slate: str) -> int:
        """Return the highest fence that was kept or that a part in staging has, 0 for none."""

    def staged(self, slate: str) -> Sequence[tuple[str, str]]:
        """Return player slug and id of each part in staging, sorted: a player's last one has his highest fence.

        The id is ``""`` for a part that can't be read.
        """

    def drop(self, slate: str, parts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Drop exactly these parts, player slug and id, and yield each one that was there; their others stay.

        A part is dropped when it is iterated. Parts that are dropped by one call cost the fewest jobs.
        """

    def slates(self) -> Sequence[str]:
        """Return the slates that have parts in staging."""

    def sweep(self, slate: str) -> int:
        """Remove what killed writes of the slate left behind and return how much; running writes are left alone."""

    def strays(self, slate: str) -> Sequence[str]:
        """Return the names in the staging area, or in the slate's, that aren't parts; nothing is removed."""


class Snapshots(Protocol):
    """Point-in-time features of slates, immutable and named by their content."""

    def write(self, slate: str, players: pa.Table, history: pa.Table) -> str:
        """Store a snapshot and return its id; the same content has the same id. It is readable only when whole."""

    def players(self, slate: str, snapshot_id: str, player_ids: Iterable[int] | None = None) -> pa.Table:
        """Return the features of a slate's players, one row each, or of these players only.

        Raises:
            SnapshotUnreadable: there is no such snapshot, or these rows are damaged.
        """

    def history(self, slate: str, snapshot_id: str) -> pa.Table:
        """Return a row per earlier player-game, with its outcome: what models are fitted on. It may be large.

        Raises:
            SnapshotUnreadable: there is no such snapshot, or these rows are damaged.
        """

    def is_whole(self, slate: str, snapshot_id: str) -> bool:
        """Return whether a snapshot is there and can be read."""

    def stored(self) -> Sequence[tuple[str, str]]:
        """Return slate and id of every snapshot, incomplete ones too, sorted."""

    def drop(self, slate: str, snapshot_id: str) -> None:
        """Drop a snapshot; nothing happens if it isn't there."""


@dataclass(frozen=True, slots=True)
class Upserted:
    """Rows that an upsert inserted, updated, left unchanged and removed (of replaced groups only)."""

    inserted: int
    updated: int
    unchanged: int
    removed: int = 0


class Warehouse(Protocol):
    """The declared tables: facts, predictions, receipts, models and grades; with the staging area and snapshots."""

    @property
    def parts(self) -> Parts:
        """The staging area that :meth:`merge` reads."""

    @property
    def snapshots(self) -> Snapshots:
        """The feature snapshots."""

    @property
    def output_table(self) -> str:
        """The view of the predictions in force, as a reader would name it in a query."""

    def upsert(
        self,
        table: Table,
        rows: pa.Table,
        replace_by: tuple[str, ...] = (),
        also_replaced: pa.Table | None = None,
    ) -> Upserted:
        """Insert new keys, update changed rows and leave the others alone, in one transaction.

        A change of a table of facts raises :meth:`facts_version`, in the same transaction. Rows that change nothing
        don't.

        Args:
            table: a declared table.
            rows: rows of its Arrow schema, unique by its key.
            replace_by: columns that name a group of rows. The new rows replace each of their groups as a whole.
            also_replaced: values of those columns for further groups to replace, even if no new row is in them.
        """

    def facts_version(self) -> int:
        """Return the version of the facts, 0 before the first ingestion. Facts read after this are at least as new."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one SELECT in DuckDB's dialect, with named parameters and without write access."""

    def reading(self) -> AbstractContextManager[None]:
        """Return a context for reads that follow each other at once: what it costs to open the warehouse, they share.

        A writer of an embedded warehouse waits until it ends, so nothing else belongs in it: no write, no wait for
        another thread, no long computation.
        """

    def merge(self, plan: MergePlan) -> Receipt:
        """Verify parts, close the rows that they replace, insert theirs, audit the slate and write the receipt.

        All of it is one transaction: either all is committed or nothing is. A row is inserted and later closed, and
        never changed. A receipt with the plan's id is returned as it is: the work was
        done before.

        Raises:
            PartMismatch: a part is missing, or its rows differ from what was recorded at staging.
            DuplicateKeys: staged rows share a business key, or are of another date.
            AuditRefused: a blocking audit refused the slate as it would be, and no operator accepted that.
            Overtaken: another MERGE of the slate was committed since the plan was made.
            GameBegan: a game began meanwhile whose players' rows it would change.
            ReceiptAltered: an earlier receipt of the slate was edited by hand.
        """

    def receipts(self, slate: str) -> tuple[Receipt, ...]:
        """Return the slate's receipts, oldest first.

        Raises:
            ReceiptAltered: one of them was edited by hand.
        """

    def prune_receipts(self, slate: str, receipt_ids: Sequence[str], now: datetime) -> int:
        """Empty the lists of these receipts of a slate and return how many had any; its newest one keeps its own."""

    def prune_closed_rows(self, slate: str, before: datetime, now: datetime) -> int:
        """Delete a slate's rows that were closed before a moment and return how many there were."""

    def waiting_at_most(self, seconds: float) -> Warehouse:
        """Return this warehouse for a caller that comes again soon: it waits no longer for other processes."""

    def cost(self) -> Mapping[str, int]:
        """Return what this object's work is billed for so far, by name; empty where nothing is billed."""


# Messages, dead letters, alerts -------------------------------------------------------------------


class Outbox(Protocol):
    """Completion messages and their deliveries. A message that is stored never changes."""

    def enqueue(self, entry: OutboxEntry) -> OutboxEntry:
        """Store an undelivered message, and mark the slate's older undelivered ones as replaced by it, atomically.

        Of processes that enqueue messages of one slate at the same moment, each sees what the others stored. A message
        id that is there keeps its first entry, and that is returned.

        Raises:
            OlderRevision: the slate has a newer message; nothing was changed.
        """

    def mark_delivered(self, message_id: str, delivery_id: str, delivered_at: datetime) -> OutboxEntry:
        """Record a delivery and return the entry; the first recorded delivery stays.

        Raises:
            PredictionAssetsError: there is no such message.
        """

    def mark_acknowledged(self, message_id: str, acknowledged_at: datetime) -> OutboxEntry:
        """Record that phase 6 has a message and return the entry; the first recorded moment stays.

        Raises:
            PredictionAssetsError: there is no such message.
        """

    def entries(self, slate: str | None = None) -> Sequence[OutboxEntry]:
        """Return the entries of one slate, or of all, in the order in which they were enqueued."""

    def drop_delivered(self, message_ids: Sequence[str]) -> int:
        """Prune these entries and return how many there were; one that is still to be delivered stays."""


TakeAcknowledgement = Callable[[bytes, datetime], bool]
"""Gets an acknowledgement's text and when it was sent, and returns False if it refuses it."""


class Publisher(Protocol):
    """Delivers completion messages to phase 6, at least once and in order within a slate, and hears back."""

    def publish(self, message: Mapping[str, Any]) -> str:
        """Deliver one message and return the delivery's id once the delivery is durable.

        Raises:
            PredictionAssetsError: it wasn't delivered, or nobody knows; the message stays in the outbox.
        """

    def delivered(self, slate: str) -> Mapping[str, int] | None:
        """Return the revision of each delivered message of a slate, by message id; None if nobody can look."""

    def take_acknowledgements(self, take: TakeAcknowledgement) -> None:
        """Hand over each acknowledgement that phase 6 sent, and remove it afterwards, a refused one too.

        When ``take`` raises, the acknowledgement stays and the error is raised.

        Raises:
            PredictionAssetsError: they can't be read.
        """


class DeadLetters(Protocol):
    """The failures of slate players, each from the run that gave up until a person or a MERGE settles it."""

    def add(self, failures: Sequence[Failure]) -> None:
        """Store failures, blindly; one of a slate, player and run that is there stays as it is."""

    def letters(self, slate: str | None = None, *, include_closed: bool = False) -> Sequence[DeadLetter]:
        """Return the letters of one slate, or of all, sorted by slate and slug.

        Args:
            include_closed: return closed letters too.
        """

    def close(self, slate: str, up_to: Mapping[str, int], how: Closing) -> int:
        """Close players' open failures up to a fence, and return how many of the players had one.

        Args:
            up_to: the fence of each player, by slug: a failure of a higher one stays open.
        """

    def drop_closed(self, slate: str, player_slugs: Iterable[str]) -> int:
        """Prune these players' closed failures and return how many there were; open ones stay."""


class AlertStore(Protocol):
    """Alerts, by the key of their finding."""

    def change(self, key: str, change: Change) -> Alert | None:
        """Replace an alert with what ``change`` returns for it, atomically, and return what is stored then.

        ``change`` may be called several times, because another process may write in between.
        """

    def unsettled(self) -> Sequence[Alert]:
        """Return the alerts that are open, or have a notice left to deliver, in the order in which they were opened."""

    def since(self, moment: datetime) -> Sequence[Alert]:
        """Return the alerts that were opened since then, settled ones too, oldest first."""

    def settled_before(self, moment: datetime) -> Sequence[Alert]:
        """Return the alerts that were settled before then, oldest first."""

    def drop_settled(self, keys: Sequence[str]) -> int:
        """Prune these alerts and return how many there were; an alert that isn't settled stays."""

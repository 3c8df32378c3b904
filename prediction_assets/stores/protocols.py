"""Everything that is durable, on one page: the ports that a profile implements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from prediction_assets.errors import BatchNotOpen
from prediction_assets.slate.batch import Batch, Progress
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.dead_letter import Closing, DeadLetter, Failure
from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.slate.outcome import PartRef, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.alert import Alert, Change
from prediction_assets.stores.sql.tables import Table


class AlertStore(Protocol):
    """Remembers alerts by their incident's key."""

    def change(self, key: str, change: Change) -> Alert | None:
        """Replace an alert by what ``change`` makes of it, atomically, and return what is there then.

        ``change`` is called again when somebody else was first.
        """

    def unsettled(self) -> Sequence[Alert]:
        """Return the alerts that last or have something left to say, longest first."""

    def since(self, moment: datetime) -> Sequence[Alert]:
        """Return the alerts that were opened since then, settled ones too, oldest first."""

    def settled_before(self, moment: datetime) -> Sequence[Alert]:
        """Return the alerts that were settled before then, oldest first."""

    def drop_settled(self, keys: Sequence[str]) -> int:
        """Delete these alerts and return how many there were; one that isn't settled, or not any more, stays."""


def open_progress(state: BatchState, slate: str) -> Progress:
    """Return a slate's batch as it stands.

    Raises:
        BatchNotOpen: the slate has no batch yet.
    """
    progress = state.progress(slate)
    if progress is None:
        raise BatchNotOpen.on(slate)
    return progress


class BatchState(Protocol):
    """Who is expected on a slate, and what became of each."""

    def open(self, batch: Batch) -> Batch:
        """Freeze a batch and return it; opening the same one again returns the first one.

        Raises:
            BatchConflict: the slate is open with other expected players.
        """

    def reopen(self, batch: Batch) -> Batch:
        """Replace a slate's expected players; outcomes of players who stay as they were are kept.

        Whose id, team, opponent or game changed has no outcome any more. The pinned features are kept when they
        are of all who are expected now: when nobody is new or changed. An outcome that is recorded for the
        earlier batch after this doesn't count: it may be about a game that isn't played.
        """

    def pin_features(self, slate: str, snapshot_id: str) -> None:
        """Say which feature snapshot the slate's predictions are made from."""

    def record(self, outcomes: Sequence[PlayerOutcome]) -> None:
        """Set each player's outcome; recording one again replaces it and counts nothing twice.

        One of another batch than the slate's is stored and doesn't count: its player has no outcome.

        A failure from before the outcome that is there changes nothing: whoever recorded that one knew more than
        a process that hung in between.
        """

    def progress(self, slate: str) -> Progress | None:
        """Return the slate's batch as it stands, None when it was never opened."""

    def recent_slates(self, since: datetime) -> Sequence[str]:
        """Return the slates whose batch was opened since then, oldest first."""

    def mark_consolidated(self, receipt: Receipt) -> None:
        """Keep a copy of the slate's newest receipt, so that sensors needn't open the warehouse."""


class DeadLetters(Protocol):
    """The failures of slate players, from the run that gave up to the person or the MERGE that settles them."""

    def add(self, failures: Sequence[Failure]) -> None:
        """Store failures; one of the same slate, player and run that is there already stays as it is."""

    def letters(self, slate: str | None = None, *, include_closed: bool = False) -> Sequence[DeadLetter]:
        """Return the letters of one slate or of all, by slate and slug; only open ones unless asked."""

    def close(self, slate: str, player_slugs: Iterable[str], how: Closing) -> int:
        """Close these players' open letters and return how many there were."""

    def drop_closed(self, slate: str, player_slugs: Iterable[str]) -> int:
        """Delete these players' closed failures and return how many there were; open ones stay."""


class Outbox(Protocol):
    """The events that were decided, and which of them are known to be delivered."""

    def enqueue(self, entry: OutboxEntry) -> OutboxEntry:
        """Store an event and return it; an id that is there already keeps its first entry."""

    def mark_delivered(self, message_id: str, delivery_id: str, delivered_at: datetime) -> OutboxEntry:
        """Record a delivery and return the entry."""

    def entries(self, slate: str | None = None) -> Sequence[OutboxEntry]:
        """Return the events, oldest first, of one slate or of all."""

    def drop_delivered(self, message_ids: Sequence[str]) -> int:
        """Delete these events and return how many there were; one that wasn't delivered stays."""


class Publisher(Protocol):
    """Delivers messages to whoever waits for Phase 5."""

    def publish(self, message: Mapping[str, Any]) -> str:
        """Deliver one message and return its id once the delivery is durable."""


@dataclass(frozen=True, slots=True)
class Upserted:
    """What an upsert did: rows inserted, updated, unchanged and removed (replaced groups only)."""

    inserted: int
    updated: int
    unchanged: int
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Point-in-time features of one slate.

    Attributes:
        players: one row per slate player.
        history: one row per earlier player-game, with its outcome: what models are fitted on.
    """

    snapshot_id: str
    players: pa.Table
    history: pa.Table


class Parts(Protocol):
    """Each player's staged rows, from the staging run that wrote them to the cleanup that drops them."""

    def write(self, slate: str, player_slug: str, rows: pa.Table) -> PartRef:
        """Store one player's rows as his part of the slate, replacing an earlier one atomically."""

    def staged(self, slate: str, before: datetime | None = None) -> Mapping[str, str]:
        """Return the part id that each player slug of the slate has in staging now.

        Args:
            before: only parts that were written before this moment, None for all.
        """

    def drop(self, slate: str, player_slug: str, part_id: str) -> bool:
        """Drop exactly this part; another part of the same player survives. False when there was none."""

    def slates(self) -> Sequence[str]:
        """Return the slates that have parts in staging."""

    def sweep(self, slate: str) -> int:
        """Remove what killed writes of the slate left behind, and nothing that is being written; return how much."""

    def strays(self, slate: str) -> Sequence[str]:
        """Return the names of what is in the staging area, or in the slate's, and is no part; it is left alone."""


class Snapshots(Protocol):
    """Feature snapshots, immutable and named by their content."""

    def write(self, slate: str, players: pa.Table, history: pa.Table) -> str:
        """Store a snapshot and return its id; the same content has the same id."""

    def read(self, slate: str, snapshot_id: str, player_ids: Iterable[int] | None = None) -> Snapshot:
        """Return a stored snapshot, with only these players' rows if given.

        Raises:
            PredictionAssetsError: there is no such snapshot.
        """

    def stored(self) -> Sequence[tuple[str, str]]:
        """Return slate and id of every snapshot, half of one too, sorted."""

    def drop(self, slate: str, snapshot_id: str) -> None:
        """Drop a snapshot; nothing if it isn't there."""


class Warehouse(Protocol):
    """Facts in, features out, parts merged."""

    @property
    def parts(self) -> Parts:
        """The staging area that :meth:`merge` reads."""

    @property
    def snapshots(self) -> Snapshots:
        """The feature snapshots."""

    @property
    def output_table(self) -> str:
        """The predictions table, as a reader would name it in a query."""

    def upsert(
        self,
        table: Table,
        rows: pa.Table,
        replace_by: tuple[str, ...] = (),
        also_replaced: pa.Table | None = None,
    ) -> Upserted:
        """Insert new keys, update changed ones, leave the others alone, in one transaction.

        Args:
            table: a declared table.
            rows: rows of its Arrow schema, unique by its key.
            replace_by: columns that name a group of rows which the new rows replace as a whole.
            also_replaced: groups that are replaced, too, although no new row may be in them: their values of the
                columns ``replace_by``.
        """

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one SELECT with named parameters, given in DuckDB's dialect, without write access."""

    def merge(self, consolidation: MergePlan) -> Receipt:
        """Merge parts, supersede what they replace and write the receipt, in one transaction.

        A receipt with the same id is returned as it is: the work was done before.

        Raises:
            PartMismatch: a part is missing, or its rows or hash are not the outcome's.
            DuplicateKeys: staged rows share a business key.
            RowsUnaccountedFor: staged is not inserted + updated + unchanged.
            Overtaken: another consolidation of the slate was committed since this one was decided.
            ReceiptAltered: an earlier receipt of the slate was edited by hand.
        """

    def waiting_at_most(self, seconds: float) -> Warehouse:
        """Return this warehouse for a caller who comes again soon: it waits at most so long for other processes."""

    def cost(self) -> Mapping[str, int]:
        """Return what this object's work is billed for so far, by name; empty where nothing is billed."""

    def receipts(self, slate: str) -> tuple[Receipt, ...]:
        """Return the slate's receipts, oldest first.

        Raises:
            ReceiptAltered: one of them was edited by hand.
        """

    def drop_receipts(self, slate: str, receipt_ids: Sequence[str]) -> int:
        """Delete these receipts of a slate and return how many there were; its newest one is never deleted."""

    def drop_superseded(self, slate: str, before: datetime) -> int:
        """Delete a slate's rows that went out of force before a moment, and return how many there were."""

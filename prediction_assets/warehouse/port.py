"""What the assets ask of a warehouse: three small protocols and the values they exchange.

:class:`Warehouse` holds facts, merged predictions and receipts; :class:`Parts` holds each player's staged
rows until a receipt covers them; :class:`Snapshots` holds point-in-time features. Implementations live
beside this module, one per technology, and pass one contract test-suite. Nothing of Dagster's belongs here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import pyarrow as pa

from prediction_assets.errors import PredictionAssetsError, TransientError
from prediction_assets.warehouse.tables import RECEIPTS, Table


class WarehouseBusy(TransientError):
    """Another process kept the warehouse for longer than we were told to wait."""


class WarehouseUnreadable(PredictionAssetsError):
    """The warehouse can't be opened: damaged, foreign, or not permitted."""


class NoPartsStaged(PredictionAssetsError):
    """A consolidation found no staged rows; the target was not touched and no part was dropped."""


class PartMismatch(PredictionAssetsError):
    """A part is gone, or isn't the one its completion named; the target was not touched."""


class DuplicateKeys(PredictionAssetsError):
    """Staged rows share a business key, or lack a part of it; the target was not touched."""


class RowsUnaccountedFor(PredictionAssetsError):
    """A MERGE didn't do what was counted before it; it was rolled back."""


class Overtaken(TransientError):
    """Another consolidation of the slate was committed since this one was decided; the target was not touched."""


class ReceiptAltered(PredictionAssetsError):
    """A receipt was edited after it was committed; nothing is merged, dropped or announced on its strength."""


@dataclass(frozen=True, slots=True)
class PartRef:
    """Names one written part and what it contains.

    Attributes:
        part_id: unique per write, so that a part written again is another part.
        rows: number of rows.
        content_hash: SHA-256 over the rows' sorted ``content_hash`` values.
    """

    slate: str
    player_slug: str
    player_id: int
    part_id: str
    rows: int
    content_hash: str
    schema_version: int
    feature_snapshot: str


@dataclass(frozen=True, slots=True)
class Upserted:
    """What an upsert did: rows inserted, updated, unchanged and removed (replaced groups only)."""

    inserted: int
    updated: int
    unchanged: int
    removed: int = 0


@dataclass(frozen=True, slots=True)
class MissingPlayer:
    """An expected player without staged rows, and why."""

    player_slug: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Consolidation:
    """A decided MERGE: what to consume and what to write into the receipt.

    Attributes:
        parts: the parts to merge; those that an earlier receipt covers are not among them.
        staged_player_ids: players whose rows stay in force, merged now or earlier.
        retained_player_ids: players whose earlier rows stay in force although they failed or didn't settle.
        after: the slate's newest receipt when this was decided, '' for none: the MERGE is refused after any other.
    """

    slate: str
    league: str
    batch_id: str
    receipt_id: str
    content_digest: str
    status: str
    parts: tuple[PartRef, ...]
    staged_player_ids: tuple[int, ...]
    retained_player_ids: tuple[int, ...]
    expected_players: int
    skipped_players: int
    failed_players: int
    feature_snapshot: str
    missing: tuple[MissingPlayer, ...] = ()
    after: str = ""


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """Rows that a MERGE staged, inserted, updated, left unchanged and superseded; active rows after it."""

    staged: int
    inserted: int
    updated: int
    unchanged: int
    superseded: int
    active: int


_SEALED = (
    "receipt_id",
    "slate",
    "league",
    "batch_id",
    "status",
    "content_digest",
    "expected_players",
    "staged_players",
    "skipped_players",
    "failed_players",
    "feature_snapshot",
    "parts",
    "missing",
)
"""What a receipt's seal covers: all that is decided before the MERGE. What the MERGE counts is left to the
check ``staged_rows_are_accounted_for``. A value added here makes every sealed receipt look altered."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One committed consolidation; the columns of ``consolidation_receipts``.

    Attributes:
        seal: what :meth:`computed_seal` gave when the receipt was made; None where an earlier version made it.
    """

    receipt_id: str
    slate: str
    league: str
    batch_id: str
    status: str
    revision: int
    content_digest: str
    expected_players: int
    staged_players: int
    skipped_players: int
    failed_players: int
    rows: int
    rows_staged: int
    rows_inserted: int
    rows_updated: int
    rows_unchanged: int
    rows_superseded: int
    feature_snapshot: str
    merge_ms: float
    consolidated_at: datetime
    parts: tuple[dict[str, Any], ...] = field(default=())
    missing: tuple[dict[str, Any], ...] = field(default=())
    seal: str | None = None

    @classmethod
    def of(
        cls,
        work: Consolidation,
        counts: MergeCounts,
        earlier: Sequence[Receipt],
        *,
        merge_ms: float,
        now: datetime,
    ) -> Receipt:
        """Return the receipt of a MERGE that did what was decided, to be committed with it.

        Args:
            earlier: the slate's receipts so far, oldest first; the newest one's content decides whether
                this consolidation is a new revision.
        """
        revision = earlier[-1].revision if earlier else 0
        if not earlier or earlier[-1].content_digest != work.content_digest:
            revision += 1
        receipt = cls(
            receipt_id=work.receipt_id,
            slate=work.slate,
            league=work.league,
            batch_id=work.batch_id,
            status=work.status,
            revision=revision,
            content_digest=work.content_digest,
            expected_players=work.expected_players,
            staged_players=len(work.staged_player_ids),
            skipped_players=work.skipped_players,
            failed_players=work.failed_players,
            rows=counts.active,
            rows_staged=counts.staged,
            rows_inserted=counts.inserted,
            rows_updated=counts.updated,
            rows_unchanged=counts.unchanged,
            rows_superseded=counts.superseded,
            feature_snapshot=work.feature_snapshot,
            merge_ms=round(merge_ms, 1),
            consolidated_at=now,
            parts=tuple(
                {
                    "player_slug": part.player_slug,
                    "part_id": part.part_id,
                    "rows": part.rows,
                    "content_hash": part.content_hash,
                }
                for part in work.parts
            ),
            missing=tuple(asdict(player) for player in work.missing),
        )
        return replace(receipt, seal=receipt.computed_seal())

    @property
    def takes_back(self) -> bool:
        """Whether nothing is to be predicted: no game is on any more, or every expected player was skipped.

        Only then may a slate have 0 rows: nobody failed and nobody is unsettled.
        """
        return self.skipped_players == self.expected_players

    def computed_seal(self) -> str:
        """Return SHA-256 over the values that were decided before the MERGE."""
        values = [getattr(self, name) for name in _SEALED]
        return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def is_altered(self) -> bool:
        """Whether a sealed value isn't the one that was committed; False for a receipt without a seal."""
        return self.seal is not None and self.seal != self.computed_seal()

    def to_row(self) -> dict[str, Any]:
        """Return the receipt as a row of the receipts table."""
        row = asdict(self)
        row["game_date"] = date.fromisoformat(row.pop("slate"))
        row["parts"] = json.dumps(list(self.parts))
        row["missing"] = json.dumps(list(self.missing))
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Receipt:
        """Return the receipt that a row of the receipts table holds.

        Raises:
            ReceiptAltered: it isn't the receipt that was committed.
        """
        values = dict(row)
        values["slate"] = values.pop("game_date").isoformat()
        try:
            values["parts"] = tuple(json.loads(values["parts"]))
            values["missing"] = tuple(json.loads(values["missing"]))
            receipt = cls(**values)
        except (TypeError, ValueError) as error:
            raise _altered(values, f"can't be read ({error})") from error
        if receipt.is_altered:
            raise _altered(values, "isn't what its seal was made for")
        return receipt


def later_than(earlier: Sequence[Receipt], now: datetime) -> datetime:
    """Return the moment that a slate's next receipt carries: now, or just after the newest one's.

    A clock that was set back must not make the next receipt look older than the ones before it.

    Args:
        earlier: the slate's receipts so far, oldest first.
    """
    return max([now, *(receipt.consolidated_at + timedelta(microseconds=1) for receipt in earlier[-1:])])


def _altered(values: Mapping[str, Any], problem: str) -> ReceiptAltered:
    return ReceiptAltered(
        f"slate {values['slate']}: receipt {values['receipt_id']} in {RECEIPTS.qualified_name} {problem}: it was "
        "edited by hand. Nothing of the slate is merged, dropped or announced until the row is restored from a "
        "backup, or its seal is set to NULL to accept it as it is"
    )


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

    def merge(self, consolidation: Consolidation) -> Receipt:
        """Merge parts, supersede what they replace and write the receipt, in one transaction.

        A receipt with the same id is returned as it is: the work was done before.

        Raises:
            PartMismatch: a part is missing, or its rows or hash are not the completion's.
            DuplicateKeys: staged rows share a business key.
            RowsUnaccountedFor: staged is not inserted + updated + unchanged.
            Overtaken: another consolidation of the slate was committed since this one was decided.
            ReceiptAltered: an earlier receipt of the slate was edited by hand.
        """

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

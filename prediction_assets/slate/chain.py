"""Verifies a slate's chain: rows against their hashes, rows against receipts, each receipt against the one before.

Pure functions: who has the rows and receipts of a slate needs nothing else. A stranger who noted the newest receipt's
hash before tip-off knows with it that nothing of the slate was changed, added or removed since.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from prediction_assets.slate.receipt import Receipt, rows_digest
from prediction_assets.slate.staged_rows import row_hashes


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """The first receipt of a slate that something contradicts."""

    sequence: int  # the receipt's place in the chain, 0 if there is no receipt to name
    receipt_id: str  # its id, '' if there is none
    reason: str  # what contradicts it


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What the verification of one slate found."""

    head: str  # the newest receipt's hash, '' without a receipt
    receipts: int  # how many receipts the chain has
    rows: int  # how many rows were hashed
    # receipts of which closed rows were pruned: their hash holds, and their rows can't be compared
    pruned: int = 0
    broken: BrokenLink | None = None  # the first broken link, None if everything holds
    hashes: tuple[str, ...] = ()  # each receipt's hash, oldest first


def verify_chain(receipts: Sequence[Receipt], rows: pa.Table, part_columns: Sequence[str]) -> ChainReport:
    """Return what a slate's chain is worth.

    Args:
        receipts: all receipts of the slate in their order, read without refusing edited ones
            (:meth:`Receipt.parsed`).
        rows: all rows of the slate with the columns of the predictions table.
        part_columns: the columns that a row's ``content_hash`` covers, in their declared order, and itself.
    """
    found = rows.select(list(part_columns))
    recomputed = row_hashes(found)
    columns = [rows[name].to_pylist() for name in _LEDGER_COLUMNS]
    ledger = [_Row(*values) for values in zip(*columns, recomputed, strict=True)]
    broken = min(_broken(receipts, ledger), key=lambda link: link.sequence, default=None)
    pruned = sum(receipt.pruned_at is not None for receipt in receipts)
    return ChainReport(
        head=receipts[-1].receipt_hash if receipts else "",
        receipts=len(receipts),
        rows=rows.num_rows,
        pruned=pruned,
        broken=broken,
        hashes=tuple(receipt.receipt_hash for receipt in receipts),
    )


_LEDGER_COLUMNS = (
    "player_slug",
    "system",
    "line",
    "content_hash",
    "receipt_id",
    "superseded_by",
    "is_active",
    "created_at",
    "superseded_at",
)


@dataclass(frozen=True, slots=True)
class _Row:
    player_slug: str
    system: str
    line: object
    content_hash: str
    receipt_id: str
    superseded_by: str | None
    is_active: bool
    created_at: object
    superseded_at: object
    recomputed: str

    def __str__(self) -> str:
        return f"the row of {self.player_slug}, {self.system} at {self.line}"


def _broken(receipts: Sequence[Receipt], rows: Sequence[_Row]) -> Iterator[BrokenLink]:
    by_id = {receipt.receipt_id: receipt for receipt in receipts}
    yield from _broken_receipts(receipts)
    inserted, closed = defaultdict(list), defaultdict(list)
    for row in rows:
        inserting, closing = by_id.get(row.receipt_id), by_id.get(row.superseded_by or "")
        if inserting is None:
            yield BrokenLink(0, "", f"{row} names receipt {row.receipt_id}, which isn't there")
            continue
        for reason in _contradictions(row, inserting, closing):
            yield BrokenLink(inserting.sequence, inserting.receipt_id, f"{row} {reason}")
        inserted[inserting.sequence].append(row.content_hash)
        if closing is not None:
            closed[closing.sequence].append(row.content_hash)
    in_force: Counter[str] = Counter()
    for receipt in receipts:
        in_force -= Counter(closed[receipt.sequence])
        in_force += Counter(inserted[receipt.sequence])
        found = in_force.total()
        # Closed rows of an earlier receipt may be pruned; what the newest one put into force never is.
        if receipt.pruned_at is not None and receipt is not receipts[-1] and found < receipt.rows:
            continue
        if found != receipt.rows or rows_digest(in_force.elements()) != receipt.rows_digest:
            reason = f"{found} rows were in force after it by the table, {receipt.rows} by the receipt"
            if found == receipt.rows:
                reason = f"the {receipt.rows} rows in force after it are other ones than the receipt's"
            yield BrokenLink(receipt.sequence, receipt.receipt_id, reason)


def _broken_receipts(receipts: Sequence[Receipt]) -> Iterator[BrokenLink]:
    before = ""
    for place, receipt in enumerate(receipts, start=1):
        if receipt.sequence != place:
            reason = f"receipt {place} of the slate isn't there: this is number {receipt.sequence}"
            yield BrokenLink(place, receipt.receipt_id, reason)
            return
        if receipt.is_altered:
            yield BrokenLink(place, receipt.receipt_id, "its values aren't what its hash was made for")
        if receipt.previous_hash != before:
            yield BrokenLink(place, receipt.receipt_id, "it doesn't follow the receipt before it")
        before = receipt.receipt_hash


def _contradictions(row: _Row, inserting: Receipt, closing: Receipt | None) -> Iterator[str]:
    if row.recomputed != row.content_hash:
        yield "has other values than its hash was made for"
    if row.created_at != inserting.consolidated_at:
        yield "wasn't inserted when its receipt was committed"
    if row.superseded_by is None:
        if not row.is_active or row.superseded_at is not None:
            yield "is closed, and no receipt closed it"
    elif row.is_active:
        yield "is in force, although a receipt closed it"
    elif closing is None or closing.sequence <= inserting.sequence:
        yield f"was closed by receipt {row.superseded_by}, which isn't a later one of the slate"
    elif row.superseded_at != closing.consolidated_at:
        yield "wasn't closed when its closing receipt was committed"

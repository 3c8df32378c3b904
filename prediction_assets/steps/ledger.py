"""Reads the ledger: what was in force at a time or revision, and whether the record of a slate still holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import pyarrow as pa

from prediction_assets.errors import BadInput, ChainBroken, ReceiptAltered
from prediction_assets.slate.basis import NOT_EXPECTED, why_changed
from prediction_assets.slate.chain import BrokenLink, ChainReport, verify_chain
from prediction_assets.slate.receipt import Receipt, rows_digest
from prediction_assets.slate.row_diff import PlayerDiff
from prediction_assets.slate.staged_rows import row_hashes
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import ledger_sql, merge_sql
from prediction_assets.stores.sql.tables import PART_COLUMNS

_PART_NAMES = [column.name for column in PART_COLUMNS]

_NEWEST_NAMED = 5
"""Slates that an error names."""


def receipts_of(warehouse: Warehouse, slate: str) -> tuple[Receipt, ...]:
    """Return the receipts of a slate that was merged, oldest first.

    Raises:
        BadInput: nothing of the slate was merged; the error names the newest slates of which something was.
    """
    receipts = warehouse.receipts(slate)
    if not receipts:
        merged = merged_slates(warehouse)
        newest = ", ".join(reversed(merged[-_NEWEST_NAMED:]))
        more = f" and {len(merged) - _NEWEST_NAMED} earlier ones" if len(merged) > _NEWEST_NAMED else ""
        raise BadInput(
            "--slate",
            f"nothing of {slate} was merged",
            hint=f"there are predictions of {newest}{more}" if merged else "there are no predictions yet",
        )
    return receipts


def merged_slates(warehouse: Warehouse, first: date = date.min, last: date = date.max) -> Sequence[str]:
    """Return the slates between two dates, these included, that have a receipt or a row, oldest first."""
    found = warehouse.query(ledger_sql.MERGED_SLATES, {"first": first, "last": last})
    return [slate.isoformat() for slate in found["game_date"].to_pylist()]


def read_rows(
    warehouse: Warehouse,
    slate: str,
    *,
    moment: datetime | None = None,
    revision: int | None = None,
    receipts: Sequence[Receipt] | None = None,
) -> tuple[Receipt, pa.Table]:
    """Return a slate's predictions and the receipt by which they were in force.

    Args:
        moment: return what was in force then.
        revision: return this one; without both, what is in force.
        receipts: the slate's receipts, if they were read just now.

    Raises:
        BadInput: nothing of the slate was merged, or nothing before the moment; it has no such revision, or rows of it
            were pruned.
    """
    receipts = receipts_of(warehouse, slate) if receipts is None else receipts
    if moment is not None:
        before = [each for each in receipts if each.consolidated_at <= moment]
        if not before:
            raise BadInput(
                "--as-of",
                f"slate {slate} had no predictions at {moment.isoformat()}",
                hint=f"its first ones are of {receipts[0].consolidated_at.isoformat()}",
            )
        return before[-1], _as_of(warehouse, slate, moment, receipts)
    number = receipts[-1].revision if revision is None else revision
    return _of_revision(warehouse, slate, number, receipts)


def rows_as_of(warehouse: Warehouse, slate: str, moment: datetime) -> pa.Table:
    """Return the predictions that were in force at a moment, with the columns of the predictions table.

    Raises:
        BadInput: rows that were in force then were pruned.
        ChainBroken: they aren't those of the receipt.
    """
    return _as_of(warehouse, slate, moment, warehouse.receipts(slate))


def rows_of_revision(warehouse: Warehouse, slate: str, revision: int) -> pa.Table:
    """Return the predictions that were in force as a revision, with the columns of the predictions table.

    Raises:
        BadInput: the slate has no such revision, or rows of it were pruned.
        ChainBroken: they aren't those of its receipt.
    """
    return _of_revision(warehouse, slate, revision, warehouse.receipts(slate))[1]


def _as_of(warehouse: Warehouse, slate: str, moment: datetime, receipts: Sequence[Receipt]) -> pa.Table:
    marks = {"slate": date.fromisoformat(slate), "moment": moment}
    rows = warehouse.query(ledger_sql.ROWS_AS_OF, marks)
    before = [each for each in receipts if each.consolidated_at <= moment]
    _require_whole(slate, rows, before[-1] if before else None)
    return rows


def _of_revision(
    warehouse: Warehouse, slate: str, revision: int, receipts: Sequence[Receipt]
) -> tuple[Receipt, pa.Table]:
    found = [receipt for receipt in receipts if receipt.revision == revision]
    if not found:
        known = ", ".join(str(number) for number in sorted({receipt.revision for receipt in receipts}))
        raise BadInput(
            "revision",
            f"slate {slate} has no revision {revision}",
            hint=f"it has {known}" if known else "nothing of it was merged yet",
        )
    given = {"slate": date.fromisoformat(slate), "revision": revision}
    rows = warehouse.query(ledger_sql.ROWS_OF_REVISION, given)
    _require_whole(slate, rows, found[-1])
    return found[-1], rows


def why_between(
    receipts: Sequence[Receipt], since: int, to: int, found: Sequence[PlayerDiff]
) -> dict[str, list[str]]:
    """Return why each player was staged again after one revision and up to another, in their order, by slug."""
    first, last = sorted((since, to))
    why: dict[str, list[str]] = {each.player_slug: [] for each in found}
    for revision in sorted({each.revision for each in receipts if first < each.revision <= last}):
        for slug, causes in why_changed(receipts, revision, why).items():
            why[slug] += [cause for cause in causes if cause != NOT_EXPECTED]
    for each in found:
        if each.change == "removed" and not why[each.player_slug]:
            why[each.player_slug].append(NOT_EXPECTED)
    return why


def verify_slate(warehouse: Warehouse, slate: str) -> ChainReport:
    """Recompute a slate's row hashes and its chain of receipts, and return what they are worth."""
    given = {"slate": date.fromisoformat(slate)}
    receipts = warehouse.query(merge_sql.RECEIPTS_OF_SLATE, given).to_pylist()
    rows = warehouse.query(ledger_sql.LEDGER, given)
    try:
        parsed = [Receipt.parsed(row) for row in receipts]
    except ReceiptAltered as error:
        return ChainReport("", len(receipts), rows.num_rows, broken=BrokenLink(0, "", str(error)))
    return verify_chain(parsed, rows, _PART_NAMES)


def _require_whole(slate: str, rows: pa.Table, receipt: Receipt | None) -> None:
    if receipt is not None and receipt.pruned_at is not None and rows.num_rows < receipt.rows:
        raise BadInput(
            "revision",
            f"{receipt.rows - rows.num_rows} of {receipt.rows} rows of slate {slate}, revision {receipt.revision}, "
            f"were pruned on {receipt.pruned_at:%Y-%m-%d}",
            hint="restore a backup from before, or ask for a newer revision",
        )
    if receipt is not None and rows_digest(row_hashes(rows.select(_PART_NAMES))) != receipt.rows_digest:
        raise ChainBroken(
            f"slate {slate}: the rows of revision {receipt.revision} aren't those that its receipt "
            f"{receipt.receipt_id} put into force; see `prediction-assets verify --from {slate} --to {slate}`, and "
            "restore the warehouse from a backup"
        )

"""Reads the ledger: what was in force at a time or revision, and whether the record of a slate still holds."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.slate.chain import ChainReport, verify_chain
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import ledger_sql, merge_sql
from prediction_assets.stores.sql.tables import PART_COLUMNS


def rows_as_of(warehouse: Warehouse, slate: str, moment: datetime) -> pa.Table:
    """Return the predictions that were in force at a moment, with the columns of the predictions table.

    Raises:
        BadInput: rows that were in force then were pruned.
    """
    of_slate = {"slate": date.fromisoformat(slate)}
    rows = warehouse.query(ledger_sql.ROWS_AS_OF, {**of_slate, "moment": moment})
    before = [each for each in warehouse.receipts(slate) if each.consolidated_at <= moment]
    _require_whole(slate, rows, before[-1] if before else None)
    return rows


def rows_of_revision(warehouse: Warehouse, slate: str, revision: int) -> pa.Table:
    """Return the predictions that were in force as a revision, with the columns of the predictions table.

    Raises:
        BadInput: the slate has no such revision, or rows of it were pruned.
    """
    receipts = warehouse.receipts(slate)
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
    return rows


def verify_slate(warehouse: Warehouse, slate: str) -> ChainReport:
    """Recompute a slate's row hashes and its chain of receipts, and return what they are worth.

    Raises:
        ReceiptAltered: a receipt can't be read at all.
    """
    given = {"slate": date.fromisoformat(slate)}
    receipts = warehouse.query(merge_sql.RECEIPTS_OF_SLATE, given).to_pylist()
    rows = warehouse.query(ledger_sql.LEDGER, given)
    return verify_chain(
        [Receipt.parsed(row) for row in receipts], rows, [column.name for column in PART_COLUMNS]
    )


def _require_whole(slate: str, rows: pa.Table, receipt: Receipt | None) -> None:
    if receipt is not None and receipt.pruned_at is not None and rows.num_rows < receipt.rows:
        raise BadInput(
            "revision",
            f"{receipt.rows - rows.num_rows} of {receipt.rows} rows of slate {slate}, revision {receipt.revision}, "
            f"were pruned on {receipt.pruned_at:%Y-%m-%d}",
            hint="restore a backup from before, or ask for a newer revision",
        )

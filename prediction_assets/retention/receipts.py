"""The long lists of old receipts, and closed rows.

A receipt itself stays for ever, because its hash is a link of the slate's chain. Its lists are kept while one of these
holds: it is its slate's newest; a row in force names it; it covers a part that is
in staging, or that an outcome names (else the player would be staged again); its completion message wasn't delivered.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from prediction_assets.errors import ReceiptAltered
from prediction_assets.retention.kinds import History, Pruned
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.sql import pruning_sql
from prediction_assets.stores.sql.tables import EARLIEST_SLATE

SLATES_PER_SLICE = 100
"""Slates whose receipts or rows one slice prunes, in a transaction each."""


def unneeded(
    receipts: Sequence[Receipt],
    old: Collection[str],
    staged: Iterable[tuple[str, str]],
    progress: Progress | None,
    entries: Iterable[OutboxEntry],
) -> tuple[list[str], dict[str, str]]:
    """Return the ids of a slate's receipts whose lists can go, and why each other old one is kept.

    Args:
        old: ids of those that are old, and that no row in force names.
        staged: player slug and part id of the parts in staging.
    """
    in_staging = {part_id for _, part_id in staged}
    named = {done.part.part_id for done in progress.outcomes.values() if done.part} if progress else set()
    undelivered = {entry.receipt_id for entry in entries if entry.is_pending}
    ids: list[str] = []
    kept: dict[str, str] = {}
    for receipt in receipts:
        parts = {part["part_id"] for part in receipt.parts}
        if receipt.receipt_id not in old:
            continue
        if receipt is receipts[-1]:
            kept[receipt.receipt_id] = "its slate's newest"
        elif parts & in_staging:
            kept[receipt.receipt_id] = "covers a part in staging"
        elif parts & named:
            kept[receipt.receipt_id] = "covers a part that an outcome names"
        elif receipt.receipt_id in undelivered:
            kept[receipt.receipt_id] = "its completion message wasn't delivered"
        else:
            ids.append(receipt.receipt_id)
    return ids, kept


def prune_receipts(history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Empty the lists of one slice of the old receipts."""
    by_slate = _old_receipts(history, history.before(keep_days))
    removed = 0
    slates: list[str] = []
    kept: dict[str, str] = {}
    for seen, (slate, old) in enumerate(by_slate.items()):
        if len(slates) == SLATES_PER_SLICE:
            return Pruned(removed, tuple(slates), kept, len(by_slate) - seen)
        try:
            receipts = history.warehouse.receipts(slate)
        except ReceiptAltered:
            kept[slate] = "a receipt of it was edited by hand"
            continue
        ids, needed = unneeded(
            receipts,
            old,
            history.warehouse.parts.staged(slate),
            history.state.progress(slate),
            history.outbox.entries(slate),
        )
        kept.update({f"{slate} {receipt}": why for receipt, why in needed.items()})
        if ids:
            removed += len(ids) if dry_run else history.warehouse.prune_receipts(slate, ids, history.now)
            slates.append(slate)
    return Pruned(removed, tuple(slates), kept)


def _old_receipts(history: History, before: datetime) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in history.warehouse.query(
        pruning_sql.OLD_RECEIPTS, {"before": before, "since": EARLIEST_SLATE}
    ).to_pylist():
        found.setdefault(row["game_date"].isoformat(), set()).add(row["receipt_id"])
    return found


def prune_closed_rows(history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Prune one slice of the rows that were closed long ago; an active row is never pruned."""
    before = history.before(keep_days)
    found = history.warehouse.query(
        pruning_sql.OLD_CLOSED_ROWS, {"before": before, "since": EARLIEST_SLATE}
    ).to_pylist()
    now = found[:SLATES_PER_SLICE]
    slates = tuple(row["game_date"].isoformat() for row in now)
    if dry_run:
        removed = sum(row["row_count"] for row in now)
    else:
        removed = sum(history.warehouse.prune_closed_rows(slate, before, history.now) for slate in slates)
    return Pruned(removed, slates, left=len(found) - len(now))

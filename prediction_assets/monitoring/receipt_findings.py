"""Was the slate merged, is its receipt right, and was it announced? By receipts and the outbox."""

from __future__ import annotations

from collections import Counter
from statistics import median

from prediction_assets.monitoring.evidence import HealthFacts, Unreadable
from prediction_assets.monitoring.findings import (
    SHOWN,
    Color,
    Finding,
    count,
    recent,
    run_command,
    under_way,
    unreadable,
    utc,
    waiting,
)
from prediction_assets.slate.completion_message import message_id, outbox_entry_of
from prediction_assets.slate.merge_plan import is_current_for

LEAST_HISTORY = 3
"""MERGEs before this one's rows and duration are compared with theirs."""

SLOW_FACTOR, SLOW_MS = 5.0, 2_000.0
"""A MERGE is slow when it took this many times its median, and this much longer: small ones vary by chance."""

ROWS_TOLERANCE = 0.2
"""A player has 5 systems x 5 lines = 25 rows; this share above or below the median is worth a look."""


def consolidation_receipt(facts: HealthFacts) -> Finding:
    """The warehouse holds a receipt of the batch's newest outcomes, and batch state knows it."""
    warehouse, progress = facts.warehouse, facts.progress
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if not warehouse.receipts:
        return waiting(facts, "no receipt: the slate wasn't consolidated")
    receipt = warehouse.receipts[-1]
    details = {
        "receipt_id": receipt.receipt_id, "status": receipt.status, "revision": receipt.revision,
        "consolidated_at": utc(receipt.consolidated_at), "receipts": len(warehouse.receipts),
        "missing": [f"{m['player_slug']}: {m['outcome']}: {m['reason']}" for m in receipt.missing][:SHOWN],
    }  # fmt: skip
    line = f"{receipt.status}, revision {receipt.revision}, at {utc(receipt.consolidated_at)}"
    if isinstance(progress, Unreadable) or progress is None:
        return Finding(Color.RED, f"{line}; batch state doesn't know of it", details, (run_command(facts),))
    if not is_current_for(receipt, progress):
        color = Color.YELLOW if under_way(facts, progress) else Color.RED
        return Finding(
            color,
            f"{line}; players settled anew since, not merged yet",
            details,
            (f"prediction-assets consolidate --slate {facts.slate}",),
        )
    if progress.receipt is None or progress.receipt.receipt_id != receipt.receipt_id:
        color = Color.YELLOW if recent(facts, receipt.consolidated_at) else Color.RED
        return Finding(
            color, f"{line}; merged, but the checks didn't pass or the cleanup didn't end", details,
            (f"prediction-assets status --slate {facts.slate}", run_command(facts)),
        )  # fmt: skip
    if receipt.status != "success":
        without = Counter(m["outcome"] for m in receipt.missing)
        said = ", ".join(f"{n} {outcome}" for outcome, n in sorted(without.items()))
        return Finding(
            Color.YELLOW,
            f"{line}; without {said or 'some players'}",
            details,
            (f"prediction-assets status --slate {facts.slate}",),
        )
    return Finding(Color.GREEN, line, details)


def merge(facts: HealthFacts) -> Finding:
    """The MERGE accounts for every staged row, and is like the ones before it."""
    warehouse = facts.warehouse
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if not warehouse.receipts:
        return waiting(facts, "nothing was merged")
    receipt = warehouse.receipts[-1]
    history = [m for m in warehouse.earlier_merges if m.parts]
    usual_ms = median(m.merge_ms for m in history) if history else None
    usual_rows = median(m.rows_staged / m.parts for m in history) if history else None
    details = {
        "rows_staged": receipt.rows_staged, "rows_inserted": receipt.rows_inserted,
        "rows_updated": receipt.rows_updated, "rows_unchanged": receipt.rows_unchanged,
        "rows_superseded": receipt.rows_superseded, "rows_in_force": receipt.rows,
        "parts": len(receipt.parts), "merge_ms": receipt.merge_ms,
        "earlier_merges": len(history), "median_ms": usual_ms, "median_rows_a_player": usual_rows,
    }  # fmt: skip
    line = (
        f"{receipt.rows_staged:,} staged = {receipt.rows_inserted:,} inserted + {receipt.rows_updated:,} updated "
        f"+ {receipt.rows_unchanged:,} unchanged, {receipt.merge_ms:.0f} ms"
    )
    again = (run_command(facts),)
    if receipt.rows_staged != receipt.rows_inserted + receipt.rows_updated + receipt.rows_unchanged:
        return Finding(Color.RED, f"{line}: rows are unaccounted for", details, again)
    if receipt.is_retraction and receipt.rows == 0:
        return Finding(Color.GREEN, f"{line}; nothing is to be predicted any more", details)
    if receipt.rows == 0 or (receipt.parts and receipt.rows_staged == 0):
        return Finding(Color.RED, f"{line}: a MERGE of 0 rows", details, again)
    if usual_ms is None or usual_rows is None or len(history) < LEAST_HISTORY:
        return Finding(
            Color.GREEN, f"{line}; too few to compare with: {count(len(history), 'earlier one')}", details
        )
    if receipt.parts:
        a_player = receipt.rows_staged / len(receipt.parts)
        if abs(a_player - usual_rows) > ROWS_TOLERANCE * usual_rows:
            return Finding(
                Color.YELLOW, f"{line}; {a_player:.0f} rows a player, usually {usual_rows:.0f}", details, again
            )  # fmt: skip
    if receipt.merge_ms > max(SLOW_FACTOR * usual_ms, usual_ms + SLOW_MS):
        return Finding(
            Color.YELLOW, f"{line}; slow: usually {usual_ms:.0f} ms", details,
            (f"prediction-assets status --slate {facts.slate}",),
        )  # fmt: skip
    return Finding(Color.GREEN, f"{line}; usually {usual_ms:.0f} ms", details)


def completion_published(facts: HealthFacts) -> Finding:
    """The completion of the newest receipt's content was published, and its delivery acknowledged."""
    warehouse, events = facts.warehouse, facts.events
    if isinstance(events, Unreadable):
        return unreadable(facts, events)
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if not warehouse.receipts:
        return waiting(facts, "nothing to announce yet")
    receipt = warehouse.receipts[-1]
    found = outbox_entry_of(receipt, events)
    details = {
        "message_id": message_id(receipt),
        "delivery_id": found.delivery_id if found else None,
        "delivered_at": utc(found.delivered_at) if found else None,
        "events": len(events),
        "events_pending": sum(e.delivery_id is None for e in events),
    }
    if found is not None and found.delivery_id is not None:
        status = found.message.get("status")
        return Finding(
            Color.GREEN, f"{status}, revision {receipt.revision}, delivered at {utc(found.delivered_at)}",
            details,
        )  # fmt: skip
    line = "the completion was stored, but not delivered" if found else "the completion wasn't published"
    color = Color.YELLOW if recent(facts, receipt.consolidated_at) else Color.RED
    commands = (
        ()
        if color is Color.YELLOW
        else (
            f"prediction-assets consolidate --slate {facts.slate}",
            f"prediction-assets republish --slate {facts.slate}",
        )
    )
    return Finding(color, line, details, commands)

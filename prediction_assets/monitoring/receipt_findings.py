"""Was the slate merged, is its receipt right, and was it announced? From receipts and the outbox."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from statistics import median

from prediction_assets.monitoring.alert_findings import is_under_way, unacknowledged, unpublished
from prediction_assets.monitoring.batch_findings import unreadable, waiting
from prediction_assets.monitoring.evidence import HealthFacts, Unreadable, WarehouseFacts
from prediction_assets.monitoring.findings import SHOWN, Finding, count, run_command, utc
from prediction_assets.monitoring.thresholds import (
    GRACE,
    LEAST_HISTORY,
    ROWS_TOLERANCE,
    SLOW_FACTOR,
    SLOW_MS,
)
from prediction_assets.slate.acknowledgement import handover
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import message_id, outbox_entry_of
from prediction_assets.slate.deadlines import is_recent
from prediction_assets.slate.merge_plan import is_current_for
from prediction_assets.slate.reconcile import Behind
from prediction_assets.stores.alert import Severity


def consolidation_receipt(facts: HealthFacts) -> Finding:
    """The warehouse holds a receipt of the batch's newest outcomes, and batch state knows it."""
    warehouse, progress, slate = facts.warehouse, facts.progress, facts.slate
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if Behind.WAREHOUSE in facts.behind:
        return _warehouse_behind(facts, warehouse)
    if not warehouse.receipts:
        return waiting(facts, "receipt", "no receipt: the slate wasn't consolidated")
    receipt = warehouse.receipts[-1]
    evidence = {
        "receipt_id": receipt.receipt_id, "status": receipt.status, "revision": receipt.revision,
        "consolidated_at": utc(receipt.consolidated_at), "receipts": len(warehouse.receipts),
        "missing": [f"{m['player_slug']}: {m['outcome']}: {m['reason']}" for m in receipt.missing][:SHOWN],
    }  # fmt: skip
    line = f"{receipt.status}, revision {receipt.revision}, at {utc(receipt.consolidated_at)}"

    def found(kind: str, severity: Severity, said: str, command: str, cause: str = "") -> Finding:
        return Finding(f"{kind}:{slate}", severity, f"{line}; {said}", slate, command, evidence, cause=cause)

    if isinstance(progress, Unreadable) or progress is None:
        cause = f"unreadable:{progress.error}" if isinstance(progress, Unreadable) else ""
        said = "batch state doesn't know of it"
        return found("unknown_receipt", Severity.ERROR, said, run_command(slate), cause)
    if not is_current_for(receipt, progress):
        severity = Severity.INFO if is_under_way(progress, facts.now) else Severity.ERROR
        kind = "no_receipt" if progress.receipt is None else "outdated_receipt"
        return found(
            "receipt", severity, "players settled after it, not merged yet",
            run_command(slate), cause=f"{kind}:{slate}",
        )  # fmt: skip
    if progress.receipt is None or progress.receipt.receipt_id != receipt.receipt_id:
        severity = Severity.INFO if is_recent(receipt.consolidated_at, facts.now, GRACE) else Severity.ERROR
        said = "merged, but the cleanup didn't end"
        return found("unchecked_receipt", severity, said, run_command(slate))
    if receipt.status != "success":
        without = Counter(m["outcome"] for m in receipt.missing)
        missing = ", ".join(f"{n} {outcome}" for outcome, n in sorted(without.items()))
        return found(
            "partial_receipt", Severity.WARNING, f"without {missing or 'some players'}",
            f"prediction-assets status --slate {slate}", cause=f"unsettled:{slate}",
        )  # fmt: skip
    return Finding(f"receipt:{slate}", Severity.OK, line, slate, evidence=evidence)


def _warehouse_behind(facts: HealthFacts, warehouse: WarehouseFacts) -> Finding:
    """Return the finding about a warehouse that was lost, or restored from an older backup."""
    messages = () if isinstance(facts.messages, Unreadable) else facts.messages
    copy = facts.progress.receipt if isinstance(facts.progress, Progress) else None
    evidence = {
        "revision_in_warehouse": warehouse.receipts[-1].revision if warehouse.receipts else None,
        "revision_in_batch_state": copy.revision if copy else None,
        "revision_in_outbox": max((entry.revision for entry in messages), default=None),
        "revision_at_destination": max((facts.delivered or {}).values(), default=None),
    }
    newest = max(revision for revision in evidence.values() if revision is not None)
    return Finding(
        f"behind_warehouse:{facts.slate}",
        Severity.ERROR,
        f"revision {newest} was merged or announced, and the warehouse doesn't have it: it was lost, or restored from "
        "an older backup. gap_sensor stages and merges the slate again",
        facts.slate,
        run_command(facts.slate),
        evidence,
    )


def merge(facts: HealthFacts) -> Finding:
    """The MERGE accounts for every staged row, and is like the ones before it."""
    warehouse, slate = facts.warehouse, facts.slate
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if not warehouse.receipts:
        return waiting(facts, "merge", "nothing was merged")
    receipt = warehouse.receipts[-1]
    history = [m for m in warehouse.earlier_merges if m.parts]
    usual_ms = median(m.merge_ms for m in history) if history else None
    usual_rows = median(m.rows_staged / m.parts for m in history) if history else None
    evidence = {
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

    def found(kind: str, severity: Severity, said: str, command: str = "") -> Finding:
        return Finding(f"{kind}:{slate}", severity, line + said, slate, command, evidence)

    if receipt.rows_staged != receipt.rows_inserted + receipt.rows_updated + receipt.rows_unchanged:
        return found("rows_lost", Severity.CRITICAL, ": rows are unaccounted for", run_command(slate))
    if receipt.is_retraction and receipt.rows == 0:
        return found("merge", Severity.OK, "; there is nothing to predict any more")
    if receipt.rows == 0 or (receipt.parts and receipt.rows_staged == 0):
        return found("empty_merge", Severity.CRITICAL, ": a MERGE of 0 rows", run_command(slate))
    if usual_ms is None or usual_rows is None or len(history) < LEAST_HISTORY:
        earlier = count(len(history), "earlier one")
        return found("merge", Severity.OK, f"; too few to compare with: {earlier}")
    if receipt.parts:
        a_player = receipt.rows_staged / len(receipt.parts)
        if abs(a_player - usual_rows) > ROWS_TOLERANCE * usual_rows:
            said = f"; {a_player:.0f} rows a player, usually {usual_rows:.0f}"
            return found("unusual_rows", Severity.WARNING, said, run_command(slate))
    if receipt.merge_ms > max(SLOW_FACTOR * usual_ms, usual_ms + SLOW_MS):
        said = f"; slow: usually {usual_ms:.0f} ms"
        return found("slow_merge", Severity.WARNING, said, f"prediction-assets status --slate {slate}")
    return found("merge", Severity.OK, f"; usually {usual_ms:.0f} ms")


def completion_published(facts: HealthFacts) -> Finding:
    """The completion message of the newest receipt's content was delivered, and phase 6 acknowledged it."""
    warehouse, messages, slate = facts.warehouse, facts.messages, facts.slate
    if isinstance(messages, Unreadable):
        return unreadable(facts, messages)
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if not warehouse.receipts:
        return waiting(facts, "published", "nothing to announce yet")
    receipt = warehouse.receipts[-1]
    entry = outbox_entry_of(receipt, messages)
    evidence = {
        "message_id": message_id(receipt),
        "delivery_id": entry.delivery_id if entry else None,
        "delivered_at": utc(entry.delivered_at) if entry else None,
        "acknowledged_at": utc(entry.acknowledged_at) if entry else None,
        "messages": len(messages),
        "messages_pending": sum(each.is_pending for each in messages),
    }
    if entry is None or entry.delivery_id is None:
        missing = unpublished(receipt, entry, facts.now, facts.pages)
        return replace(missing, evidence=evidence, cause=f"unchecked_receipt:{slate}")
    if Behind.DELIVERY in facts.behind:
        return Finding(
            f"missing_delivery:{slate}",
            Severity.ERROR,
            f"revision {receipt.revision} was delivered as {entry.delivery_id}, which isn't there any more. gap_sensor "
            "delivers it again under the same id",
            slate,
            f"prediction-assets republish --slate {slate}",
            evidence,
        )
    line = (
        f"{entry.message.get('status')}, revision {receipt.revision}, delivered at {utc(entry.delivered_at)}"
    )
    came, within = handover(messages), facts.rules.acknowledged_within
    waits = unacknowledged(slate, came, warehouse.first_tip_off, within, facts.now, facts.pages)
    if waits is not None and waits.severity is not Severity.OK:
        return replace(waits, evidence={**evidence, **waits.evidence})
    if waits is not None:
        line += f"; phase 6 has until {waits.evidence['acknowledgement_due']} to acknowledge it"
    if entry.acknowledged_at is not None:
        line += f", acknowledged at {utc(entry.acknowledged_at)}"
    return Finding(f"published:{slate}", Severity.OK, line, slate, evidence=evidence)

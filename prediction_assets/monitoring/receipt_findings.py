"""Was the slate merged, is its receipt right, and was it announced? From receipts and the outbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from prediction_assets.monitoring.batch_findings import is_under_way, waiting
from prediction_assets.monitoring.finding_kinds import CRITICAL, ERROR, INFO, WARNING
from prediction_assets.monitoring.findings import SHOWN, Finding, count, utc
from prediction_assets.monitoring.health_facts import HealthFacts, Unreadable, WarehouseFacts
from prediction_assets.monitoring.thresholds import (
    GRACE,
    LEAST_HISTORY,
    ROWS_TOLERANCE,
    SLOW_FACTOR,
    SLOW_MS,
    UNPUBLISHED_AFTER,
)
from prediction_assets.slate.acknowledgement import acknowledgement_due, handover
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry, message_id, outbox_entry_of
from prediction_assets.slate.deadlines import end_of_slate, is_recent
from prediction_assets.slate.merge_plan import is_current_for
from prediction_assets.slate.reconcile import Behind


def consolidation_receipt(facts: HealthFacts) -> Finding:
    """The warehouse holds a receipt of the batch's newest outcomes, and batch state knows it."""
    progress, receipt = facts.progress, facts.receipt
    if isinstance(facts.warehouse, WarehouseFacts) and Behind.WAREHOUSE in facts.behind:
        return _warehouse_behind(facts, facts.warehouse)
    if receipt is None:
        return waiting(facts, "receipt", "no receipt: the slate wasn't consolidated")
    evidence = {
        "receipt_id": receipt.receipt_id, "status": receipt.status, "revision": receipt.revision,
        "consolidated_at": utc(receipt.consolidated_at),
        "missing": [f"{m['player_slug']}: {m['outcome']}: {m['reason']}" for m in receipt.missing][:SHOWN],
    }  # fmt: skip
    line = f"{receipt.status}, revision {receipt.revision}, at {facts.at(receipt.consolidated_at)}"
    if not isinstance(progress, Progress):
        causes = (f"unreadable:{progress.error}",) if isinstance(progress, Unreadable) else ()
        said = f"{line}; batch state doesn't know of it"
        return facts.found("unknown_receipt", said, evidence, causes=causes)
    if not is_current_for(receipt, progress):
        return facts.found(
            "nothing_yet",
            f"{line}; players settled after it, not merged yet",
            evidence,
            severity=INFO if is_under_way(facts, progress) else ERROR,
            causes=facts.causes("no_receipt", "outdated_receipt"),
            about="receipt",
        )
    if progress.receipt is None or progress.receipt.receipt_id != receipt.receipt_id:
        recent = is_recent(receipt.consolidated_at, facts.now, GRACE)
        said = f"{line}; merged, but the cleanup didn't end"
        return facts.found("unchecked_receipt", said, evidence, severity=INFO if recent else ERROR)
    if receipt.status != "success":
        without = Counter(m["outcome"] for m in receipt.missing)
        missing = ", ".join(f"{n} {outcome}" for outcome, n in sorted(without.items()))
        said = f"{line}; without {missing or 'some players'}"
        return facts.found(
            "partial_receipt", said, evidence, causes=facts.causes("failed_players", "unsettled")
        )
    return facts.fine("receipt", line, evidence)


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
    return facts.found(
        "behind_warehouse",
        f"revision {newest} was merged or announced, and the warehouse doesn't have it: it was lost, or restored from "
        "an older backup. gap_sensor stages and merges the slate again",
        evidence,
    )


def merge(facts: HealthFacts) -> Finding:
    """The MERGE accounts for every staged row, and is like the ones before it."""
    receipt = facts.receipt
    if receipt is None or not isinstance(facts.warehouse, WarehouseFacts):
        return waiting(facts, "merge", "nothing was merged")
    history = [m for m in facts.warehouse.earlier_merges if m.parts]
    usual_ms = median(m.merge_ms for m in history) if history else None
    usual_rows = median(m.rows_staged / m.parts for m in history) if history else None
    evidence = {
        "rows_staged": receipt.rows_staged, "rows_inserted": receipt.rows_inserted,
        "rows_updated": receipt.rows_updated, "rows_unchanged": receipt.rows_unchanged,
        "rows_superseded": receipt.rows_superseded, "rows_in_force": receipt.rows,
        "parts": len(receipt.parts), "merge_ms": receipt.merge_ms,
        "earlier_merges": len(history), "median_ms": usual_ms, "median_rows_a_player": usual_rows,
        "expected_rows_a_player": facts.rules.rows_a_player,
    }  # fmt: skip
    line = (
        f"{receipt.rows_staged:,} staged = {receipt.rows_inserted:,} inserted + {receipt.rows_updated:,} updated "
        f"+ {receipt.rows_unchanged:,} unchanged, {receipt.merge_ms:.0f} ms"
    )
    if receipt.rows_staged != receipt.rows_inserted + receipt.rows_updated + receipt.rows_unchanged:
        return facts.found("rows_lost", f"{line}: rows are unaccounted for", evidence)
    if receipt.is_retraction and receipt.rows == 0:
        return facts.fine("merge", f"{line}; there is nothing to predict any more", evidence)
    if receipt.rows == 0 or (receipt.parts and receipt.rows_staged == 0):
        return facts.found("empty_merge", f"{line}: a MERGE of 0 rows", evidence)
    if usual_ms is None or usual_rows is None or len(history) < LEAST_HISTORY:
        few = f"{line}; too few to compare with: {count(len(history), 'earlier one')}"
        return facts.fine("merge", few, evidence)
    a_player = receipt.rows_staged / len(receipt.parts) if receipt.parts else usual_rows
    # As many as the settings ask for are right, whatever they asked for before.
    if a_player != facts.rules.rows_a_player and abs(a_player - usual_rows) > ROWS_TOLERANCE * usual_rows:
        said = f"{line}; {a_player:.0f} rows a player, usually {usual_rows:.0f}"
        return facts.found("unusual_rows", said, evidence)
    if receipt.merge_ms > max(SLOW_FACTOR * usual_ms, usual_ms + SLOW_MS):
        return facts.found("slow_merge", f"{line}; slow: usually {usual_ms:.0f} ms", evidence)
    return facts.fine("merge", f"{line}; usually {usual_ms:.0f} ms", evidence)


def completion_published(facts: HealthFacts) -> Finding:
    """The completion message of the newest receipt's content was delivered, and phase 6 acknowledged it."""
    receipt, now = facts.receipt, facts.now
    if receipt is None or isinstance(facts.messages, Unreadable):
        return waiting(facts, "published", "nothing to announce yet")
    entry = outbox_entry_of(receipt, facts.messages)
    evidence = {
        "message_id": message_id(receipt),
        "delivery_id": entry.delivery_id if entry else None,
        "delivered_at": utc(entry.delivered_at) if entry else None,
        "acknowledged_at": utc(entry.acknowledged_at) if entry else None,
        "messages": len(facts.messages),
        "messages_pending": sum(each.is_pending for each in facts.messages),
    }
    if entry is None or entry.delivery_id is None:
        since, what = receipt.consolidated_at, "published" if entry is None else "delivered"
        line = f"consolidated at {facts.at(since)} and not announced: the completion message wasn't {what}"
        if is_recent(since, now, GRACE):
            return facts.found("unpublished", line, evidence, severity=INFO)
        return facts.found(
            "unpublished",
            f"{line}; phase 6 waits",
            evidence,
            severity=CRITICAL if now >= since + UNPUBLISHED_AFTER else ERROR,
            causes=facts.causes("run:completion", "unknown_receipt", "unchecked_receipt", "outdated_receipt"),
        )
    if Behind.DELIVERY in facts.behind:
        return facts.found(
            "missing_delivery",
            f"revision {receipt.revision} was delivered as {entry.delivery_id}, which isn't there any more. gap_sensor "
            "delivers it again under the same id",
            evidence,
        )
    line = f"{entry.message.get('status')}, revision {receipt.revision}, delivered at {facts.at(entry.delivered_at)}"
    if entry.acknowledged_at is not None:
        line += f", acknowledged at {facts.at(entry.acknowledged_at)}"
    return _acknowledged(facts, facts.messages, line, evidence)


def _acknowledged(
    facts: HealthFacts, messages: Sequence[OutboxEntry], line: str, evidence: Mapping[str, object]
) -> Finding:
    """Return the finding about a delivered revision: phase 6 acknowledged it, has time left, or may be down."""
    came, within, begins = handover(messages), facts.rules.acknowledged_within, facts.first_tip_off
    if came.waiting_since is None or not within or begins is None:
        return facts.fine("published", line, evidence)
    due = acknowledgement_due(came.waiting_since, begins, within)
    evidence = {
        **evidence,
        "delivered_revision": came.revision,
        "acknowledged_revision": came.acknowledged or None,
        "waiting_since": utc(came.waiting_since),
        "acknowledgement_due": utc(due),
        "first_tip_off": utc(begins),
    }
    if facts.now < due:
        said = f"{line}; phase 6 has until {facts.at(due)} to acknowledge it"
        return facts.fine("published", said, evidence)
    has = f"it has revision {came.acknowledged}" if came.acknowledged else "it has none of the slate"
    # A slate that is run after its games is nobody's emergency.
    late = came.waiting_since < end_of_slate(facts.slate)
    return facts.found(
        "unacknowledged",
        f"revision {came.revision} is delivered and not acknowledged, since {facts.at(came.waiting_since)}: phase 6 "
        f"may be down ({has}); the first game {'begins' if facts.now < begins else 'began'} at {facts.at(begins)}",
        evidence,
        severity=CRITICAL if late else WARNING,
    )

"""Announce: a receipt's completion message is stored in the outbox, delivered, and its delivery recorded.

Only a slate's newest revision is announced; the outbox refuses an older one. Killed anywhere, the next call finds the
message in the outbox and delivers it under the same id. What a message says is in
:mod:`prediction_assets.slate.completion_message`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from prediction_assets.errors import NothingToAnnounce, OlderRevision
from prediction_assets.slate.basis import why_changed
from prediction_assets.slate.completion_message import (
    Changes,
    OutboxEntry,
    completion_message,
    message_id,
    validate_completion,
)
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import Outbox, Publisher, Warehouse
from prediction_assets.stores.sql import queries


def receipt_to_announce(slate: str, receipts: Sequence[Receipt], receipt_id: str | None = None) -> Receipt:
    """Return a slate's newest receipt, or the named one if its revision is the newest.

    Args:
        receipts: the slate's receipts, oldest first.
        receipt_id: None for the newest.

    Raises:
        NothingToAnnounce: there is no such receipt.
        OlderRevision: a newer revision was merged since.
    """
    named = [receipt for receipt in receipts if receipt_id is None or receipt.receipt_id == receipt_id]
    if not named:
        raise NothingToAnnounce(
            f"slate {slate}: {f'no receipt {receipt_id}' if receipt_id else 'no receipt'} in the warehouse; run "
            f"`prediction-assets consolidate --slate {slate}` first"
        )
    newest = receipts[-1]
    if named[-1].revision < newest.revision:
        raise OlderRevision(
            f"slate {slate}: revision {named[-1].revision} (receipt {named[-1].receipt_id}) isn't announced, because "
            f"revision {newest.revision} (receipt {newest.receipt_id}) is newer. Deliver that one: "
            f"`prediction-assets republish --slate {slate}`"
        )
    return named[-1]


def read_changes(
    receipt: Receipt, warehouse: Warehouse, receipts: Sequence[Receipt] | None = None
) -> Changes:
    """Return what a receipt's revision changed, against the revision before it.

    Args:
        receipts: the slate's receipts, if they were read just now.
    """
    marks = {"slate": parse_slate(receipt.slate), "revision": receipt.revision}
    as_of = {"slate": marks["slate"], "moment": receipt.consolidated_at}
    with warehouse.reading():
        found = warehouse.query(queries.CHANGES_OF_REVISION, marks).to_pylist()
        (bets,) = warehouse.query(queries.BETS_AS_OF, as_of)["bets"].to_pylist()
    changed = tuple(row["player_slug"] for row in found)
    known = warehouse.receipts(receipt.slate) if receipts is None else receipts
    why = why_changed(known, receipt.revision, changed)
    return Changes(changed, sum(row["flipped"] for row in found), bets, why)


def announce(
    receipt: Receipt,
    changes: Changes,
    outbox: Outbox,
    publisher: Publisher,
    *,
    output_table: str,
    board: str = "",
    now: Callable[[], datetime],
    redeliver: bool = False,
) -> tuple[OutboxEntry, bool]:
    """Publish a receipt's completion message once per content, and again if the destination has lost it.

    Args:
        changes: :func:`read_changes` of the receipt.
        output_table: the predictions table, as a reader names it in a query.
        board: where people open the slate's board, '' where nobody can.
        now: returns the time.
        redeliver: deliver a message that was published before once more, under the same id.

    Returns:
        the message's outbox entry, and whether the message was published before.

    Raises:
        InvalidMessage: the receipt can't be announced (no rows although something is to be predicted), or its message
            in the outbox was damaged.
        OlderRevision: the outbox has a newer message of the slate; this one isn't delivered.
    """
    entry = outbox.enqueue(
        OutboxEntry(
            message_id=message_id(receipt),
            slate=receipt.slate,
            receipt_id=receipt.receipt_id,
            revision=receipt.revision,
            message=completion_message(
                receipt, changes, output_table=output_table, board=board, published_at=now()
            ),
        )
    )
    reached("outbox_written")
    # Again, as the last thing before the delivery: this process may have been paused since, and another one may have
    # announced a newer revision.
    entry = outbox.enqueue(entry)
    validate_completion(entry.message)  # it may have been stored long ago
    published_before = entry.delivery_id is not None
    if published_before and not redeliver and not _is_missing(entry, publisher):
        return entry, True
    delivery_id = publisher.publish(entry.message)
    reached("published")
    entry = outbox.mark_delivered(entry.message_id, delivery_id, now())
    reached("publish_recorded")
    return entry, published_before


def _is_missing(entry: OutboxEntry, publisher: Publisher) -> bool:
    delivered = publisher.delivered(entry.slate)
    return delivered is not None and entry.message_id not in delivered

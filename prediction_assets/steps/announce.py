"""Announce: a receipt's completion message is stored in the outbox, delivered, and its delivery recorded.

Killed anywhere, the next call finds the message in the outbox and delivers it under the same id. What a message says is
in :mod:`prediction_assets.slate.completion_message`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from prediction_assets.slate.completion_message import OutboxEntry, completion_message, message_id
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import Outbox, Publisher


def announce(
    receipt: Receipt,
    outbox: Outbox,
    publisher: Publisher,
    *,
    output_table: str,
    now: Callable[[], datetime],
    redeliver: bool = False,
) -> tuple[OutboxEntry, bool]:
    """Publish a receipt's completion message once per content.

    Args:
        output_table: the predictions table, as a reader names it in a query.
        now: returns the time.
        redeliver: deliver a message that was published before once more, under the same id.

    Returns:
        the message's outbox entry, and whether the message was published before.

    Raises:
        InvalidMessage: the receipt can't be announced (no rows although something is to be predicted).
    """
    entry = outbox.enqueue(
        OutboxEntry(
            message_id=message_id(receipt),
            slate=receipt.slate,
            receipt_id=receipt.receipt_id,
            message=completion_message(receipt, output_table=output_table, published_at=now()),
        )
    )
    reached("outbox_written")
    published_before = entry.delivery_id is not None
    if published_before and not redeliver:
        return entry, True
    delivery_id = publisher.publish(entry.message)
    reached("published")
    entry = outbox.mark_delivered(entry.message_id, delivery_id, now())
    reached("publish_recorded")
    return entry, published_before

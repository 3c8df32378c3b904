"""What the assets ask of messaging: an outbox that remembers, and a publisher that delivers.

An event is enqueued with its final text, delivered, then marked with the delivery's id. A crash between any
two of these leaves an event that is delivered again under the same ``event_id``; consumers ignore ids they
have handled, so the effect is once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One event in the outbox.

    Attributes:
        message: the completion message, final.
        message_id: the publisher's id of the delivery, None until published.
        published_at: when the delivery was acknowledged, None until then.
    """

    event_id: str
    slate: str
    receipt_id: str
    message: Mapping[str, Any]
    message_id: str | None = None
    published_at: datetime | None = None


class Outbox(Protocol):
    """The events that were decided, and which of them are known to be delivered."""

    def enqueue(self, entry: OutboxEntry) -> OutboxEntry:
        """Store an event and return it; an id that is there already keeps its first entry."""

    def mark_published(self, event_id: str, message_id: str, published_at: datetime) -> OutboxEntry:
        """Record a delivery and return the entry."""

    def entries(self, slate: str | None = None) -> Sequence[OutboxEntry]:
        """Return the events, oldest first, of one slate or of all."""

    def drop_delivered(self, event_ids: Sequence[str]) -> int:
        """Delete these events and return how many there were; one that wasn't delivered stays."""


class Publisher(Protocol):
    """Delivers messages to whoever waits for Phase 5."""

    def publish(self, message: Mapping[str, Any]) -> str:
        """Deliver one message and return its id once the delivery is durable."""

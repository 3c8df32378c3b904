"""Acknowledgements: phase 6 says which revision it has, and how far a slate came with it.

An acknowledgement is JSON with ``slate``, ``revision`` and ``message_id`` of a completion message. Other fields are
ignored, so a consumer may send the message itself. Its time is when it was sent. Pure functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prediction_assets.errors import InvalidMessage
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.keys import is_slate


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A consumer has acted on this revision."""

    slate: str
    revision: int
    message_id: str


@dataclass(frozen=True, slots=True)
class Handover:
    """How far a slate's revisions came to phase 6."""

    published_at: datetime | None = None  # when its first message was delivered, None without one
    acknowledged_at: datetime | None = None  # when its first revision was acknowledged, None before that
    revision: int = 0  # the newest one that was delivered, 0 without one
    acknowledged: int = 0  # the newest one that was acknowledged, 0 without one
    # when the oldest message was delivered that is newer than all that was acknowledged;
    # None when nothing waits
    waiting_since: datetime | None = None

    @property
    def state(self) -> str:
        """``unpublished``, ``published`` or ``acknowledged``: the newest revision that was delivered counts."""
        if self.published_at is None:
            return "unpublished"
        return "acknowledged" if self.waiting_since is None else "published"

    def is_before(self, first_tip_off: datetime) -> bool:
        """Return whether phase 6 had a revision before the first game began."""
        return self.acknowledged_at is not None and self.acknowledged_at < first_tip_off


def parse_acknowledgement(data: bytes) -> Acknowledgement:
    """Return what an acknowledgement says.

    Raises:
        InvalidMessage: it isn't JSON, or a field is missing or of another type.
    """
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"acknowledgement of {len(data)} bytes isn't JSON") from error
    if not isinstance(fields, dict):
        raise InvalidMessage(f"acknowledgement of {len(data)} bytes isn't a JSON object")
    slate, revision, message_id = (fields.get(name) for name in ("slate", "revision", "message_id"))
    if not isinstance(slate, str) or not is_slate(slate):
        raise InvalidMessage("acknowledgement: slate: isn't a date YYYY-MM-DD")
    if type(revision) is not int or revision < 1:
        raise InvalidMessage(f"acknowledgement of slate {slate}: revision: isn't a number from 1")
    if not isinstance(message_id, str):
        raise InvalidMessage(f"acknowledgement of slate {slate}: message_id: isn't a text")
    return Acknowledgement(slate, revision, message_id)


def acknowledged_entry(acknowledgement: Acknowledgement, entries: Iterable[OutboxEntry]) -> OutboxEntry:
    """Return the message that is acknowledged.

    Raises:
        InvalidMessage: the slate has no such message.
    """
    slate, revision = acknowledgement.slate, acknowledgement.revision
    for entry in entries:
        if (entry.revision, entry.message_id) == (revision, acknowledgement.message_id):
            return entry
    raise InvalidMessage(
        f"acknowledgement of slate {slate}: the outbox has no revision {revision} with this message id; see "
        f"`prediction-assets messages --slate {slate}`"
    )


def handover(entries: Sequence[OutboxEntry]) -> Handover:
    """Return how far a slate came."""
    acknowledged = max((entry.revision for entry in entries if entry.acknowledged_at is not None), default=0)
    # A consumer may be faster than the record of the delivery.
    delivered = {
        entry.revision: entry.delivered_at or entry.acknowledged_at
        for entry in entries
        if entry.delivered_at is not None or entry.acknowledged_at is not None
    }
    moments = [moment for moment in delivered.values() if moment is not None]
    waiting = [
        moment for revision, moment in delivered.items() if moment is not None and revision > acknowledged
    ]
    return Handover(
        published_at=min(moments, default=None),
        acknowledged_at=min(
            (entry.acknowledged_at for entry in entries if entry.acknowledged_at is not None), default=None
        ),
        revision=max(delivered, default=0),
        acknowledged=acknowledged,
        waiting_since=min(waiting, default=None),
    )


def acknowledgement_due(waiting_since: datetime, first_tip_off: datetime, within: timedelta) -> datetime:
    """Return when phase 6 has to have acknowledged what was delivered to it.

    Shortly before the first tip-off half of the time that is left is as much as it gets, so that somebody hears of a
    dead consumer while bets can still be placed.

    Args:
        within: as long as it may take otherwise.
    """
    left = first_tip_off - waiting_since
    return waiting_since + (min(within, left / 2) if left > timedelta(0) else within)

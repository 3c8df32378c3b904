"""Acknowledge: what phase 6 sent back is recorded in the outbox.

Killed anywhere, the next call finds what wasn't recorded; recording twice keeps the first moment. A refused
acknowledgement changes nothing. What one says is in :mod:`prediction_assets.slate.acknowledgement`.
"""

from __future__ import annotations

import logging
from datetime import datetime

from prediction_assets.errors import InvalidMessage
from prediction_assets.slate.acknowledgement import acknowledged_entry, parse_acknowledgement
from prediction_assets.stores.protocols import Outbox, Publisher

_logger = logging.getLogger(__name__)


def take_acknowledgements(publisher: Publisher, outbox: Outbox) -> int:
    """Record what phase 6 acknowledged since the last call, and return how many acknowledgements counted.

    Raises:
        PredictionAssetsError: acknowledgements can't be read or recorded; they stay where they are.
    """
    counted = 0

    def take(text: bytes, sent_at: datetime) -> bool:
        nonlocal counted
        try:
            acknowledgement = parse_acknowledgement(text)
            entry = acknowledged_entry(acknowledgement, outbox.entries(acknowledgement.slate))
        except InvalidMessage as error:
            # Not an error of the tick: an acknowledgement that is lost shows as one that is missing.
            _logger.warning("refused: %s", error)
            return False
        outbox.mark_acknowledged(entry.message_id, sent_at)
        _logger.info("slate %s: phase 6 has revision %d", entry.slate, entry.revision)
        counted += 1
        return True

    publisher.take_acknowledgements(take)
    return counted

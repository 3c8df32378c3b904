"""The Phase 5 completion message: built from a receipt and validated against its published JSON Schema.

The schema is ``phase5_completion.schema.json``, beside this module. The producer validates a message before it enqueues
it, a consumer before it acts. A version of the schema only gets further fields (docs/extending.md). Pure functions.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import jsonschema

from prediction_assets.errors import InvalidMessage
from prediction_assets.slate.receipt import Receipt

PHASE = "phase_5_predictions"

LONGEST_REASON = 200
"""Characters of a missing player's reason that a message carries; the receipt has all of it."""


def completion_message(receipt: Receipt, *, output_table: str, published_at: datetime) -> dict[str, Any]:
    """Return the validated completion message of a receipt.

    Raises:
        InvalidMessage: the receipt can't be announced (no rows although something is to be predicted).
    """
    if (receipt.rows == 0) is not receipt.is_retraction:
        raise InvalidMessage(
            f"receipt {receipt.receipt_id} of slate {receipt.slate}: rows: {receipt.rows} in force, with "
            f"{receipt.skipped_players} of {receipt.expected_players} expected players skipped"
        )
    message = {
        "schema_version": completion_schema_version(),
        "message_id": message_id(receipt),
        "phase": PHASE,
        "slate": receipt.slate,
        "league": receipt.league,
        "batch_id": receipt.batch_id,
        "receipt_id": receipt.receipt_id,
        "revision": receipt.revision,
        "status": receipt.status,
        "expected_players": receipt.expected_players,
        "staged_players": receipt.staged_players,
        "skipped_players": receipt.skipped_players,
        "failed_players": receipt.failed_players,
        "missing": [{**player, "reason": player["reason"][:LONGEST_REASON]} for player in receipt.missing],
        "rows": receipt.rows,
        "rows_inserted": receipt.rows_inserted,
        "rows_updated": receipt.rows_updated,
        "rows_unchanged": receipt.rows_unchanged,
        "rows_superseded": receipt.rows_superseded,
        "output_table": output_table,
        "feature_snapshot": receipt.feature_snapshot,
        "facts_version": receipt.facts_version,
        "published_at": published_at.astimezone(UTC).isoformat(timespec="milliseconds"),
    }
    validate_completion(message)
    return message


def message_id(receipt: Receipt) -> str:
    """Return the message's id: one per slate and revision, so an identical second run makes no second message."""
    return str(uuid.uuid5(_MESSAGES, f"{receipt.slate}|{receipt.revision}|{receipt.content_digest}"))


def validate_completion(message: Mapping[str, Any]) -> None:
    """Check a completion message, as its producer or as a consumer.

    Raises:
        InvalidMessage: it doesn't follow :func:`completion_schema`; the message names the field.
    """
    validator = jsonschema.Draft202012Validator(
        completion_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    error = jsonschema.exceptions.best_match(validator.iter_errors(dict(message)))
    if error is not None:
        where = ".".join(str(step) for step in error.absolute_path) or "message"
        raise InvalidMessage(f"completion message {message.get('message_id', '?')}: {where}: {error.message}")


def completion_schema_version() -> int:
    """Return the version of new messages: the number at the end of the schema's ``$id``."""
    return int(str(completion_schema()["$id"]).rpartition(":")[2])


@cache
def completion_schema() -> dict[str, Any]:
    """Return the published JSON Schema of the completion message."""
    text = resources.files(__package__).joinpath("phase5_completion.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One row of the outbox: a completion message and its delivery.

    Attributes:
        message: the completion message, final.
        delivery_id: the publisher's id of the delivery, None until it is delivered.
        delivered_at: when the delivery was acknowledged, None until then.
    """

    message_id: str
    slate: str
    receipt_id: str
    message: Mapping[str, Any]
    delivery_id: str | None = None
    delivered_at: datetime | None = None


def is_announced(receipt: Receipt, entries: Iterable[OutboxEntry]) -> bool:
    """Return whether a receipt's completion message was delivered."""
    entry = outbox_entry_of(receipt, entries)
    return entry is not None and entry.delivery_id is not None


def outbox_entry_of(receipt: Receipt, entries: Iterable[OutboxEntry]) -> OutboxEntry | None:
    """Return the outbox entry of a receipt's content, None when it isn't there."""
    wanted = message_id(receipt)
    return next((entry for entry in entries if entry.message_id == wanted), None)


_MESSAGES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:prediction-assets:phase5-completion")

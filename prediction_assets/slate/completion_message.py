"""The Phase 5 completion message: built from a receipt and validated against its published JSON Schema.

The schema is ``phase5_completion.schema.json``, beside this module. The producer validates a message before it enqueues
it, a consumer before it acts. A version of the schema only gets further fields (docs/extending.md). Pure functions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from prediction_assets.errors import InvalidMessage, OlderRevision
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.revisions import revision_id

PHASE = "phase_5_predictions"

LONGEST_REASON = 200
"""Characters of a missing player's reason that a message carries; the receipt has all of it."""

PLAYERS_NAMED = 100
"""Changed players that a message names; it counts all of them."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a revision changed in the rows in force."""

    # slugs of the players with a row that came into force or went out of it, sorted
    players: tuple[str, ...] = ()
    flipped: int = 0  # recommendations that changed from OVER to UNDER, or back, at the same line
    bets: int = 0  # rows in force that recommend OVER or UNDER, of all systems
    # why players were staged again, by slug: their facts changed since the revision before
    causes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def completion_message(
    receipt: Receipt, changes: Changes, *, output_table: str, published_at: datetime, board: str = ""
) -> dict[str, Any]:
    """Return the validated completion message of a receipt.

    ``board`` is where people open the slate's board, '' where nobody can.

    The same receipt and changes give the same message, except for ``published_at``.

    Raises:
        InvalidMessage: the receipt can't be announced (no rows although something is to be predicted).
    """
    message = {
        "schema_version": completion_schema_version(),
        "message_id": message_id(receipt),
        "phase": PHASE,
        "slate": receipt.slate,
        "league": receipt.league,
        "batch_id": receipt.batch_id,
        "receipt_id": receipt.receipt_id,
        "receipt_hash": receipt.receipt_hash,
        "revision": receipt.revision,
        "replaces": receipt.replaces,
        "status": receipt.status,
        "expected_players": receipt.expected_players,
        "staged_players": receipt.staged_players,
        "skipped_players": receipt.skipped_players,
        "failed_players": receipt.failed_players,
        "missing": [
            {
                "player_slug": player["player_slug"],
                "outcome": player["outcome"],
                "reason": player["reason"][:LONGEST_REASON],
            }
            for player in receipt.missing
        ],
        "rows": receipt.rows,
        "rows_inserted": receipt.rows_inserted,
        "rows_updated": receipt.rows_updated,
        "rows_unchanged": receipt.rows_unchanged,
        "rows_superseded": receipt.rows_superseded,
        "players_changed": {"count": len(changes.players), "players": [*changes.players[:PLAYERS_NAMED]]},
        "changes": [
            {"player_slug": slug, "causes": [cause[:LONGEST_REASON] for cause in changes.causes[slug]]}
            for slug in sorted(changes.causes)[:PLAYERS_NAMED]
        ],
        "recommendations_flipped": changes.flipped,
        "bets": changes.bets,
        "audits": [{"name": audit["name"], "passed": audit["passed"]} for audit in receipt.audits],
        "accepted": [dict(each) for each in receipt.accepted],
        "output_table": output_table,
        "board": board or None,
        "feature_snapshot": receipt.feature_snapshot,
        "facts_version": receipt.facts_version,
        "published_at": published_at.astimezone(UTC).isoformat(timespec="milliseconds"),
    }
    sealed = {**message, "digest": message_digest(message)}
    validate_completion(sealed)
    return sealed


def message_digest(message: Mapping[str, Any]) -> str:
    """Return SHA-256 over a message's other fields than its digest, as JSON with sorted keys and without spaces."""
    others = {name: value for name, value in message.items() if name != "digest"}
    return hashlib.sha256(json.dumps(others, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def message_id(receipt: Receipt) -> str:
    """Return the message's id: one per slate and revision, so an identical second run makes no second message."""
    return revision_id(receipt.slate, receipt.revision, receipt.content_digest)


def validate_completion(message: Mapping[str, Any]) -> None:
    """Check a completion message, as its producer or as a consumer.

    Raises:
        InvalidMessage: it doesn't follow :func:`completion_schema`, is of a later version, its counts contradict each
            other, or its digest is another one's; the error names the field.
    """
    import jsonschema  # a tenth of a second, and a command that only reads validates no message

    named, version = message.get("message_id", "?"), message.get("schema_version")
    if isinstance(version, int) and version > completion_schema_version():
        raise InvalidMessage(
            f"completion message {named}: schema_version: {version} is later than {completion_schema_version()}, the "
            "newest that this version knows; install a newer version of prediction-assets"
        )
    validator = jsonschema.Draft202012Validator(
        completion_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    error = jsonschema.exceptions.best_match(validator.iter_errors(dict(message)))
    if error is not None:
        where = ".".join(str(step) for step in error.absolute_path) or "message"
        raise InvalidMessage(f"completion message {named}: {where}: {error.message}")
    for name, problem in _contradictions(message):
        raise InvalidMessage(f"completion message {named}: {name}: {problem}")
    if message["digest"] != message_digest(message):
        raise InvalidMessage(
            f"completion message {named}: digest: it isn't that of the other fields; the message was damaged or changed"
        )


def _contradictions(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a message that contradict its other fields, and how."""
    expected, staged, skipped, failed = (
        message[f"{kind}_players"] for kind in ("expected", "staged", "skipped", "failed")
    )
    if expected != staged + skipped + failed:
        yield "expected_players", f"{expected} isn't {staged} staged + {skipped} skipped + {failed} failed"
    if (message["status"] == "success") is not (failed == 0):
        yield "status", f"{message['status']} with {failed} failed players"
    outcomes = [player["outcome"] for player in message["missing"]]
    if (outcomes.count("skipped"), len(outcomes)) != (skipped, skipped + failed):
        yield "missing", f"{len(outcomes)} players of {skipped} skipped and {failed} failed"
    if len({player["player_slug"] for player in message["missing"]}) != len(outcomes):
        yield "missing", "a player is named twice"
    if message["replaces"] is not None and message["replaces"] >= message["revision"]:
        yield "replaces", f"revision {message['revision']} can't replace revision {message['replaces']}"
    changed = message["players_changed"]
    if len(changed["players"]) != min(changed["count"], PLAYERS_NAMED):
        yield "players_changed", f"{len(changed['players'])} players are named of {changed['count']}"


def completion_schema_version() -> int:
    """Return the version of new messages: the number at the end of the schema's ``$id``."""
    return int(str(completion_schema()["$id"]).rpartition(":")[2])


@cache
def completion_schema() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("phase5_completion.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One row of the outbox: a completion message and its delivery."""

    message_id: str
    slate: str
    receipt_id: str
    revision: int
    message: Mapping[str, Any]  # the completion message, final
    delivery_id: str | None = None  # the publisher's id of the delivery, None until it is delivered
    delivered_at: datetime | None = None  # when the delivery was acknowledged, None until then
    # id of the newer message that was stored before this one was delivered; no run delivers it then. A run
    # that was paused inside a delivery may end it late; a consumer skips the lower revision.
    replaced_by: str | None = None
    acknowledged_at: datetime | None = None  # when phase 6 said that it has the message, None until then

    @property
    def is_pending(self) -> bool:
        return self.delivery_id is None and self.replaced_by is None

    def refuse_if_older(self, entries: Iterable[OutboxEntry]) -> None:
        """Refuse this message if its slate has a newer one.

        Raises:
            OlderRevision: one of them has a higher revision, or the same one with other content.
        """
        others = [entry for entry in entries if entry.message_id != self.message_id]
        newest = max(others, key=lambda entry: entry.revision, default=None)
        if newest is not None and newest.revision >= self.revision:
            state = "delivered" if newest.delivery_id else "not delivered yet"
            raise OlderRevision(
                f"slate {self.slate}: revision {self.revision} isn't announced, because revision {newest.revision} is "
                f"newer (message {newest.message_id}, {state}). Deliver that one: "
                f"`prediction-assets republish --slate {self.slate}`"
            )


def is_announced(receipt: Receipt, entries: Iterable[OutboxEntry]) -> bool:
    """Return whether a receipt's completion message was delivered."""
    entry = outbox_entry_of(receipt, entries)
    return entry is not None and entry.delivery_id is not None


def is_awaited(receipt: Receipt, entries: Iterable[OutboxEntry]) -> bool:
    """Return whether a receipt has still to be announced: its message isn't delivered, and none is newer."""
    listed = list(entries)
    return not is_announced(receipt, listed) and all(entry.revision <= receipt.revision for entry in listed)


def outbox_entry_of(receipt: Receipt, entries: Iterable[OutboxEntry]) -> OutboxEntry | None:
    """Return the outbox entry of a receipt's content, None when it isn't there."""
    wanted = message_id(receipt)
    return next((entry for entry in entries if entry.message_id == wanted), None)

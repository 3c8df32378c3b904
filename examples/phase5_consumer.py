"""A reference consumer of Phase 5 completion messages: validates, acts once per revision, acknowledges.

Pub/Sub delivers at least once, and an operator may deliver again, so messages can repeat and come late. The newest
revision of each slate that was acted on is kept in a SQLite file; an older one, or the same again, isn't acted on. A
revision is committed after its action: killed in between, it is handled again, so make the action repeatable. Then
phase 5 is told that this consumer has the revision, and told again when the revision comes again. What doesn't follow
the schema is delivered 5 times; then Pub/Sub passes it on to the dead-letter topic.

    python examples/phase5_consumer.py --project my-project --state newest.sqlite
    python examples/phase5_consumer.py --folder .prediction_assets/outbox --state newest.sqlite
"""
# ruff: noqa: T201  a script prints

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prediction_assets.errors import InvalidMessage
from prediction_assets.slate.completion_message import validate_completion

if TYPE_CHECKING:
    from google.cloud import pubsub_v1  # the local profile needs no client of Google's

Act = Callable[[dict[str, Any]], None]


def announce(message: dict[str, Any]) -> None:
    """Stand in for phase 6: say what is ready."""
    print(f"{message['slate']} {message['status']}: {message['rows']} rows in {message['output_table']}")


def keep_quiet(message: dict[str, Any]) -> None:
    """Acknowledge nothing."""


def handle(data: bytes, state: Path, act: Act = announce, acknowledge: Act = keep_quiet) -> bool:
    """Act on one delivery if its revision is its slate's newest so far; return whether it was acted on.

    The newest revision is acknowledged to phase 5 each time that it comes: an earlier acknowledgement may be lost.

    Raises:
        InvalidMessage: the delivery doesn't follow the schema, is of a later version of it, or has another id than the
            same revision had before; nothing was done.
    """
    try:
        message = json.loads(data)
    except ValueError as error:
        raise InvalidMessage(f"delivery of {len(data)} bytes isn't JSON: {error}") from error
    validate_completion(message if isinstance(message, dict) else {})
    slate, revision, message_id = message["slate"], message["revision"], message["message_id"]
    connection = sqlite3.connect(state, timeout=60, isolation_level=None)
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS newest (slate TEXT PRIMARY KEY, revision INTEGER, message_id TEXT)"
        )
        connection.execute("BEGIN IMMEDIATE")  # a second consumer of the same slate waits here
        held, held_id = connection.execute(
            "SELECT revision, message_id FROM newest WHERE slate = ?", (slate,)
        ).fetchone() or (0, "")
        if revision == held and message_id != held_id:
            raise InvalidMessage(
                f"slate {slate}: revision {revision} was message {held_id}, not {message_id}"
            )
        if revision > held:
            act(message)
            connection.execute("REPLACE INTO newest VALUES (?, ?, ?)", (slate, revision, message_id))
        connection.execute("COMMIT")
    finally:
        connection.close()  # rolls back what wasn't committed: an action that failed is tried again
    if revision >= held:
        acknowledge(message)
    return bool(revision > held)


def acknowledgement(message: dict[str, Any]) -> bytes:
    """Return what phase 5 reads: which message this consumer has."""
    return json.dumps({name: message[name] for name in ("slate", "revision", "message_id")}).encode()


def consume_folder(folder: Path, state: Path, seen: dict[Path, int]) -> int:
    """Handle the message files that are new in a folder; return how many were acted on.

    Args:
        seen: the files that were handled, and when each was written; a message that is delivered again is new.
    """
    acted = 0

    def acknowledge(message: dict[str, Any]) -> None:
        answers = folder / "acknowledged"
        answers.mkdir(exist_ok=True)
        aside = answers / f".{message['message_id']}"
        aside.write_bytes(acknowledgement(message))
        aside.replace(answers / f"{message['message_id']}.json")  # phase 5 never reads half of it

    for path in sorted(folder.glob("*.json")):  # their names begin with slate and revision
        written = path.stat().st_mtime_ns
        if seen.get(path) == written:
            continue
        try:
            acted += handle(path.read_bytes(), state, acknowledge=acknowledge)
        except InvalidMessage as error:
            print(f"{path.name}: {error}", file=sys.stderr)
        seen[path] = written
    return acted


def consume(
    client: pubsub_v1.SubscriberClient,
    subscription: str,
    state: Path,
    wait: float,
    acknowledge: Act = keep_quiet,
) -> int:
    """Handle the deliveries of one pull, which waits for the first; return how many were acted on."""
    from google.api_core.exceptions import DeadlineExceeded

    request = {"subscription": subscription, "max_messages": 10}
    try:
        pulled = client.pull(request=request, timeout=wait, retry=None).received_messages
    except DeadlineExceeded:
        return 0
    acted = 0
    for received in pulled:
        delivery = {"subscription": subscription, "ack_ids": [received.ack_id]}
        try:
            acted += handle(received.message.data, state, acknowledge=acknowledge)
        except Exception as error:  # noqa: BLE001  whatever it was: not acknowledged, so delivered again
            print(f"{received.message.message_id}: {type(error).__name__}: {error}", file=sys.stderr)
            client.modify_ack_deadline(request={**delivery, "ack_deadline_seconds": 0})
        else:
            client.acknowledge(request=delivery)
    return acted


def main() -> None:
    """Consume until Ctrl-C, or once with ``--once``."""
    parser = argparse.ArgumentParser(description="Consume Phase 5 completion messages.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folder", type=Path, help="the local profile's outbox")
    source.add_argument("--project", help="the gcp profile's project")
    parser.add_argument("--subscription", default="phase5-completion-phase6", help="its short name")
    parser.add_argument(
        "--acknowledge-to", default="phase5-acknowledgement", help="a topic's short name; '' for none"
    )
    parser.add_argument("--state", required=True, type=Path, help="SQLite file of the newest revisions")
    parser.add_argument("--wait", type=float, default=10, help="seconds until it looks again")
    parser.add_argument("--once", action="store_true", help="one look or pull, then exit")
    options = parser.parse_args()
    if options.folder:
        seen: dict[Path, int] = {}
        while True:
            consume_folder(options.folder, options.state, seen)
            if options.once:
                return
            time.sleep(options.wait)
    from google.cloud import pubsub_v1

    publisher = pubsub_v1.PublisherClient()
    topic = publisher.topic_path(options.project, options.acknowledge_to)

    def acknowledge(message: dict[str, Any]) -> None:
        # Before the delivery's own ack: if this fails, the message comes again.
        publisher.publish(topic, acknowledgement(message)).result(60)

    with pubsub_v1.SubscriberClient() as client:
        subscription = client.subscription_path(options.project, options.subscription)
        answer = acknowledge if options.acknowledge_to else keep_quiet
        while True:
            consume(client, subscription, options.state, options.wait, answer)
            if options.once:
                return


if __name__ == "__main__":
    main()

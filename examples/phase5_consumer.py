"""A reference consumer of Phase 5 completion messages: validates, acts once per revision, acknowledges.

Pub/Sub delivers at least once, and an operator may deliver again, so messages can repeat and come late. The newest
revision of each slate that was acted on is kept in a SQLite file; an older one, or the same again, is acknowledged and
ignored. A revision is committed after its action: killed in between, it is handled again, so make the action
repeatable. What doesn't follow the schema isn't acknowledged; after 5 deliveries Pub/Sub passes it on to the
dead-letter topic.

    python examples/phase5_consumer.py --project my-project --subscription phase5-consumer --state newest.sqlite
"""
# ruff: noqa: T201  a script prints

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.api_core.exceptions import DeadlineExceeded
from google.cloud import pubsub_v1

from prediction_assets.errors import InvalidMessage
from prediction_assets.slate.completion_message import validate_completion

Act = Callable[[dict[str, Any]], None]


def announce(message: dict[str, Any]) -> None:
    """Stand in for phase 6: say what is ready."""
    print(f"{message['slate']} {message['status']}: {message['rows']} rows in {message['output_table']}")


def handle(data: bytes, state: Path, act: Act = announce) -> bool:
    """Act on one delivery if its revision is its slate's newest so far; return whether it was acted on.

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
        if revision <= held:
            return False
        act(message)
        connection.execute("REPLACE INTO newest VALUES (?, ?, ?)", (slate, revision, message_id))
        connection.execute("COMMIT")
        return True
    finally:
        connection.close()  # rolls back what wasn't committed: an action that failed is tried again


def consume(client: pubsub_v1.SubscriberClient, subscription: str, state: Path, wait: float) -> int:
    """Handle the deliveries of one pull, which waits for the first; return how many were acted on."""
    request = {"subscription": subscription, "max_messages": 10}
    try:
        pulled = client.pull(request=request, timeout=wait, retry=None).received_messages
    except DeadlineExceeded:
        return 0
    acted = 0
    for received in pulled:
        delivery = {"subscription": subscription, "ack_ids": [received.ack_id]}
        try:
            acted += handle(received.message.data, state)
        except Exception as error:  # noqa: BLE001  whatever it was: not acknowledged, so delivered again
            print(f"{received.message.message_id}: {type(error).__name__}: {error}", file=sys.stderr)
            client.modify_ack_deadline(request={**delivery, "ack_deadline_seconds": 0})
        else:
            client.acknowledge(request=delivery)
    return acted


def main() -> None:
    """Consume until Ctrl-C, or one pull with ``--once``."""
    parser = argparse.ArgumentParser(description="Consume Phase 5 completion messages.")
    parser.add_argument("--project", required=True)
    parser.add_argument("--subscription", required=True, help="its short name")
    parser.add_argument("--state", required=True, type=Path, help="SQLite file of the newest revisions")
    parser.add_argument("--wait", type=float, default=10, help="seconds that a pull waits for a delivery")
    parser.add_argument("--once", action="store_true", help="one pull, then exit")
    options = parser.parse_args()
    with pubsub_v1.SubscriberClient() as client:
        subscription = client.subscription_path(options.project, options.subscription)
        while True:
            consume(client, subscription, options.state, options.wait)
            if options.once:
                return


if __name__ == "__main__":
    main()

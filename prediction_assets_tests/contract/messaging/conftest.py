"""Messaging under test: every outbox and every publisher behind one fixture each, and made-up messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.outbox import FirestoreOutbox
from prediction_assets.stores.gcp.pubsub import PubSubPublisher
from prediction_assets.stores.local.outbox import FilePublisher, SqliteOutbox
from prediction_assets.stores.protocols import Outbox, Publisher
from prediction_assets_tests.emulator_fixtures import (
    Topic,
    firestore_client,
    firestore_emulator,
    project,
    pubsub_clients,
    pubsub_emulator,
    topic,
)
from prediction_assets_tests.examples import load_example
from prediction_assets_tests.in_memory import InMemoryOutbox, InMemoryPublisher
from prediction_assets_tests.made_up_messages import message

__all__ = ["firestore_client", "firestore_emulator", "project", "pubsub_clients", "pubsub_emulator", "topic"]


def entry(revision: int = 1, **changes: Any) -> OutboxEntry:
    """Return an outbox entry of a valid message."""
    made = message(revision, **changes)
    return OutboxEntry(made["message_id"], made["slate"], made["receipt_id"], revision, made)


@pytest.fixture(params=["sqlite", "in_memory", "firestore"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Outbox]:
    """Return an outbox of one store anew with each call, as another process would."""
    if request.param == "sqlite":
        return lambda: SqliteOutbox(tmp_path / "state.sqlite")
    if request.param == "in_memory":
        outbox = InMemoryOutbox()
        return lambda: outbox
    client = request.getfixturevalue("firestore_client")
    return lambda: FirestoreOutbox(FirestoreCalls(client))


@dataclass(frozen=True)
class Deliveries:
    """A publisher under test, what a consumer of it finds, and how the consumer answers."""

    publisher: Publisher
    received: Callable[[], list[Mapping[str, Any]]]
    acknowledge: Callable[[bytes], object]


@pytest.fixture(params=["files", "in_memory", "pubsub"])
def deliveries(request: pytest.FixtureRequest, tmp_path: Path) -> Deliveries:
    if request.param == "files":
        folder = tmp_path / "outbox"
        answers = folder / "acknowledged"

        def drop(answer: bytes) -> None:
            answers.mkdir(parents=True, exist_ok=True)
            (answers / f"{len([*answers.iterdir()])}.json").write_bytes(answer)

        return Deliveries(
            FilePublisher(folder),
            lambda: [json.loads(f.read_text()) for f in sorted(folder.glob("*.json"))],
            drop,
        )
    if request.param == "in_memory":
        publisher = InMemoryPublisher()
        return Deliveries(
            publisher,
            lambda: [*publisher.sent],
            lambda answer: publisher.acknowledgements.append((answer, datetime.now(UTC))),
        )
    made: Topic = request.getfixturevalue("topic")
    return Deliveries(
        PubSubPublisher(made.publisher, made.path, call_timeout=20, acknowledgements=made.acknowledgements),
        lambda: [json.loads(received.message.data) for received in made.pull()],
        lambda answer: made.publisher.publish(made.acknowledgement_topic, answer).result(20),
    )


@pytest.fixture(scope="session")
def consumer() -> ModuleType:
    """The reference consumer."""
    return load_example("phase5_consumer")

"""Fixtures of the Google Cloud emulators; a folder's conftest imports the ones its tests ask for.

Every test gets a project id of its own, which isolates it without a wipe. Without an emulator a test is
skipped with the reason, and fails where ``CI=true``.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from google.cloud import firestore, pubsub_v1

from prediction_assets.stores.gcp.clients import publisher_client
from prediction_assets.stores.gcp.pubsub import set_up
from prediction_assets_tests.emulators import FIRESTORE, PUBSUB, Emulator, EmulatorMissing, shared


def _address(emulator: Emulator, folders: pytest.TempPathFactory) -> Iterator[str]:
    base = folders.getbasetemp()
    session = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with ExitStack() as stack:
        try:
            address = stack.enter_context(shared(emulator, session / "emulators"))
        except EmulatorMissing as error:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{error}; CI=true, so it isn't skipped")
            pytest.skip(str(error))
        yield address


@pytest.fixture(scope="session")
def firestore_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the session's Firestore emulator."""
    yield from _address(FIRESTORE, tmp_path_factory)


@pytest.fixture(scope="session")
def pubsub_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the session's Pub/Sub emulator."""
    yield from _address(PUBSUB, tmp_path_factory)


@pytest.fixture
def project() -> str:
    """A project id that no other test has."""
    return f"test-{uuid.uuid4().hex[:20]}"


@pytest.fixture
def firestore_client(
    firestore_emulator: str, project: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[firestore.Client]:
    """A real client of the emulator, in the test's own project."""
    monkeypatch.setenv(FIRESTORE.variable, firestore_emulator)
    client = firestore.Client(project=project)
    yield client
    client.close()


@dataclass(frozen=True)
class Topic:
    """A topic with its subscription, set up, and real clients of the emulator."""

    project: str
    path: str
    subscription: str
    dead_letters: str
    publisher: pubsub_v1.PublisherClient
    subscriber: pubsub_v1.SubscriberClient
    acknowledgements: str
    acknowledgement_topic: str

    def pull(self, most: int = 10) -> list[pubsub_v1.types.ReceivedMessage]:
        """Return messages that are there, waiting for the first."""
        request = {"subscription": self.subscription, "max_messages": most}
        return list(self.subscriber.pull(request=request, timeout=20).received_messages)


@pytest.fixture
def pubsub_clients(
    pubsub_emulator: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[pubsub_v1.PublisherClient, pubsub_v1.SubscriberClient]]:
    """Real clients of the emulator."""
    monkeypatch.setenv(PUBSUB.variable, pubsub_emulator)
    publisher, subscriber = publisher_client(), pubsub_v1.SubscriberClient()
    yield publisher, subscriber
    publisher.stop()
    publisher.transport.close()
    subscriber.close()


@pytest.fixture
def topic(
    pubsub_clients: tuple[pubsub_v1.PublisherClient, pubsub_v1.SubscriberClient], project: str
) -> Topic:
    """A topic of the test's own project, set up as a person would."""
    publisher, subscriber = pubsub_clients
    made = set_up(
        publisher, subscriber, project, "phase5", "phase5-consumer", "phase5-dead", "phase5-acknowledged"
    )
    return Topic(
        project, made.topic, made.subscription, made.dead_letter_subscription, publisher, subscriber,
        made.acknowledgement_subscription, made.acknowledgement_topic,
    )  # fmt: skip

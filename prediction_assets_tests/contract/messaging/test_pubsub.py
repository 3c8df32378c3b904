"""What is Pub/Sub's own: attributes, order, set-up, its errors, and effects that happen once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import firestore, pubsub_v1
from google.cloud.pubsub_v1.publisher.exceptions import PublishToPausedOrderingKeyException

from prediction_assets.errors import (
    InvalidMessage,
    Misplaced,
    NotPermitted,
    PublishRefused,
    QuotaExceeded,
    Unreachable,
)
from prediction_assets.steps.acknowledge import take_acknowledgements
from prediction_assets.stores.gcp.clients import publisher_client
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.outbox import FirestoreOutbox
from prediction_assets.stores.gcp.pubsub import PubSubPublisher, set_up
from prediction_assets_tests.contract.messaging.conftest import entry, message
from prediction_assets_tests.emulator_fixtures import Topic
from prediction_assets_tests.emulators import free_port
from prediction_assets_tests.examples import EXAMPLES
from prediction_assets_tests.in_memory import InMemoryOutbox
from prediction_assets_tests.made_up import NOW, SLATE

Clients = tuple[pubsub_v1.PublisherClient, pubsub_v1.SubscriberClient]


def publisher(topic: Topic) -> PubSubPublisher:
    return PubSubPublisher(topic.publisher, topic.path, call_timeout=20)


def test_a_message_carries_its_attributes_and_the_slate_as_ordering_key(topic: Topic) -> None:
    delivery_id = publisher(topic).publish(message())
    (received,) = topic.pull()
    assert dict(received.message.attributes) == {
        "message_id": message()["message_id"],
        "phase": "phase_5_predictions",
        "slate": SLATE,
        "schema_version": "1",
    }
    assert received.message.ordering_key == SLATE
    assert received.message.message_id == delivery_id


def test_threads_that_publish_one_slate_at_once_all_get_their_ack(topic: Topic) -> None:
    shared, gate = publisher(topic), threading.Barrier(8)

    def publish(revision: int) -> str:
        gate.wait()
        return shared.publish(message(revision))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(publish, range(1, 9)))) == 8


# Set-up


def test_set_up_creates_everything_once(pubsub_clients: Clients, project: str) -> None:
    first = set_up(
        *pubsub_clients, project, "phase5", "phase5-consumer", "phase5-dead", "phase5-acknowledged"
    )
    assert first.created == (
        f"projects/{project}/topics/phase5-dead",
        f"projects/{project}/subscriptions/phase5-dead",
        f"projects/{project}/topics/phase5",
        f"projects/{project}/subscriptions/phase5-consumer",
        f"projects/{project}/topics/phase5-acknowledged",
        f"projects/{project}/subscriptions/phase5-acknowledged",
    )
    again = set_up(
        *pubsub_clients, project, "phase5", "phase5-consumer", "phase5-dead", "phase5-acknowledged"
    )
    assert (again.created, again.corrected) == ((), ())
    made = pubsub_clients[1].get_subscription(request={"subscription": first.subscription})
    assert made.topic == first.topic
    assert made.enable_message_ordering
    assert made.dead_letter_policy.dead_letter_topic == first.dead_letter_topic
    assert made.dead_letter_policy.max_delivery_attempts == 5


def test_set_up_finishes_what_was_begun(pubsub_clients: Clients, project: str) -> None:
    client = pubsub_clients[0]
    client.create_topic(name=client.topic_path(project, "phase5"))
    made = set_up(*pubsub_clients, project, "phase5", "phase5-consumer", "phase5-dead", "phase5-acknowledged")
    assert made.topic not in made.created
    assert made.subscription in made.created


def test_set_up_gives_an_existing_subscription_its_dead_letter_topic(
    pubsub_clients: Clients, project: str
) -> None:
    client, subscriber = pubsub_clients
    topic = client.create_topic(name=client.topic_path(project, "phase5")).name
    path = subscriber.subscription_path(project, "phase5-consumer")
    subscriber.create_subscription(request={"name": path, "topic": topic, "enable_message_ordering": True})
    made = set_up(*pubsub_clients, project, "phase5", "phase5-consumer", "phase5-dead", "phase5-acknowledged")
    assert made.corrected == (path,)
    there = subscriber.get_subscription(request={"subscription": path})
    assert there.dead_letter_policy.dead_letter_topic == made.dead_letter_topic


@pytest.mark.parametrize(
    ("ordered", "on", "says"),
    [(False, "phase5", "without message ordering"), (True, "elsewhere", "is there already, on projects/")],
)
def test_a_subscription_that_can_not_be_brought_in_line_is_refused(
    pubsub_clients: Clients, project: str, ordered: bool, on: str, says: str
) -> None:
    client, subscriber = pubsub_clients
    topic = client.create_topic(name=client.topic_path(project, on)).name
    path = subscriber.subscription_path(project, "phase5-consumer")
    subscriber.create_subscription(request={"name": path, "topic": topic, "enable_message_ordering": ordered})
    with pytest.raises(PublishRefused, match=says):
        set_up(*pubsub_clients, project, "phase5", "phase5-consumer", "phase5-dead", "phase5-acknowledged")


# Errors


def test_a_missing_topic_is_refused_with_the_command_and_never_created(
    pubsub_clients: Clients, project: str
) -> None:
    client = pubsub_clients[0]
    path = client.topic_path(project, "phase5")
    with pytest.raises(Misplaced) as raised:
        PubSubPublisher(client, path, call_timeout=20).publish(message())
    assert f"topic {path}: " in str(raised.value)
    assert "it doesn't exist: create it with" in str(raised.value)
    assert "prediction-assets gcp set-up" in str(raised.value)
    assert list(client.list_topics(project=f"projects/{project}")) == []


def test_a_slate_can_be_published_after_its_topic_was_missing(pubsub_clients: Clients, project: str) -> None:
    client = pubsub_clients[0]
    publisher = PubSubPublisher(client, client.topic_path(project, "phase5"), call_timeout=20)
    for _ in range(2):
        with pytest.raises(Misplaced):
            publisher.publish(message())
    set_up(*pubsub_clients, project, "phase5", "phase5-consumer", "phase5-dead", "phase5-acknowledged")
    assert publisher.publish(message())


def test_an_emulator_that_is_down_is_one_clear_error_within_the_deadline(
    monkeypatch: pytest.MonkeyPatch, project: str
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    client = publisher_client()
    path = client.topic_path(project, "phase5")
    with pytest.raises(Unreachable) as raised:
        PubSubPublisher(client, path, call_timeout=0.5).publish(message())
    client.stop()
    assert f"stays in the outbox: Pub/Sub topic {path}: " in str(raised.value)
    assert "no answer within 0.5 s" in str(raised.value)
    assert "start the emulator there (`make emulators`)" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (exceptions.PermissionDenied("User not authorized"), NotPermitted, "role roles/pubsub.publisher"),
        (exceptions.NotFound("Resource not found"), Misplaced, "doesn't exist"),
        (exceptions.Unauthenticated("expired"), NotPermitted, "gcloud auth application-default login"),
        (DefaultCredentialsError("none"), NotPermitted, "gcloud auth application-default login"),
        (exceptions.InvalidArgument("too long"), PublishRefused, "too long"),
        (exceptions.ServiceUnavailable("down"), Unreachable, "Check the network"),
        (exceptions.ResourceExhausted("Quota exceeded"), QuotaExceeded, "Quota exceeded"),
        (PublishToPausedOrderingKeyException(SLATE), Unreachable, "other writers were first each time"),
        (TimeoutError(), Unreachable, "TimeoutError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_pubsub_refuses_names_the_role_the_setting_or_the_service(
    pubsub_clients: Clients,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: type[Exception],
    says: str,
) -> None:
    def refuse(*_: object, **__: object) -> Future[str]:
        answer: Future[str] = Future()
        answer.set_exception(error)
        return answer

    monkeypatch.setattr(pubsub_clients[0], "publish", refuse)
    with pytest.raises(kind) as raised:
        PubSubPublisher(pubsub_clients[0], "projects/p/topics/t", call_timeout=0.3).publish(message())
    assert type(raised.value) is kind
    assert says in str(raised.value)
    assert str(raised.value).startswith(
        f"completion message {message()['message_id']} of slate {SLATE} stays in the outbox: "
        "Pub/Sub topic projects/p/topics/t: "
    )


# Effects happen once


def test_the_consumer_acts_once_on_a_message_that_is_delivered_again(
    topic: Topic, consumer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "handled.sqlite"
    for _ in range(2):
        publisher(topic).publish(message())
    acted = 0
    while acted_on := consumer.consume(topic.subscriber, topic.subscription, state, 2):
        acted += acted_on
    assert acted == 1
    assert capsys.readouterr().out == f"{SLATE} partial: 50 rows in p.d.player_prop_predictions\n"


def test_a_delivery_that_was_not_acknowledged_comes_again_and_is_ignored(
    topic: Topic, consumer: ModuleType, tmp_path: Path
) -> None:
    state = tmp_path / "handled.sqlite"
    publisher(topic).publish(message())
    (first,) = topic.pull()
    assert consumer.handle(first.message.data, state)
    # Killed before its ack: Pub/Sub delivers it to the next one.
    topic.subscriber.modify_ack_deadline(
        request={"subscription": topic.subscription, "ack_ids": [first.ack_id], "ack_deadline_seconds": 0}
    )
    (second,) = topic.pull()
    assert second.message.message_id == first.message.message_id
    assert not consumer.handle(second.message.data, state)


def test_an_action_that_fails_is_tried_again_and_then_done_once(consumer: ModuleType, tmp_path: Path) -> None:
    state, acted = tmp_path / "handled.sqlite", []
    data = json.dumps(message()).encode()

    def failing(_: dict[str, Any]) -> None:
        raise RuntimeError("phase 6 is down")

    with pytest.raises(RuntimeError):
        consumer.handle(data, state, failing)
    assert consumer.handle(data, state, acted.append)
    assert not consumer.handle(data, state, acted.append)
    assert acted == [message()]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"[]", b"null", b"{}", json.dumps({**message(), "rows": -1}).encode()],
    ids=["nothing", "bytes", "a list", "null", "empty", "negative rows"],
)
def test_the_consumer_does_nothing_about_an_invalid_delivery(
    consumer: ModuleType, tmp_path: Path, data: bytes
) -> None:
    acted: list[dict[str, Any]] = []
    with pytest.raises(InvalidMessage):
        consumer.handle(data, tmp_path / "handled.sqlite", acted.append)
    assert acted == []


def test_an_invalid_message_is_passed_on_to_the_dead_letters(
    topic: Topic, consumer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Pub/Sub passes on from a subscription with message ordering too; the emulator stands still there.
    policy = topic.subscriber.get_subscription(subscription=topic.subscription).dead_letter_policy
    unordered = topic.subscriber.subscription_path(topic.project, "unordered")
    topic.subscriber.create_subscription(
        request={"name": unordered, "topic": topic.path, "dead_letter_policy": policy}
    )
    topic.publisher.publish(topic.path, b"{}", ordering_key=SLATE).result(20)
    for wait in (20, 20, 20, 20, 20, 1):  # passing it on is what would be the sixth delivery
        assert consumer.consume(topic.subscriber, unordered, tmp_path / "handled.sqlite", wait) == 0
    assert capsys.readouterr().err.count("InvalidMessage") == 5
    request = {"subscription": topic.dead_letters, "max_messages": 1}
    (dead,) = topic.subscriber.pull(request=request, timeout=20).received_messages
    assert dead.message.data == b"{}"


def test_the_consumer_runs_as_a_script(topic: Topic, pubsub_emulator: str, tmp_path: Path) -> None:
    publisher(topic).publish(message())
    options = ["--project", topic.project, "--subscription", "phase5-consumer", "--wait", "20", "--once"]
    options += ["--acknowledge-to", "phase5-acknowledged"]
    done = subprocess.run(
        [
            sys.executable,
            str(EXAMPLES / "phase5_consumer.py"),
            *options,
            "--state",
            str(tmp_path / "handled.sqlite"),
        ],
        env={**os.environ, "PUBSUB_EMULATOR_HOST": pubsub_emulator},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0, f"{SLATE} partial: 50 rows in p.d.player_prop_predictions\n", "",
    )  # fmt: skip
    outbox = InMemoryOutbox()
    outbox.enqueue(entry())
    answers = PubSubPublisher(topic.publisher, topic.path, 20, topic.acknowledgements)
    assert take_acknowledgements(answers, outbox) == 1
    assert outbox.entries()[0].acknowledged_at is not None


def test_a_missing_subscription_of_acknowledgements_is_one_clear_error(
    pubsub_clients: Clients, project: str
) -> None:
    path = f"projects/{project}/subscriptions/phase5-acknowledgement"
    publisher = PubSubPublisher(pubsub_clients[0], "projects/p/topics/t", 20, path)
    with pytest.raises(
        Misplaced, match=f"acknowledgements of phase 6 stay there: Pub/Sub subscription {path}: "
    ):
        publisher.take_acknowledgements(lambda *_: True)


def test_a_crash_between_publish_and_record_publishes_the_same_message_and_acts_once(
    topic: Topic, firestore_client: firestore.Client, consumer: ModuleType, tmp_path: Path
) -> None:
    def announce(crash: bool) -> None:
        """The steps of the phase5_completion asset."""
        outbox = FirestoreOutbox(FirestoreCalls(firestore_client))
        stored = outbox.enqueue(entry())
        if stored.delivery_id is None:
            delivery_id = publisher(topic).publish(stored.message)
            if crash:
                return
            outbox.mark_delivered(stored.message_id, delivery_id, NOW)

    announce(crash=True)
    announce(crash=False)
    announce(crash=False)
    state = tmp_path / "handled.sqlite"
    received = [r.message for r in topic.pull()]
    assert len({m.message_id for m in received}) == 2
    assert {m.attributes["message_id"] for m in received} == {entry().message_id}
    assert [consumer.handle(m.data, state) for m in received] == [True, False]
    (stored,) = FirestoreOutbox(FirestoreCalls(firestore_client)).entries()
    assert stored.delivery_id == received[1].message_id


def test_message_ids_are_uuids_that_any_document_can_be_named_by() -> None:
    assert uuid.UUID(message()["message_id"]).version == 5

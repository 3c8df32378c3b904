"""Completion messages on Pub/Sub, in order by slate, and the topics and subscriptions that they need.

A publish waits for the server's ack. After a crash between the ack and the outbox's record of it, the same
``message_id`` is published again, and consumers ignore ids that they have handled. Only :func:`set_up`, which an
operator runs, creates topics and subscriptions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import google.cloud.pubsub_v1 as pubsub_v1  # type: ignore[import-untyped]
from google.api_core import exceptions
from google.cloud.pubsub_v1.publisher.exceptions import PublishToPausedOrderingKeyException  # type: ignore[import-untyped]

from prediction_assets.errors import PublishRefused
from prediction_assets.stores.gcp.clients import subscriber_client
from prediction_assets.stores.gcp.google_errors import (
    GoogleService,
    is_transient,
    pubsub_service,
    retry_policy,
)
from prediction_assets.stores.protocols import TakeAcknowledgement

DELIVERY_ATTEMPTS = 5
"""Deliveries without an ack before a message goes to the dead-letter topic; the fewest that Pub/Sub allows."""


_ACK_SECONDS = 60

_PULLED, _PULL_SECONDS = 100, 3.0
"""Acknowledgements of one pull, and how long it waits for the first."""


class PubSubPublisher:
    """A :class:`~prediction_assets.stores.protocols.Publisher` onto a Pub/Sub topic.

    Args:
        client: a client with message ordering, from :func:`.clients.publisher_client`.
        topic_path: ``projects/<project>/topics/<topic>``.
        call_timeout: seconds that a publish waits for the server's ack, its retries included.
        acknowledgements: the path of the subscription that acknowledgements come through.
        subscriber: opens the client of that subscription, at its first use.
    """

    def __init__(
        self,
        client: pubsub_v1.PublisherClient,
        topic_path: str,
        call_timeout: float = 60.0,
        acknowledgements: str = "",
        subscriber: Callable[[], pubsub_v1.SubscriberClient] = subscriber_client,
    ) -> None:
        self._client = client
        self._topic_path = topic_path
        self._acknowledgements = acknowledgements
        self._subscriber = subscriber
        self._service = pubsub_service(
            f"topic {topic_path}",
            "give this run's service account the role roles/pubsub.publisher on the topic",
            call_timeout,
            (exceptions.Aborted, PublishToPausedOrderingKeyException),
        )

    def publish(self, message: Mapping[str, Any]) -> str:
        """Publish one completion message and return the server's message id.

        The body is the message as JSON; ``message_id``, ``phase``, ``slate`` and ``schema_version`` are also
        attributes, so that a subscription can filter.

        Raises:
            Misplaced: the topic doesn't exist.
            NotPermitted: this run may not publish to it.
            Unreachable: no ack within the deadline; the message may have been delivered or not.
            PublishRefused: Pub/Sub refuses the message.
        """
        data = json.dumps(message, separators=(",", ":")).encode()
        slate = str(message["slate"])
        attributes = {
            "message_id": str(message["message_id"]),
            "phase": str(message["phase"]),
            "slate": slate,
            "schema_version": str(message["schema_version"]),
        }
        ends = time.monotonic() + self._service.call_timeout

        def attempt() -> str:
            # The client's own retry of an ordered publish never ends; this one ends and keeps the cause.
            remaining = max(ends - time.monotonic(), 0.05)
            future = self._client.publish(
                self._topic_path, data, ordering_key=slate, retry=None, timeout=remaining, **attributes
            )
            try:
                return str(future.result(timeout=remaining))
            except Exception:
                # A failure pauses the ordering key; until it is resumed, every publish of the slate fails.
                with suppress(RuntimeError):  # not paused: the attempt is still on its way
                    self._client.resume_publish(self._topic_path, slate)
                raise

        with self._service.clear_errors(
            f"completion message {attributes['message_id']} of slate {slate} stays in the outbox"
        ):
            return str(retry_policy(self._service.call_timeout, _is_retried)(attempt)())

    def delivered(self, slate: str) -> None:
        """Return None: a topic can't be read back."""

    def take_acknowledgements(self, take: TakeAcknowledgement) -> None:
        path = self._acknowledgements
        service = pubsub_service(
            f"subscription {path}",
            "give this service account the role roles/pubsub.subscriber on the subscription",
            self._service.call_timeout,
        )
        with self._subscriber() as client, service.clear_errors("acknowledgements of phase 6 stay there"):
            while True:
                try:
                    request = {"subscription": path, "max_messages": _PULLED}
                    pulled = client.pull(request=request, retry=None, timeout=_PULL_SECONDS).received_messages
                except exceptions.DeadlineExceeded:  # nothing came
                    return
                for received in pulled:
                    take(received.message.data, received.message.publish_time.astimezone(UTC))
                    client.acknowledge(request={"subscription": path, "ack_ids": [received.ack_id]})
                if len(pulled) < _PULLED:
                    return


def _is_retried(error: BaseException) -> bool:
    # A paused ordering key: another thread's publish of the same slate failed just now.
    return isinstance(error, PublishToPausedOrderingKeyException) or is_transient(error)


@dataclass(frozen=True, slots=True)
class PubSubSetUp:
    """What :func:`set_up` found or made."""

    topic: str
    subscription: str
    dead_letter_topic: str
    dead_letter_subscription: str
    acknowledgement_topic: str
    acknowledgement_subscription: str
    created: tuple[str, ...]  # the paths that weren't there before
    corrected: tuple[str, ...]  # the subscriptions that got the right dead-letter policy


def set_up(
    publisher_client: pubsub_v1.PublisherClient,
    subscriber_client: pubsub_v1.SubscriberClient,
    project: str,
    topic: str,
    subscription: str,
    dead_letter_topic: str,
    acknowledgement_topic: str,
    call_timeout: float = 60.0,
) -> PubSubSetUp:
    """Create the topic, its dead-letter topic, the one of acknowledgements, and their subscriptions where missing.

    The subscription keeps the order by slate. After 5 deliveries without an ack it moves a message to the dead-letter
    topic. The other topics get a subscription of their own name: without one, Pub/Sub drops their messages.

    Args:
        topic, subscription, dead_letter_topic, acknowledgement_topic: short names, without ``projects/...``.
        call_timeout: seconds until a call counts as failed, its retries included.

    Raises:
        PublishRefused: a subscription of that name has another topic or no message ordering.
        NotPermitted: this account may not create them.
    """
    paths = {
        "topic": publisher_client.topic_path(project, topic),
        "dead_letter_topic": publisher_client.topic_path(project, dead_letter_topic),
        "subscription": subscriber_client.subscription_path(project, subscription),
        "dead_letter_subscription": subscriber_client.subscription_path(project, dead_letter_topic),
        "acknowledgement_topic": publisher_client.topic_path(project, acknowledgement_topic),
        "acknowledgement_subscription": subscriber_client.subscription_path(project, acknowledgement_topic),
    }
    policy = {"dead_letter_topic": paths["dead_letter_topic"], "max_delivery_attempts": DELIVERY_ATTEMPTS}
    service = pubsub_service(
        f"project {project}", "run it as somebody with the role roles/pubsub.editor", call_timeout
    )
    work = _SettingUp(publisher_client, subscriber_client, service)
    with service.clear_errors("setting up topics and subscriptions"):
        work.create_topic(paths["dead_letter_topic"])
        work.subscribe(paths["dead_letter_subscription"], paths["dead_letter_topic"], None)
        work.create_topic(paths["topic"])
        work.subscribe(paths["subscription"], paths["topic"], policy)
        work.create_topic(paths["acknowledgement_topic"])
        work.subscribe(paths["acknowledgement_subscription"], paths["acknowledgement_topic"], None)
    return PubSubSetUp(**paths, created=tuple(work.created), corrected=tuple(work.corrected))


@dataclass
class _SettingUp:
    """Creates topics and subscriptions one after the other, and notes what it changed."""

    publisher_client: pubsub_v1.PublisherClient
    subscriber_client: pubsub_v1.SubscriberClient
    service: GoogleService
    created: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)

    def create_topic(self, path: str) -> None:
        self._create(self.publisher_client.create_topic, {"name": path})

    def subscribe(self, path: str, to: str, dead_letter_policy: Mapping[str, Any] | None) -> None:
        """Create a subscription, or give an existing one the right dead-letter policy.

        Raises:
            PublishRefused: the existing one has another topic or no message ordering.
        """
        wanted: dict[str, Any] = {
            "name": path,
            "topic": to,
            "ack_deadline_seconds": _ACK_SECONDS,
            "enable_message_ordering": True,
            "expiration_policy": {},  # never: an off-season has no message for months, and the default is 31 days
        }
        if dead_letter_policy:
            wanted["dead_letter_policy"] = dead_letter_policy
        if self._create(self.subscriber_client.create_subscription, wanted):
            return
        there = self.subscriber_client.get_subscription(request={"subscription": path}, **self._call())
        if there.topic != to or not there.enable_message_ordering:
            raise PublishRefused(
                f"{path} is there already, on {there.topic}"
                f"{'' if there.enable_message_ordering else ' without message ordering'}, which can't be changed; "
                "delete it when nothing in it is needed, or name another subscription in the settings"
            )
        if dead_letter_policy and (
            there.dead_letter_policy.dead_letter_topic != dead_letter_policy["dead_letter_topic"]
            or there.dead_letter_policy.max_delivery_attempts != dead_letter_policy["max_delivery_attempts"]
        ):
            self.subscriber_client.update_subscription(
                request={
                    "subscription": {"name": path, "dead_letter_policy": dead_letter_policy},
                    "update_mask": {"paths": ["dead_letter_policy"]},
                },
                **self._call(),
            )
            self.corrected.append(path)

    def _create(self, create: Callable[..., Any], request: dict[str, Any]) -> bool:
        try:
            create(request=request, **self._call())
        except exceptions.AlreadyExists:
            return False
        self.created.append(request["name"])
        return True

    def _call(self) -> dict[str, Any]:
        return {"retry": self.service.retry, "timeout": self.service.call_timeout}

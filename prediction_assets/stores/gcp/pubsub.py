"""Completions on Pub/Sub: published with the slate as ordering key, and the set-up that this needs.

A publish waits for the server's ack within one deadline; a crash after it, before the outbox recorded the
message id, publishes the same ``message_id`` again, and consumers ignore ids they have handled. Topics and
subscriptions are created by :func:`set_up`, asked for by a person, never by a publish.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import google.cloud.pubsub_v1 as pubsub_v1  # type: ignore[import-untyped]
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud.pubsub_v1.publisher.exceptions import (  # type: ignore[import-untyped]
    PublishToPausedOrderingKeyException,
)

from prediction_assets.errors import PredictionAssetsError, PublishRefused, PublishUnacknowledged, one_line
from prediction_assets.slate.completion_message import schema_version

SET_UP_COMMAND = "prediction-assets gcp set-up"
"""What a person runs to create the topic, its dead-letter topic and the subscription."""


DELIVERY_ATTEMPTS = 5
"""Deliveries after which a message that nobody acknowledges goes to the dead-letter topic; Pub/Sub's least."""


_ACK_SECONDS = 60


_SET_UP_SECONDS = 30.0


_RETRIED = (
    exceptions.Aborted,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    PublishToPausedOrderingKeyException,  # another thread's publish of the same slate failed just now
)


def publisher_client() -> pubsub_v1.PublisherClient:
    """Return a publisher client as :class:`PubSubPublisher` needs it: with message ordering."""
    return pubsub_v1.PublisherClient(
        publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    )


class PubSubPublisher:
    """A :class:`~prediction_assets.stores.protocols.Publisher` onto a Pub/Sub topic.

    Args:
        client: a client with message ordering, from :func:`publisher_client`.
        topic_path: ``projects/<project>/topics/<topic>``.
        ack_deadline_seconds: how long a publish waits for the server's ack, its retries included.
    """

    def __init__(
        self, client: pubsub_v1.PublisherClient, topic_path: str, ack_deadline_seconds: float = 30
    ) -> None:
        self._client = client
        self._topic_path = topic_path
        self._ack_deadline_seconds = ack_deadline_seconds

    def publish(self, message: Mapping[str, Any]) -> str:
        """Publish one completion message and return the server's message id.

        The body is the message as JSON; ``message_id``, ``phase``, ``slate`` and ``schema_version`` are also
        attributes, so that a subscription can filter.

        Raises:
            PublishRefused: the topic doesn't exist, or this run may not publish to it.
            PublishUnacknowledged: no ack within the deadline.
        """
        data = json.dumps(message, separators=(",", ":")).encode()
        slate = str(message["slate"])
        attributes = {
            "message_id": str(message["message_id"]),
            "phase": str(message["phase"]),
            "slate": slate,
            "schema_version": str(schema_version(message)),
        }
        ends = time.monotonic() + self._ack_deadline_seconds

        def attempt() -> str:
            # The client's own retry of an ordered publish never ends; this one does, and keeps the cause.
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

        what = f"event {attributes['message_id']} of slate {slate}"
        try:
            return _retry(self._ack_deadline_seconds)(attempt)()
        except exceptions.RetryError as error:
            raise self._failure(what, error.cause or error) from error
        except (exceptions.GoogleAPIError, GoogleAuthError, TimeoutError) as error:
            raise self._failure(what, error) from error

    def _failure(self, what: str, error: BaseException) -> PredictionAssetsError:
        if isinstance(error, exceptions.NotFound):
            return PublishRefused(
                f"{what}: topic {self._topic_path} doesn't exist; the event stays in the outbox. "
                f"Create it with `{SET_UP_COMMAND}`, or correct the topic in the settings"
            )
        if isinstance(error, exceptions.PermissionDenied):
            return PublishRefused(
                f"{what}: no permission to publish to {self._topic_path}; the event stays in the outbox. "
                "Give this run's service account the role roles/pubsub.publisher on the topic"
            )
        if isinstance(error, (exceptions.Unauthenticated, GoogleAuthError)):
            return PublishRefused(
                f"{what}: {_said(error)}; the event stays in the outbox. The application default "
                "credentials are missing or expired: run `gcloud auth application-default login`, "
                "or attach a service account"
            )
        if isinstance(error, exceptions.GoogleAPIError) and not isinstance(error, _RETRIED):
            return PublishRefused(
                f"{what}: {self._topic_path}: {_said(error)}; the event stays in the outbox"
            )
        return PublishUnacknowledged(
            f"{what}: {self._topic_path}: no ack within {self._ack_deadline_seconds:g} s "
            f"({_said(error) or type(error).__name__}); the event stays in the outbox and is published again "
            "under the same id. Check the network, or, where PUBSUB_EMULATOR_HOST is set, start the emulator "
            "there (`make emulators`) or unset it"
        )


@dataclass(frozen=True, slots=True)
class PubSubSetUp:
    """What :func:`set_up` found or made.

    Attributes:
        created: the paths that weren't there before.
        mended: the paths whose configuration was brought in line.
    """

    topic: str
    subscription: str
    dead_letter_topic: str
    dead_letter_subscription: str
    created: tuple[str, ...]
    mended: tuple[str, ...]


def set_up(
    publisher_client: pubsub_v1.PublisherClient,
    subscriber_client: pubsub_v1.SubscriberClient,
    project: str,
    topic: str,
    subscription: str,
    dead_letter_topic: str,
) -> PubSubSetUp:
    """Create the topic, its dead-letter topic and their subscriptions, as far as they aren't there.

    The subscription keeps order by slate, never expires (an off-season has months without a message), and
    passes on to the dead-letter topic what was delivered 5 times without an ack. The dead-letter topic gets a
    subscription of its own name, without which Pub/Sub would drop what arrives there.

    Args:
        topic, subscription, dead_letter_topic: short names, without ``projects/...``.

    Raises:
        PublishRefused: no permission or credentials, or a subscription of that name can't be brought in line.
        PublishUnacknowledged: Pub/Sub doesn't answer.
    """
    paths = {
        "topic": publisher_client.topic_path(project, topic),
        "dead_letter_topic": publisher_client.topic_path(project, dead_letter_topic),
        "subscription": subscriber_client.subscription_path(project, subscription),
        "dead_letter_subscription": subscriber_client.subscription_path(project, dead_letter_topic),
    }
    policy = {"dead_letter_topic": paths["dead_letter_topic"], "max_delivery_attempts": DELIVERY_ATTEMPTS}
    work = _SettingUp(publisher_client, subscriber_client)
    with _clear_set_up_errors(project):
        work.create_topic(paths["dead_letter_topic"])
        work.subscribe(paths["dead_letter_subscription"], paths["dead_letter_topic"], None)
        work.create_topic(paths["topic"])
        work.subscribe(paths["subscription"], paths["topic"], policy)
    return PubSubSetUp(**paths, created=tuple(work.created), mended=tuple(work.mended))


@dataclass
class _SettingUp:
    """What is created or brought in line, one topic or subscription after another.

    Attributes:
        created: paths of what wasn't there.
        mended: paths of subscriptions whose dead-letter policy was another.
    """

    publisher_client: pubsub_v1.PublisherClient
    subscriber_client: pubsub_v1.SubscriberClient
    created: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)

    def create_topic(self, path: str) -> None:
        """Create a topic unless it is there."""
        self._create(self.publisher_client.create_topic, {"name": path})

    def subscribe(self, path: str, to: str, dead_letter_policy: Mapping[str, Any] | None) -> None:
        """Create a subscription, or bring the one that is there in line.

        Raises:
            PublishRefused: the one that is there can't be brought in line.
        """
        wanted: dict[str, Any] = {
            "name": path,
            "topic": to,
            "ack_deadline_seconds": _ACK_SECONDS,
            "enable_message_ordering": True,
            "expiration_policy": {},  # never; 31 days is what leaving it out means
        }
        if dead_letter_policy:
            wanted["dead_letter_policy"] = dead_letter_policy
        if self._create(self.subscriber_client.create_subscription, wanted):
            return
        there = self.subscriber_client.get_subscription(request={"subscription": path}, **_set_up_call())
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
                **_set_up_call(),
            )
            self.mended.append(path)

    def _create(self, create: Callable[..., Any], request: dict[str, Any]) -> bool:
        try:
            create(request=request, **_set_up_call())
        except exceptions.AlreadyExists:
            return False
        self.created.append(request["name"])
        return True


def _set_up_call() -> dict[str, Any]:
    return {"retry": _retry(_SET_UP_SECONDS), "timeout": _SET_UP_SECONDS}


@contextmanager
def _clear_set_up_errors(project: str) -> Iterator[None]:
    """Turn the client's errors into one line that says what to do."""
    try:
        yield
    except exceptions.PermissionDenied as error:
        raise PublishRefused(
            f"project {project}: {_said(error)}; run it as somebody with the role roles/pubsub.editor"
        ) from error
    except (exceptions.Unauthenticated, GoogleAuthError) as error:
        raise PublishRefused(
            f"project {project}: {_said(error)}; run `gcloud auth application-default login`"
        ) from error
    except exceptions.GoogleAPIError as error:
        cause = (error.cause if isinstance(error, exceptions.RetryError) else error) or error
        if isinstance(cause, _RETRIED):
            raise PublishUnacknowledged(
                f"project {project}: Pub/Sub didn't answer within {_SET_UP_SECONDS:g} s ({_said(cause)}); run it "
                "again. Check the network, or, where PUBSUB_EMULATOR_HOST is set, that the emulator is up"
            ) from error
        raise PublishRefused(f"project {project}: {_said(cause)}; check the names in the settings") from error


def _retry(seconds: float) -> Retry:
    return Retry(
        predicate=if_exception_type(*_RETRIED), initial=0.1, maximum=5.0, multiplier=2.0, timeout=seconds
    )


def _said(error: BaseException) -> str:
    return one_line(str(getattr(error, "message", error)), 300)

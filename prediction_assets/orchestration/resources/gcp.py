"""The gcp profile's resources: BigQuery, Firestore and Pub/Sub, with application default credentials.

Only this profile imports the cloud clients. Emulators are used as each client's own convention says:
``FIRESTORE_EMULATOR_HOST`` and ``PUBSUB_EMULATOR_HOST`` in the environment; BigQuery has no such convention,
so its endpoint is a setting.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import dagster as dg
from dagster_gcp import BigQueryResource
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery, firestore, pubsub_v1
from pydantic import Field

from prediction_assets.errors import BadInput
from prediction_assets.orchestration.resources.ports import (
    AlertsResource,
    BatchStateResource,
    MessagingResource,
    WarehouseResource,
)
from prediction_assets.settings import Settings
from prediction_assets.stores.gcp.alerts import FirestoreAlertStore
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.gcp.dead_letters import FirestoreDeadLetters
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.firestore_schema import FirestoreDocuments
from prediction_assets.stores.gcp.outbox import FirestoreOutbox
from prediction_assets.stores.gcp.pubsub import PubSubPublisher, PubSubSetUp, publisher_client, set_up
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.versions import VersionedStore


class BigQueryClientResource(BigQueryResource):
    """dagster-gcp's BigQuery resource, which can also talk to an emulator."""

    endpoint: str | None = Field(default=None, description="address of a BigQuery emulator")

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """Return a client for the project, or for the emulator, which takes no credentials."""
        if self.endpoint is None:
            with super().get_client() as client:
                yield client
        else:
            yield bigquery.Client(
                project=self.project,
                location=self.location,
                credentials=AnonymousCredentials(),
                client_options=ClientOptions(api_endpoint=self.endpoint),
            )


@contextmanager
def _clear_credentials_errors() -> Iterator[None]:
    try:
        yield
    except GoogleAuthError as error:
        raise BadInput(
            "Google application default credentials",
            " ".join(str(error).split()),
            hint="run `gcloud auth application-default login`, or give the workload a service account",
        ) from error


def _firestore(project: str, database: str) -> FirestoreCalls:
    with _clear_credentials_errors():
        return FirestoreCalls(firestore.Client(project=project, database=database))


class _InFirestore(dg.ConfigurableResource):
    """What keeps documents in Firestore."""

    project: str = Field(description="project of the database")
    database: str = Field(description="database in Native mode")
    schema_collection: str = Field(description="collection of the document that says the schema version")

    @cached_property
    def _calls(self) -> FirestoreCalls:
        """Calls of documents that this version of the code may read and write.

        Dagster makes a resource anew for every tick and run, and each looks at the version again, one read: so the
        processes of an earlier version, which outlive an upgrade beside the new ones, are refused from then on.

        Raises:
            SchemaTooNew: a later version wrote them.
        """
        calls = _firestore(self.project, self.database)
        FirestoreDocuments(calls, self.schema_collection).migrate()
        return calls


class BigQueryWarehouseResource(WarehouseResource):
    """Facts, parts, features and predictions in BigQuery."""

    bigquery: BigQueryClientResource
    dataset_prefix: str = Field(description="put before every dataset's name")
    snapshot_days: int = Field(description="days after which a feature snapshot expires; 0: never")
    lock_timeout_seconds: float = Field(
        description="how long a call that fails for a passing reason is tried"
    )

    @cached_property
    def port(self) -> BigQueryWarehouse:
        """The warehouse."""
        with _clear_credentials_errors(), self.bigquery.get_client() as client:
            return BigQueryWarehouse(
                client,
                location=self.bigquery.location or "US",
                dataset_prefix=self.dataset_prefix,
                snapshot_days=self.snapshot_days or None,
                retry_seconds=self.lock_timeout_seconds,
            )


class FirestoreBatchStateResource(_InFirestore, BatchStateResource):
    """Batch state in Firestore, one document per player on the completion path."""

    collection: str = Field(description="collection of the batches, one document per slate")
    dead_letters_collection: str = Field(description="collection of the failures, one document per player")

    @cached_property
    def port(self) -> FirestoreBatchState:
        """The batch state."""
        return FirestoreBatchState(self._calls, self.collection)

    @cached_property
    def dead_letters(self) -> FirestoreDeadLetters:
        """The failures that nobody has dealt with."""
        return FirestoreDeadLetters(self._calls, self.dead_letters_collection)


class FirestoreAlertsResource(_InFirestore, AlertsResource):
    """Alerts in Firestore, one document per incident."""

    collection: str = Field(description="collection of the alerts")

    @cached_property
    def store(self) -> FirestoreAlertStore:
        """The alerts."""
        return FirestoreAlertStore(self._calls, self.collection)


class PubSubMessagingResource(_InFirestore, MessagingResource):
    """The outbox in Firestore, deliveries through Pub/Sub topics of the same project."""

    collection: str = Field(description="collection of the outbox, one document per event")
    topic: str = Field(description="topic of the Phase 5 completions")
    subscription: str = Field(description="subscription that set-up creates for phase 6")
    dead_letter_topic: str = Field(description="where completions go that couldn't be handled")

    @cached_property
    def outbox(self) -> FirestoreOutbox:
        """The events that were decided, and which of them are delivered."""
        return FirestoreOutbox(self._calls, self.collection)

    @cached_property
    def publisher(self) -> PubSubPublisher:
        """Delivers messages."""
        with _clear_credentials_errors():
            client = publisher_client()
        return PubSubPublisher(client, client.topic_path(self.project, self.topic))

    def set_up(self) -> PubSubSetUp:
        """Create the topics and subscriptions, as far as they aren't there."""
        with _clear_credentials_errors():
            return set_up(
                publisher_client(),
                pubsub_v1.SubscriberClient(),
                self.project,
                self.topic,
                self.subscription,
                self.dead_letter_topic,
            )


def gcp_resources(settings: Settings) -> dict[str, Any]:
    """Return the stores of the gcp profile."""
    project, prefix = settings.gcp_project or "", settings.firestore_collection_prefix
    documents = {
        "project": project,
        "database": settings.firestore_database,
        "schema_collection": f"{prefix}schema",
    }
    return {
        "warehouse": _warehouse(settings),
        "batch_state": FirestoreBatchStateResource(
            **documents,
            collection=f"{prefix}batches",
            dead_letters_collection=f"{prefix}dead_letters",
        ),
        "alerts": FirestoreAlertsResource(**documents, collection=f"{prefix}alerts"),
        "messaging": PubSubMessagingResource(
            **documents,
            collection=f"{prefix}outbox",
            topic=settings.pubsub_topic,
            subscription=settings.pubsub_subscription,
            dead_letter_topic=settings.pubsub_dead_letter_topic,
        ),
    }


def gcp_stores(settings: Settings) -> list[VersionedStore]:
    """Return what of the gcp profile has a schema with a version."""
    calls = _firestore(settings.gcp_project or "", settings.firestore_database)
    collection = f"{settings.firestore_collection_prefix}schema"
    return [_warehouse(settings).port, FirestoreDocuments(calls, collection)]


def _warehouse(settings: Settings) -> BigQueryWarehouseResource:
    return BigQueryWarehouseResource(
        bigquery=BigQueryClientResource(
            project=settings.gcp_project or "",
            location=settings.bigquery_location,
            endpoint=settings.bigquery_endpoint,
        ),
        dataset_prefix=settings.bigquery_dataset_prefix,
        snapshot_days=settings.keep_snapshots_days,
        lock_timeout_seconds=settings.lock_timeout_seconds,
    )

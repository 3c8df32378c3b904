"""The gcp profile's stores: BigQuery, Firestore and Pub/Sub in one project."""

from __future__ import annotations

from functools import cached_property

from prediction_assets.settings import Settings
from prediction_assets.stores.gcp.alerts import FirestoreAlertStore
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.gcp.clients import (
    bigquery_client,
    firestore_client,
    publisher_client,
    subscriber_client,
)
from prediction_assets.stores.gcp.dead_letters import FirestoreDeadLetters
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.firestore_schema import FirestoreDocuments
from prediction_assets.stores.gcp.outbox import FirestoreOutbox
from prediction_assets.stores.gcp.pubsub import PubSubPublisher, PubSubSetUp, set_up
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.versions import VersionedStore


class GcpStores:
    """The :class:`~prediction_assets.stores.profiles.Stores` of one Google Cloud project."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._project = settings.gcp_project or ""
        self._prefix = settings.gcp_prefix
        self._topic = f"{self._prefix}phase5-completion"
        self._acknowledgements = f"{self._prefix}phase5-acknowledgement"

    @cached_property
    def warehouse(self) -> BigQueryWarehouse:
        settings = self._settings
        return BigQueryWarehouse(
            bigquery_client(self._project, settings.gcp_location, settings.bigquery_endpoint),
            location=settings.gcp_location,
            dataset_prefix=settings.gcp_prefix,
            snapshot_days=settings.snapshot_days or None,
            call_timeout=settings.call_timeout,
            staging_layout=settings.staging_layout,
        )

    @cached_property
    def batch_state(self) -> FirestoreBatchState:
        return FirestoreBatchState(self._documents, f"{self._prefix}batches")

    @cached_property
    def dead_letters(self) -> FirestoreDeadLetters:
        return FirestoreDeadLetters(self._documents, f"{self._prefix}dead_letters")

    @cached_property
    def outbox(self) -> FirestoreOutbox:
        return FirestoreOutbox(self._documents, f"{self._prefix}outbox")

    @cached_property
    def publisher(self) -> PubSubPublisher:
        client, settings = publisher_client(), self._settings
        return PubSubPublisher(
            client,
            client.topic_path(self._project, self._topic),
            settings.call_timeout,
            f"projects/{self._project}/subscriptions/{self._acknowledgements}",
        )

    @cached_property
    def alerts(self) -> FirestoreAlertStore:
        return FirestoreAlertStore(self._documents, f"{self._prefix}alerts")

    def versioned(self) -> list[VersionedStore]:
        return [self.warehouse, FirestoreDocuments(self._calls, f"{self._prefix}schema")]

    def set_up_messaging(self) -> PubSubSetUp:
        """Create the topics and subscriptions that are missing."""
        settings = self._settings
        return set_up(
            publisher_client(),
            subscriber_client(),
            self._project,
            self._topic,
            f"{self._topic}-phase6",
            f"{self._topic}-dead-letter",
            self._acknowledgements,
            settings.call_timeout,
        )

    @cached_property
    def _calls(self) -> FirestoreCalls:
        client = firestore_client(self._project, self._settings.firestore_database)
        return FirestoreCalls(client, self._settings.call_timeout)

    @cached_property
    def _documents(self) -> FirestoreCalls:
        """Calls of documents that this version may read and write."""
        # Dagster opens the stores for every tick and run, and each looks at the version, one read: processes of an
        # earlier version that still run after an upgrade are refused from then on.
        FirestoreDocuments(self._calls, f"{self._prefix}schema").migrate()
        return self._calls

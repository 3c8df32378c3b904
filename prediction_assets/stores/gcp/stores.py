"""The gcp profile's stores: BigQuery, Firestore and Pub/Sub in one project."""

from __future__ import annotations

from functools import cached_property

from google.cloud import pubsub_v1

from prediction_assets.settings import Settings
from prediction_assets.stores.gcp.alerts import FirestoreAlertStore
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.gcp.clients import bigquery_client, clear_credentials_errors, firestore_calls
from prediction_assets.stores.gcp.dead_letters import FirestoreDeadLetters
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.firestore_schema import FirestoreDocuments
from prediction_assets.stores.gcp.outbox import FirestoreOutbox
from prediction_assets.stores.gcp.pubsub import PubSubPublisher, PubSubSetUp, publisher_client, set_up
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.versions import VersionedStore


class GcpStores:
    """Opens the stores of one Google Cloud project."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._project = settings.gcp_project or ""
        self._prefix = settings.firestore_collection_prefix

    @cached_property
    def warehouse(self) -> BigQueryWarehouse:
        settings = self._settings
        return BigQueryWarehouse(
            bigquery_client(self._project, settings.bigquery_location, settings.bigquery_endpoint),
            location=settings.bigquery_location,
            dataset_prefix=settings.bigquery_dataset_prefix,
            snapshot_days=settings.keep_snapshots_days or None,
            call_timeout=settings.lock_timeout_seconds,
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
        with clear_credentials_errors():
            client = publisher_client()
        return PubSubPublisher(client, client.topic_path(self._project, self._settings.pubsub_topic))

    @cached_property
    def alerts(self) -> FirestoreAlertStore:
        return FirestoreAlertStore(self._documents, f"{self._prefix}alerts")

    def versioned(self) -> list[VersionedStore]:
        return [self.warehouse, FirestoreDocuments(self._calls, f"{self._prefix}schema")]

    def set_up_messaging(self) -> PubSubSetUp:
        """Create the topics and subscriptions that are missing."""
        settings = self._settings
        with clear_credentials_errors():
            return set_up(
                publisher_client(),
                pubsub_v1.SubscriberClient(),
                self._project,
                settings.pubsub_topic,
                settings.pubsub_subscription,
                settings.pubsub_dead_letter_topic,
            )

    @cached_property
    def _calls(self) -> FirestoreCalls:
        return firestore_calls(self._project, self._settings.firestore_database)

    @cached_property
    def _documents(self) -> FirestoreCalls:
        """Calls of documents that this version of the code may read and write.

        Dagster opens the stores anew for every tick and run, and each looks at the version again, one read: the
        processes of an earlier version, which outlive an upgrade beside the new ones, are refused from then on.

        Raises:
            SchemaTooNew: a later version wrote them.
        """
        FirestoreDocuments(self._calls, f"{self._prefix}schema").migrate()
        return self._calls

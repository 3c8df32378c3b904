"""Google's clients, opened with application default credentials or for an emulator.

Firestore's and Pub/Sub's clients find their emulator in ``FIRESTORE_EMULATOR_HOST`` and ``PUBSUB_EMULATOR_HOST``.
BigQuery's client has no such convention, so its emulator's address is a setting. Every function raises
:class:`~prediction_assets.errors.NotPermitted` if there are no credentials.
"""

from __future__ import annotations

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, firestore, pubsub_v1

from prediction_assets.stores.gcp.google_errors import clear_credentials_errors


def bigquery_client(project: str, location: str, endpoint: str | None = None) -> bigquery.Client:
    """Return a client for the project, or for the emulator at the endpoint, which takes no credentials."""
    if endpoint is None:
        with clear_credentials_errors():
            return bigquery.Client(project=project, location=location)
    return bigquery.Client(
        project=project,
        location=location,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=endpoint),
    )


def firestore_client(project: str, database: str) -> firestore.Client:
    with clear_credentials_errors():
        return firestore.Client(project=project, database=database)


def publisher_client() -> pubsub_v1.PublisherClient:
    """Return a client that publishes the messages of one slate in their order."""
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    with clear_credentials_errors():
        return pubsub_v1.PublisherClient(publisher_options=options)


def subscriber_client() -> pubsub_v1.SubscriberClient:
    with clear_credentials_errors():
        return pubsub_v1.SubscriberClient()

"""Google's clients, opened with application default credentials or for an emulator.

Firestore's and Pub/Sub's clients find their emulator in ``FIRESTORE_EMULATOR_HOST`` and ``PUBSUB_EMULATOR_HOST``.
BigQuery's client has no such convention, so its emulator's address is a setting.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery, firestore

from prediction_assets.errors import BadInput
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls


@contextmanager
def clear_credentials_errors() -> Iterator[None]:
    """Raise ``BadInput`` with the remedy where there are no credentials."""
    try:
        yield
    except GoogleAuthError as error:
        raise BadInput(
            "Google application default credentials",
            " ".join(str(error).split()),
            hint="run `gcloud auth application-default login`, or give the workload a service account",
        ) from error


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


def firestore_calls(project: str, database: str) -> FirestoreCalls:
    """Return calls to a Firestore database in Native mode."""
    with clear_credentials_errors():
        return FirestoreCalls(firestore.Client(project=project, database=database))

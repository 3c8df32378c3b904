"""BigQuery's failures, told apart by type and reason, each as one line that says which setting or role.

Two decisions live here and nowhere else: whether a failure may go away by itself (:func:`is_transient`), and
what it is called for the person who has to act on it (:func:`explained`). Pure functions over exceptions.
"""

from __future__ import annotations

import concurrent.futures

import requests.exceptions
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError

from prediction_assets.errors import (
    Misplaced,
    NotPermitted,
    PredictionAssetsError,
    QueryRefused,
    QuotaExceeded,
    Unreachable,
    WarehouseBusy,
)

PROJECT_SETTING = "PREDICTION_ASSETS_GCP_PROJECT"


LOCATION_SETTING = "PREDICTION_ASSETS_BIGQUERY_LOCATION"


PREFIX_SETTING = "PREDICTION_ASSETS_BIGQUERY_DATASET_PREFIX"


ENDPOINT_SETTING = "PREDICTION_ASSETS_BIGQUERY_ENDPOINT"


_TRANSIENT_REASONS = frozenset(
    {
        "backendError",
        "badGateway",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
    }
)


_CONNECTION_ERRORS = (
    ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    TransportError,
)


_ABORTED_TRANSACTION = (
    "concurrent update"  # BigQuery reports it as an invalid query, without a reason of its own
)


def reason_of(error: BaseException) -> str:
    """Return BigQuery's own reason for an error, such as ``rateLimitExceeded``; '' when it gives none."""
    for entry in getattr(error, "errors", None) or ():
        if isinstance(entry, dict) and entry.get("reason"):
            return str(entry["reason"])
    return ""


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed in a moment.

    A refused connection is not transient: nothing listens there, which the emulator's address can mean and
    Google's can't.
    """
    if isinstance(error, exceptions.RetryError) and error.cause is not None:
        error = error.cause
    if isinstance(error, _CONNECTION_ERRORS):
        return not (isinstance(error, requests.exceptions.SSLError) or _is_refused(error))
    if reason_of(error) in _TRANSIENT_REASONS:
        return True
    return isinstance(error, exceptions.ServerError | exceptions.TooManyRequests)


def is_retryable_job(error: BaseException) -> bool:
    """Return whether a job that ended with this error may succeed when it is run again."""
    return is_transient(error) or is_aborted_transaction(error)


def is_aborted_transaction(error: BaseException) -> bool:
    """Return whether a transaction lost against another one that changed the same table."""
    return _ABORTED_TRANSACTION in str(error).lower()


def _is_refused(error: BaseException | None) -> bool:
    seen: set[int] = set()
    pending = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        if isinstance(current, ConnectionRefusedError):
            return True
        seen.add(id(current))
        pending += [current.__cause__, current.__context__, getattr(current, "reason", None)]
        pending += [argument for argument in current.args if isinstance(argument, BaseException)]
    return False


def explained(error: BaseException, doing: str, project: str) -> PredictionAssetsError:
    """Return an error of the client or its credentials as one line about what was being done."""
    if isinstance(error, exceptions.RetryError) and error.cause is not None:
        error = error.cause
    text = " ".join(str(getattr(error, "message", None) or error).split())[:300].rstrip(".")
    start = f"{doing}: BigQuery, project {project}"
    if isinstance(error, concurrent.futures.TimeoutError):
        return WarehouseBusy(
            f"{start}: the job hasn't ended in time; it goes on without us. Run this again to find its result"
        )
    if isinstance(error, _CONNECTION_ERRORS):
        return Unreachable(
            f"{start}: no answer; nothing was changed. Check the network, or, where {ENDPOINT_SETTING} is set, "
            "start the emulator there (`make emulators`) or unset it"
        )
    if isinstance(error, exceptions.Unauthorized | GoogleAuthError):
        return NotPermitted(
            f"{start}: the application default credentials are missing or expired; run "
            f"`gcloud auth application-default login`, or attach a service account ({text[:120]})"
        )
    reason = reason_of(error)
    if reason in {"quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded"} or isinstance(
        error, exceptions.TooManyRequests
    ):
        return QuotaExceeded(
            f"{start}: {text}; a quota is used up. See the project's BigQuery quotas and docs/gcp.md, and run "
            "this again: nothing is lost"
        )
    if isinstance(error, exceptions.Forbidden):
        return NotPermitted(f"{start}: {text}; {_role_for(text)}")
    if isinstance(error, exceptions.NotFound):
        return Misplaced(f"{start}: {text}; {_where_to_look(text)}")
    if is_aborted_transaction(error):
        return WarehouseBusy(f"{start}: {text}; it changed nothing. Run this again")
    if isinstance(error, exceptions.ServerError):
        return Unreachable(f"{start}: {text}; the service failed, nothing is lost. Run this again")
    return QueryRefused(f"{start}: {text}")


def _role_for(text: str) -> str:
    if "jobs.create" in text:
        return "give this run's service account the role roles/bigquery.jobUser on the project"
    if "datasets.create" in text:
        return (
            "let somebody with roles/bigquery.user run `prediction-assets gcp set-up` once, "
            "or give this run's service account that role on the project"
        )
    if "billing" in text.lower():
        return "enable billing for the project"
    return "give this run's service account the role roles/bigquery.dataEditor on the project's datasets"


def _where_to_look(text: str) -> str:
    if "location" in text.lower():
        return f"check {PROJECT_SETTING}, {PREFIX_SETTING}, and that {LOCATION_SETTING} is where the datasets are"
    return f"check {PROJECT_SETTING} and {PREFIX_SETTING}, or run `prediction-assets gcp set-up`"

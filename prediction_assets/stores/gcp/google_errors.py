"""Google's errors, for all three clients: which are transient, for how long a call is retried, what each becomes.

:func:`is_transient` is the one list of what the same call may survive, :func:`retry_policy` the one retry, and
:meth:`GoogleService.translated` the one place where an error of Google's becomes one of ours. What doesn't belong
here: clients, and errors that Google knows nothing of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests.exceptions
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError, TransportError

from prediction_assets.errors import (
    Misplaced,
    NotPermitted,
    PredictionAssetsError,
    PublishRefused,
    QueryRefused,
    QuotaExceeded,
    StateBusy,
    StateUnreadable,
    TerminalError,
    Unreachable,
    WarehouseBusy,
    one_line,
)

PROJECT_SETTING = "PREDICTION_ASSETS_GCP_PROJECT"
LOCATION_SETTING = "PREDICTION_ASSETS_GCP_LOCATION"
PREFIX_SETTING = "PREDICTION_ASSETS_GCP_PREFIX"
ENDPOINT_SETTING = "PREDICTION_ASSETS_BIGQUERY_ENDPOINT"
SET_UP_COMMAND = "prediction-assets gcp set-up"

_CONNECTION_ERRORS = (
    ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    TransportError,
)
CLIENT_ERRORS = (
    exceptions.GoogleAPIError,
    GoogleAuthError,
    requests.exceptions.RequestException,
    ConnectionError,
    TimeoutError,
)
"""Everything that one of Google's clients raises for a call that failed."""

_TRANSIENT_TYPES = (
    exceptions.Aborted,  # Firestore: a commit lost against another one. Its client retries neither this nor a commit.
    exceptions.BadGateway,
    exceptions.GatewayTimeout,  # and DeadlineExceeded
    exceptions.InternalServerError,
    exceptions.ServiceUnavailable,
    exceptions.TooManyRequests,  # and ResourceExhausted
)
# BigQuery gives most of its limits the status 403; only the reason separates them from a missing role.
# https://cloud.google.com/bigquery/docs/error-messages
_RATE_REASONS = frozenset({"jobRateLimitExceeded", "rateLimitExceeded"})
_TRANSIENT_REASONS = _RATE_REASONS | {
    "backendError",
    "badGateway",
    "internalError",
    "jobBackendError",
    "jobInternalError",
}
_QUOTA_REASONS = _RATE_REASONS | {"quotaExceeded"}

_logger = logging.getLogger(__name__)


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed in a moment.

    A refused connection isn't transient: nothing listens there. That happens with an emulator's address only.
    """
    error = _cause(error)
    if isinstance(error, _CONNECTION_ERRORS):
        return not (isinstance(error, requests.exceptions.SSLError) or _is_refused_connection(error))
    return reason_of(error) in _TRANSIENT_REASONS or isinstance(error, _TRANSIENT_TYPES)


def is_aborted_transaction(error: BaseException) -> bool:
    """Return whether a BigQuery transaction lost against another one that changed the same table."""
    # BigQuery reports it as an invalid query, without a reason of its own.
    return "concurrent update" in str(error).lower()


def reason_of(error: BaseException) -> str:
    """Return BigQuery's own reason for an error, such as ``rateLimitExceeded``; '' when it gives none."""
    for entry in getattr(error, "errors", None) or ():
        if isinstance(entry, dict) and entry.get("reason"):
            return str(entry["reason"])
    return ""


def retry_policy(call_timeout: float, retried: Callable[[Exception], bool] = is_transient) -> Retry:
    """Return the retry of one call: exponential backoff with jitter within a deadline.

    Args:
        call_timeout: seconds until the call counts as failed, its retries included.
    """
    return Retry(
        predicate=retried,
        initial=0.1,
        maximum=10.0,
        multiplier=2.0,
        timeout=call_timeout,
        on_error=lambda error: _logger.debug("retrying after %s", error),
    )


@contextmanager
def clear_credentials_errors() -> Iterator[None]:
    """Turn the error of a client that finds no credentials when it is opened into ours."""
    try:
        yield
    except GoogleAuthError as error:
        raise _no_credentials(f"opening Google's clients: {one_line(str(error), 300)}") from error


@dataclass(frozen=True, slots=True)
class GoogleService:
    """A service of one project: how long its calls take at most, and what its errors become."""

    where: str  # the service and the project, topic or database, as a message names it
    call_timeout: float  # seconds until a call counts as failed, its retries included
    emulator: str  # the variable that holds an emulator's address
    role: Callable[[str], str]  # returns which role to give to whom, from the text of a refusal
    absent: Callable[[str], str]  # maps Google's "not found" text to the remedy
    busy: type[PredictionAssetsError]  # the error after others won until the deadline
    refused: type[TerminalError]  # the error for everything that has none of its own
    # the exceptions that mean that others were first
    conflicts: tuple[type[Exception], ...] = (exceptions.Aborted,)

    @property
    def retry(self) -> Retry:
        return retry_policy(self.call_timeout)

    @contextmanager
    def clear_errors(self, doing: str) -> Iterator[None]:
        """Turn an error of Google's into one of ours, as :meth:`translated` does."""
        try:
            yield
        except CLIENT_ERRORS as error:
            raise self.translated(error, doing) from error

    def translated(self, error: BaseException, doing: str) -> PredictionAssetsError:
        """Return an error of Google's as one line: what was being done, where, what Google said, what to do.

        ``NotPermitted``, ``Misplaced``, ``QuotaExceeded`` and ``Unreachable`` mean the same for each service.
        """
        error = _cause(error)
        said = (
            one_line(str(getattr(error, "message", None) or error), 300).rstrip(".") or type(error).__name__
        )
        start = f"{doing}: {self.where}: {said}"
        match error:
            case _ if self._is_unanswered(error):
                waited = "" if _is_refused_connection(error) else f" within {self.call_timeout:g} s"
                return Unreachable(
                    f"{start}; no answer{waited}. Run this again: nothing is lost. Check the network, or, where "
                    f"{self.emulator} is set, start the emulator there (`make emulators`) or unset it"
                )
            case exceptions.Unauthorized() | GoogleAuthError():
                return _no_credentials(start)
            case _ if reason_of(error) in _QUOTA_REASONS or isinstance(error, exceptions.TooManyRequests):
                return QuotaExceeded(
                    f"{start}; a quota is used up. See the project's quotas and docs/gcp-and-deploying.md, and run "
                    "this again: nothing is lost"
                )
            case exceptions.Forbidden():
                return NotPermitted(f"{start}; {self.role(said)}")
            case exceptions.NotFound():
                return Misplaced(f"{start}; {self.absent(said)}")
            case _ if isinstance(error, self.conflicts) or is_aborted_transaction(error):
                return self.busy(f"{start}; other writers were first each time. Run this again")
        return self.refused(start)

    def _is_unanswered(self, error: BaseException) -> bool:
        unanswered = (*_CONNECTION_ERRORS, exceptions.ServerError, exceptions.RetryError, TimeoutError)
        return isinstance(error, unanswered) and reason_of(error) not in _QUOTA_REASONS


def bigquery_service(project: str, call_timeout: float) -> GoogleService:
    return GoogleService(
        f"BigQuery, project {project}", call_timeout, ENDPOINT_SETTING,
        _bigquery_role, _bigquery_absent, WarehouseBusy, QueryRefused,
    )  # fmt: skip


def firestore_service(project: str, database: str, call_timeout: float) -> GoogleService:
    return GoogleService(
        f"Firestore database {database} of project {project}",
        call_timeout,
        "FIRESTORE_EMULATOR_HOST",
        role=lambda _: "give this run's service account the role roles/datastore.user on that project",
        absent=lambda _: (
            f"check {PROJECT_SETTING}, or create the database with `gcloud firestore databases create "
            f"--project {project} --location <region>`"
        ),
        busy=StateBusy,
        refused=StateUnreadable,
        conflicts=(exceptions.Aborted, exceptions.AlreadyExists, exceptions.FailedPrecondition),
    )


def pubsub_service(
    where: str, role: str, call_timeout: float, conflicts: tuple[type[Exception], ...] = (exceptions.Aborted,)
) -> GoogleService:
    """Return Pub/Sub."""
    return GoogleService(
        f"Pub/Sub {where}",
        call_timeout,
        "PUBSUB_EMULATOR_HOST",
        role=lambda _: role,
        absent=lambda _: (
            f"it doesn't exist: create it with `{SET_UP_COMMAND}`, or correct its name in the settings"
        ),
        busy=Unreachable,
        refused=PublishRefused,
        conflicts=conflicts,
    )


def _no_credentials(start: str) -> NotPermitted:
    return NotPermitted(
        f"{start}; the application default credentials are missing or expired: "
        "run `gcloud auth application-default login`, or attach a service account"
    )


def _cause(error: BaseException) -> BaseException:
    while isinstance(error, exceptions.RetryError) and error.cause is not None:
        error = error.cause
    return error


def _is_refused_connection(error: BaseException | None) -> bool:
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


def _bigquery_role(text: str) -> str:
    if "jobs.create" in text:
        return "give this run's service account the role roles/bigquery.jobUser on the project"
    if "datasets.create" in text:
        return (
            f"run `{SET_UP_COMMAND}` once as somebody with roles/bigquery.user, "
            "or give this run's service account that role on the project"
        )
    if "billing" in text.lower():
        return "enable billing for the project"
    return "give this run's service account the role roles/bigquery.dataEditor on the project's datasets"


def _bigquery_absent(text: str) -> str:
    if "location" in text.lower():
        return f"check {PROJECT_SETTING}, {PREFIX_SETTING}, and that {LOCATION_SETTING} is where the datasets are"
    return f"check {PROJECT_SETTING} and {PREFIX_SETTING}, or run `{SET_UP_COMMAND}`"

"""The GCP profile's state store, Firestore, called the one safe way.

Every call names its own retry, because the client retries neither Aborted nor a commit: jittered
exponential backoff within one deadline. Every failure becomes one line that says which role, setting or
service to look at. Every store in Firestore goes through here; each brings its own documents.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypedDict, TypeVar

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore

from prediction_assets.errors import BadInput, StateUnreadable, one_line

_RETRIED = (
    exceptions.Aborted,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
)
_WRITES_PER_COMMIT = 250
_CONFLICTS = (exceptions.AlreadyExists, exceptions.FailedPrecondition)

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class _CallArguments(TypedDict):
    retry: Retry
    timeout: float


@dataclass(frozen=True)
class FirestoreCalls:
    """How Firestore is asked: for how long, what is tried again, and what its failures are called.

    Attributes:
        timeout_seconds: deadline of one call, its retries included.
    """

    client: firestore.Client
    timeout_seconds: float = 30

    @cached_property
    def arguments(self) -> _CallArguments:
        """The ``retry`` and ``timeout`` that every call passes."""
        return {"retry": self._retry(*_RETRIED), "timeout": self.timeout_seconds}

    def until_uncontended(self, what: str, change: Callable[[], _T]) -> _T:
        """Read, decide and write if unchanged, once more whenever somebody else was first; return what that returns.

        Args:
            what: of which the errors speak, as in :meth:`clear_errors`.

        Raises:
            StateUnreadable: others were first until the deadline, or a call failed for good.
        """
        with self.clear_errors(what):
            done: _T = self._retry(*_CONFLICTS)(change)()
        return done

    def unchanged(self, read: firestore.DocumentSnapshot[Any]) -> firestore.WriteOption:
        """Return the condition that a document is still the one that was read."""
        return self.client.write_option(last_update_time=read.update_time)

    def write_over(self, read: firestore.DocumentSnapshot[Any], fields: Mapping[str, Any]) -> None:
        """Write a document over what was read of it: create what wasn't there, update what is unchanged since."""
        if read.exists:
            read.reference.update(dict(fields), option=self.unchanged(read), **self.arguments)
        else:
            read.reference.create(dict(fields), **self.arguments)

    def create_once(self, document: firestore.DocumentReference, fields: Mapping[str, Any]) -> None:
        """Create a document; one that is there, of an earlier run or of our own first attempt, stays as it is."""
        with suppress(exceptions.AlreadyExists):
            document.create(dict(fields), **self.arguments)

    def write_each(
        self,
        documents: Sequence[firestore.DocumentReference],
        write: Callable[[firestore.WriteBatch, firestore.DocumentReference], None],
    ) -> None:
        """Write documents in groups; should one fail, those before it stand, and writing all again is right.

        Args:
            write: adds one document's write to a group's.
        """
        for start in range(0, len(documents), _WRITES_PER_COMMIT):
            writes = self.client.batch()
            for document in documents[start : start + _WRITES_PER_COMMIT]:
                write(writes, document)
            writes.commit(**self.arguments)

    def delete(self, documents: Sequence[firestore.DocumentReference]) -> None:
        """Delete documents, in groups as :meth:`write_each`."""
        self.write_each(documents, lambda writes, document: writes.delete(document))

    def _retry(self, *errors: type[Exception]) -> Retry:
        return Retry(
            predicate=if_exception_type(*errors),
            initial=0.1,
            maximum=5.0,
            multiplier=2.0,
            timeout=self.timeout_seconds,
            on_error=_log_retry,
        )

    @contextmanager
    def clear_errors(self, what: str) -> Iterator[None]:
        """Turn a failure of Firestore into one line about ``what`` that says what to do.

        Raises:
            StateUnreadable: in place of every error of the client or of its credentials.
        """
        try:
            yield
        except exceptions.RetryError as error:
            raise self._unreadable(what, error.cause or error) from error
        except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
            raise self._unreadable(what, error) from error

    def _unreadable(self, what: str, error: BaseException) -> StateUnreadable:
        text = one_line(str(getattr(error, "message", error)), 300)
        where = f"Firestore database {self.client._database} of project {self.client.project}"
        return StateUnreadable(f"{what}: {where}: {text}; {self._remedy(error)}")

    def _remedy(self, error: BaseException) -> str:
        match error:
            case exceptions.PermissionDenied():
                return "give this run's service account the role roles/datastore.user on that project"
            case exceptions.Unauthenticated() | GoogleAuthError():
                return (
                    "the application default credentials are missing or expired: "
                    "run `gcloud auth application-default login`, or attach a service account"
                )
            case exceptions.NotFound():
                return (
                    "check the project in the settings, or create the database with `gcloud firestore "
                    f"databases create --project {self.client.project} --location <region>`"
                )
            case exceptions.ResourceExhausted():
                return "a quota is used up: see the project's Firestore quotas; nothing is lost, run it again"
            case exceptions.Aborted() | exceptions.FailedPrecondition() | exceptions.AlreadyExists():
                return f"others kept writing the same document for {self.timeout_seconds:g} s; run it again"
            case exceptions.ServiceUnavailable() | exceptions.DeadlineExceeded():
                return (
                    f"no answer within {self.timeout_seconds:g} s: check the network, or, where "
                    "FIRESTORE_EMULATOR_HOST is set, start the emulator there (`make emulators`) or unset it"
                )
            case _:
                return "nothing was changed by this step; see docs/gcp.md"


def document_id(text: str, kind: str) -> str:
    """Return a text that may stand as a document's id, unchanged; it is never used as a field path.

    Raises:
        BadInput: Firestore reserves it: empty, ``.``, ``..``, ``__x__``, with a slash, above 1,500 bytes.
    """
    reserved = text in {"", ".", ".."} or (text.startswith("__") and text.endswith("__"))
    if reserved or "/" in text or len(text.encode()) > 1500:
        raise BadInput(
            kind, f"{text[:80]!r} can't name a Firestore document", hint="use a slug such as a-b-1"
        )
    return text


def moment(stored: Any) -> datetime:
    """Return a stored timestamp as a plain datetime in UTC; the client's own type is a subclass of it."""
    return datetime.combine(stored.date(), stored.timetz()).astimezone(UTC)


def of_slate(collection: firestore.CollectionReference, slate: str | None) -> Any:
    """Return the query of a collection's documents of one slate, or of all."""
    if slate is None:
        return collection
    return collection.where(filter=firestore.FieldFilter("slate", "==", slate))


@contextmanager
def undamaged(document: firestore.DocumentReference) -> Iterator[None]:
    """Take a document's fields apart within this.

    Raises:
        StateUnreadable: it isn't of the shape that this version writes.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateUnreadable(
            f"Firestore {document.path}: {type(error).__name__}: {error}; nothing was changed. "
            "It was edited by hand or by another version: restore it from a backup"
        ) from error


def _log_retry(error: Exception) -> None:
    _logger.debug("Firestore: trying again after %s", error)

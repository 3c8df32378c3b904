"""How every store in Firestore calls it: with one retry, and with writes that are safe beside other processes.

What doesn't belong here: documents; each store brings its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypedDict, TypeVar

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import firestore

from prediction_assets.errors import BadInput, StateUnreadable
from prediction_assets.stores.gcp.google_errors import GoogleService, firestore_service, retry_policy

_WRITES_PER_COMMIT = 250  # a failed group is written again as a whole, so groups are small
_CONFLICTS = (exceptions.AlreadyExists, exceptions.FailedPrecondition)

_T = TypeVar("_T")


class _CallArguments(TypedDict):
    retry: Retry
    timeout: float


@dataclass(frozen=True)
class FirestoreCalls:
    """A client of one database, and how it is called."""

    client: firestore.Client
    call_timeout: float = 60.0  # seconds until a call counts as failed, its retries included

    @property
    def database(self) -> tuple[str, str]:
        return self.client.project, self.client._database

    @cached_property
    def service(self) -> GoogleService:
        return firestore_service(*self.database, self.call_timeout)

    @cached_property
    def arguments(self) -> _CallArguments:
        """The ``retry`` and ``timeout`` that every call passes."""
        return {"retry": self.service.retry, "timeout": self.call_timeout}

    def until_uncontended(self, what: str, change: Callable[[], _T]) -> _T:
        """Read, decide and write if unchanged, again each time that somebody else was first; return the result.

        Raises:
            StateBusy: others were first until the deadline.
        """
        with self.service.clear_errors(what):
            done: _T = retry_policy(self.call_timeout, if_exception_type(*_CONFLICTS))(change)()
        return done

    def unchanged(self, read: firestore.DocumentSnapshot[Any]) -> firestore.WriteOption:
        """Return the condition that a document is still the one that was read."""
        return self.client.write_option(last_update_time=read.update_time)

    def write_over(self, read: firestore.DocumentSnapshot[Any], fields: Mapping[str, Any]) -> None:
        """Create a document that wasn't there when it was read; update one that is unchanged since then."""
        if read.exists:
            read.reference.update(dict(fields), option=self.unchanged(read), **self.arguments)
        else:
            read.reference.create(dict(fields), **self.arguments)

    def create_once(self, document: firestore.DocumentReference, fields: Mapping[str, Any]) -> None:
        """Create a document; one that exists, from an earlier run or our own first attempt, stays as it is."""
        with suppress(exceptions.AlreadyExists):
            document.create(dict(fields), **self.arguments)

    def write_each(
        self,
        documents: Sequence[firestore.DocumentReference],
        write: Callable[[firestore.WriteBatch, firestore.DocumentReference], None],
    ) -> None:
        """Write documents in groups. After a failed group the earlier ones stand, and writing all again is safe."""
        for start in range(0, len(documents), _WRITES_PER_COMMIT):
            writes = self.client.batch()
            for document in documents[start : start + _WRITES_PER_COMMIT]:
                write(writes, document)
            writes.commit(**self.arguments)

    def delete(self, documents: Sequence[firestore.DocumentReference]) -> None:
        """Delete documents, in groups as :meth:`write_each`."""
        self.write_each(documents, lambda writes, document: writes.delete(document))


def document_id(text: str, kind: str) -> str:
    """Return a text unchanged if it can be a document's id.

    Raises:
        BadInput: Firestore reserves it.
    """
    # https://cloud.google.com/firestore/quotas#collections_documents_and_fields
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
    """Read a document's fields inside this block.

    Raises:
        StateUnreadable: a field is missing or has another type than this version writes.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateUnreadable(
            f"Firestore {document.path}: {type(error).__name__}: {error}; nothing was changed. "
            "It was edited by hand or by another version: restore it from a backup"
        ) from error

"""The calls that Google bills, counted at the clients, below everything that this project does with them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.cloud import bigquery, pubsub_v1
from google.cloud.bigquery._http import Connection
from google.cloud.firestore_v1.services.firestore import FirestoreClient

_TABLE = re.compile(r"`[^`]+`\.`[^`]+`\.`[^`]+`")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')


@dataclass
class Calls:
    """What was called, by what it is billed as.

    Attributes:
        counts: ``firestore_reads``, ``firestore_writes``, ``firestore_deletes``, ``bigquery_loads``,
            ``bigquery_queries``, ``bigquery_tables`` (as often as a statement names one), ``bigquery_requests`` (free)
            and ``pubsub_requests``.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def since(self, earlier: Counter[str]) -> Counter[str]:
        return self.counts - earlier

    def _documents(self, answers: Iterable[Any], is_document: Callable[[Any], bool]) -> Iterator[Any]:
        """Pass on a stream and count its documents; a query that finds none is billed as one."""
        found = 0
        for answer in answers:
            found += is_document(answer)
            yield answer
        self.counts["firestore_reads"] += max(found, 1)

    def _job(self, text: str) -> None:
        self.counts["bigquery_queries"] += 1
        for statement in _STRING.sub("''", text).split(";"):
            self.counts["bigquery_tables"] += len(set(_TABLE.findall(statement)))


@contextmanager
def counted() -> Iterator[Calls]:
    """Count the calls of every client of this process for the length of a block."""
    calls = Calls()
    get, query, commit = (
        FirestoreClient.batch_get_documents,
        FirestoreClient.run_query,
        FirestoreClient.commit,
    )
    request, upload = Connection.api_request, bigquery.Client._do_resumable_upload
    publish, pull = pubsub_v1.PublisherClient.publish, pubsub_v1.SubscriberClient.pull

    def counted_get(self: Any, *args: Any, **named: Any) -> Any:
        return calls._documents(
            get(self, *args, **named), lambda answer: bool(answer.found or answer.missing)
        )

    def counted_query(self: Any, *args: Any, **named: Any) -> Any:
        return calls._documents(query(self, *args, **named), lambda answer: bool(answer.document))

    def counted_commit(self: Any, *args: Any, **named: Any) -> Any:
        for write in (named.get("request") or args[0])["writes"]:
            calls.counts["firestore_deletes" if "delete" in write else "firestore_writes"] += 1
        return commit(self, *args, **named)

    def counted_request(self: Any, **named: Any) -> Any:
        configuration = (named.get("data") or {}).get("configuration", {})
        if "query" in configuration:
            calls._job(configuration["query"]["query"])
        else:
            calls.counts["bigquery_requests"] += 1
        return request(self, **named)

    def counted_upload(self: Any, *args: Any, **named: Any) -> Any:
        calls.counts["bigquery_loads"] += 1
        return upload(self, *args, **named)

    def counted_publish(self: Any, *args: Any, **named: Any) -> Any:
        calls.counts["pubsub_requests"] += 1
        return publish(self, *args, **named)

    def counted_pull(self: Any, *args: Any, **named: Any) -> Any:
        calls.counts["pubsub_requests"] += 1
        return pull(self, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FirestoreClient, "batch_get_documents", counted_get)
        patch.setattr(FirestoreClient, "run_query", counted_query)
        patch.setattr(FirestoreClient, "commit", counted_commit)
        patch.setattr(Connection, "api_request", counted_request)
        patch.setattr(bigquery.Client, "_do_resumable_upload", counted_upload)
        patch.setattr(pubsub_v1.PublisherClient, "publish", counted_publish)
        patch.setattr(pubsub_v1.SubscriberClient, "pull", counted_pull)
        yield calls

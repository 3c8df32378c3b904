"""BigQuery called the one safe way: every job named, labelled, counted, retried by the type of its error.

A job's id is chosen here, so that a request whose answer was lost, or whose process died, finds the job it
started instead of starting another. What doesn't belong here: SQL, and what a table means.
"""

from __future__ import annotations

import io
import logging
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from requests.exceptions import RequestException

from prediction_assets.errors import BadInput, WarehouseBusy
from prediction_assets.stores.gcp.bigquery_errors import (
    PREFIX_SETTING,
    explained,
    is_retryable_job,
    is_transient,
)
from prediction_assets.stores.sql.tables import ColumnType

_logger = logging.getLogger(__name__)

_REQUEST_SECONDS = 60.0
_ATTEMPTS_FOLLOWED = 20
_RERUNS = 3
_PREFIX = re.compile(r"[A-Za-z0-9_]{0,64}\Z")
_Job = TypeVar("_Job", bound=bigquery.QueryJob | bigquery.LoadJob)

_PARAMETER_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),  # before int, and datetime before date: each is a subclass of the other
    (int, "INT64"),
    (float, "FLOAT64"),
    (Decimal, "NUMERIC"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
    (str, "STRING"),
)


@dataclass(frozen=True, slots=True)
class JobStatistics:
    """What one finished job cost.

    Attributes:
        purpose: ``query``, ``load_part``, ``merge`` and so on.
        bytes_processed: bytes read; of a load job, bytes written.
        bytes_billed: bytes paid for; load jobs are free.
        slot_milliseconds: slot time used.
        seconds: wall time as seen from here, waiting included.
    """

    job_id: str
    purpose: str
    bytes_processed: int
    bytes_billed: int
    slot_milliseconds: int
    seconds: float


class BigQueryJobs:
    """A client with the installation's location, names, retries and counts; safe to share between threads.

    Args:
        client: calls BigQuery; its project holds the datasets and pays for the jobs.
        location: where the datasets are and jobs run, such as ``US`` or ``europe-west4``.
        dataset_prefix: put before every dataset's name, so that two installations can share a project.
        retry_seconds: how long a call that fails for a passing reason is tried again.
        job_timeout_seconds: how long a job is waited for.
        storage_api: read results through the BigQuery Storage API, which is faster from some 10,000 rows.
    """

    def __init__(
        self,
        client: bigquery.Client,
        *,
        location: str,
        dataset_prefix: str = "",
        retry_seconds: float = 60.0,
        job_timeout_seconds: float = 600.0,
        storage_api: bool = False,
    ) -> None:
        if not _PREFIX.match(dataset_prefix):
            raise BadInput(
                PREFIX_SETTING, f"{dataset_prefix!r}", hint="use at most 64 letters, digits and underscores"
            )
        self.client = client
        self.location = location
        self.dataset_prefix = dataset_prefix
        self.retry = Retry(
            predicate=is_transient, initial=0.5, maximum=15.0, multiplier=2.0, timeout=retry_seconds
        )
        self._retry_seconds = retry_seconds
        self._job_timeout = job_timeout_seconds
        self._storage_api = storage_api
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._newest = threading.local()

    @property
    def project(self) -> str:
        """The project that holds the datasets."""
        return str(self.client.project)

    @property
    def counts(self) -> Mapping[str, int]:
        """Jobs started so far, by purpose."""
        with self._lock:
            return dict(self._counts)

    @property
    def last_statistics(self) -> JobStatistics | None:
        """What the newest job that this thread waited for cost."""
        return getattr(self._newest, "statistics", None)

    def charge_to_newest(self, earlier: Sequence[JobStatistics]) -> None:
        """Add what earlier jobs cost to this thread's newest one, which they were run for."""
        newest = self.last_statistics
        if newest is not None:
            jobs = [newest, *earlier]
            self._newest.statistics = replace(
                newest,
                bytes_processed=sum(job.bytes_processed for job in jobs),
                bytes_billed=sum(job.bytes_billed for job in jobs),
                slot_milliseconds=sum(job.slot_milliseconds for job in jobs),
                seconds=round(sum(job.seconds for job in jobs), 3),
            )

    def dataset(self, name: str) -> bigquery.DatasetReference:
        """Return the dataset that a declared dataset is stored in."""
        return bigquery.DatasetReference(self.project, f"{self.dataset_prefix}{name}")

    def relation(self, dataset: str, name: str) -> tuple[str, str, str]:
        """Return ``(project, dataset, table)`` of a table in a declared dataset."""
        return self.project, f"{self.dataset_prefix}{dataset}", name

    @contextmanager
    def clear_errors(self, doing: str) -> Iterator[None]:
        """Turn a failure of BigQuery into one line that says what to do.

        Raises:
            WarehouseUnreadable: no permission, credentials, project, dataset or connection.
            WarehouseBusy: a quota is used up, or a job didn't end in time.
            QueryRefused: anything else that BigQuery won't do.
        """
        try:
            yield
        except (
            exceptions.GoogleAPIError,
            GoogleAuthError,
            RequestException,
            ConnectionError,
            TimeoutError,
        ) as error:
            raise explained(error, doing, self.project) from error

    def query(
        self,
        sql: str,
        *,
        purpose: str,
        doing: str,
        parameters: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        key: str | None = None,
        is_done: Callable[[], bool] | None = None,
    ) -> pa.Table:
        """Run a statement or script in BigQuery's dialect and return the rows of its last SELECT.

        Args:
            purpose: the kind of job, for its label, its id and the counts.
            doing: what an error message says was being done.
            parameters: named parameters; an empty list is taken for integers.
            key: makes the job's id deterministic: a job with this key that ran before, here or in a process
                that died, is found instead of repeated.
            is_done: asked about such an earlier job that ended well; False runs the statement again.
        """
        config = bigquery.QueryJobConfig(
            labels=_labels(purpose, labels),
            query_parameters=[_parameter(name, value) for name, value in (parameters or {}).items()],
        )

        def submit(job_id: str) -> bigquery.QueryJob:
            return self.client.query(
                sql,
                job_config=config,
                job_id=job_id,
                location=self.location,
                retry=self.retry,
                timeout=_REQUEST_SECONDS,
                job_retry=None,
            )

        def wait(job: bigquery.QueryJob) -> pa.Table:
            rows = job.result(retry=self.retry, timeout=self._job_timeout, job_retry=None)
            return plain(rows.to_arrow(create_bqstorage_client=self._storage_api), rows.schema)

        with self.clear_errors(doing):
            return self._run(purpose, key, submit, wait, is_done)

    def table_rows(self, table: str) -> pa.Table:
        """Return all rows of a table, read without a job; the caller turns errors into lines."""
        rows = self.client.list_rows(table, retry=self.retry)
        return plain(rows.to_arrow(create_bqstorage_client=self._storage_api), rows.schema)

    def column_names(self, relation: tuple[str, str, str]) -> frozenset[str]:
        """Return the columns that a table has."""
        with self.clear_errors(f"looking at {'.'.join(relation)}"):
            table = self.client.get_table(".".join(relation), retry=self.retry)
        return frozenset(field.name for field in table.schema)

    def discard(self, relation: tuple[str, str, str]) -> None:
        """Delete a table that has served its purpose; if that fails, its expiration deletes it."""
        try:
            self.client.delete_table(".".join(relation), not_found_ok=True, retry=self.retry)
        except (exceptions.GoogleAPIError, GoogleAuthError, RequestException, ConnectionError) as error:
            _logger.warning("%s is left to expire: %s", ".".join(relation), error)

    def load(
        self,
        rows: pa.Table,
        destination: tuple[str, str, str],
        schema: Sequence[bigquery.SchemaField],
        *,
        purpose: str,
        doing: str,
        labels: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> None:
        """Replace a table's rows, creating it if needed, by one load job of one Parquet file.

        Args:
            destination: as :meth:`relation` returns it.
            labels: put on the job and on the table.
        """
        file = io.BytesIO()
        pq.write_table(rows, file, compression="snappy", write_statistics=False)
        job_labels = _labels(purpose, labels)
        # The client has no property for the destination's labels; this way no table is ever without them.
        config: Any = bigquery.LoadJobConfig.from_api_repr(
            {
                "labels": job_labels,
                "load": {
                    "sourceFormat": bigquery.SourceFormat.PARQUET,
                    "writeDisposition": bigquery.WriteDisposition.WRITE_TRUNCATE,
                    "schema": {"fields": [field.to_api_repr() for field in schema]},
                    "parquetOptions": {"enableListInference": True},
                    "destinationTableProperties": {"labels": job_labels},
                },
            }
        )
        table = bigquery.TableReference.from_api_repr(
            dict(zip(("projectId", "datasetId", "tableId"), destination, strict=True))
        )

        def upload(job_id: str) -> bigquery.LoadJob:
            # Without a size the client uploads resumably, which the emulator takes and a multipart it doesn't.
            return self.client.load_table_from_file(
                file,
                table,
                rewind=True,
                num_retries=0,
                job_id=job_id,
                location=self.location,
                job_config=config,
                timeout=_REQUEST_SECONDS,
            )

        def wait(job: bigquery.LoadJob) -> None:
            job.result(retry=self.retry, timeout=self._job_timeout)

        with self.clear_errors(doing):
            self._run(purpose, key, self.retry(upload), wait, None)

    def _run(
        self,
        purpose: str,
        key: str | None,
        submit: Callable[[str], _Job],
        wait: Callable[[_Job], Any],
        is_done: Callable[[], bool] | None,
    ) -> Any:
        """Run a job to its end: once, whatever was lost on the way; again only after it failed.

        The attempt is part of the job's id. An attempt that exists already is waited for; after one that
        failed, and only then, the next is started.
        """
        started = time.monotonic()
        base = f"prediction_assets_{purpose}_{key or uuid.uuid4().hex}"
        failures = 0
        for attempt in range(_ATTEMPTS_FOLLOWED):
            job_id = f"{base}_{attempt}"
            found = False
            try:
                job = submit(job_id)
            except exceptions.Conflict:
                job = self._earlier(job_id)
                found = key is not None  # without a key it is our own request, whose answer was lost
            with self._lock:
                self._counts[purpose] += not found
            try:
                result = wait(job)
            except exceptions.GoogleAPIError as error:
                if not self._has_failed(job):
                    raise  # out of sight, it may yet succeed: a later call with this key finds it
                if found:
                    continue
                failures += 1
                if not is_retryable_job(error) or failures > _RERUNS:
                    raise
                time.sleep(min(float(2**failures), self._retry_seconds / _RERUNS))
                continue
            if found and is_done is not None and not is_done():
                continue
            self._newest.statistics = _statistics(job, purpose, time.monotonic() - started)
            return result
        raise WarehouseBusy(
            f"{_ATTEMPTS_FOLLOWED} attempts of BigQuery job {base} failed; look at them with `bq show -j`"
        )

    def _has_failed(self, job: bigquery.QueryJob | bigquery.LoadJob) -> bool:
        """Return whether a job itself has failed, and not just a question about it."""
        job.reload(retry=self.retry, timeout=_REQUEST_SECONDS)
        return job.state == "DONE" and job.error_result is not None

    def _earlier(self, job_id: str) -> Any:
        """Return the job that has this id already. Right after a conflict jobs.get may not know it yet."""
        patient = self.retry.with_predicate(
            lambda error: isinstance(error, exceptions.NotFound) or is_transient(error)
        )
        return self.client.get_job(job_id, location=self.location, retry=patient, timeout=_REQUEST_SECONDS)


def _statistics(job: bigquery.QueryJob | bigquery.LoadJob, purpose: str, seconds: float) -> JobStatistics:
    loaded = getattr(job, "output_bytes", None)
    return JobStatistics(
        job_id=str(job.job_id),
        purpose=purpose,
        bytes_processed=int(getattr(job, "total_bytes_processed", None) or loaded or 0),
        bytes_billed=int(getattr(job, "total_bytes_billed", None) or 0),
        slot_milliseconds=int(getattr(job, "slot_millis", None) or 0),
        seconds=round(seconds, 3),
    )


def _labels(purpose: str, labels: Mapping[str, str] | None) -> dict[str, str]:
    """Return labels as BigQuery accepts them: 63 of a-z, 0-9, hyphen and underscore."""
    named = {"application": "prediction_assets", "purpose": purpose, **(labels or {})}
    return {name: re.sub(r"[^a-z0-9_-]", "-", value.lower())[:63] for name, value in named.items()}


def _parameter(name: str, value: Any) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if isinstance(value, Sequence) and not isinstance(value, str):
        kind = _parameter_type(name, value[0]) if value else "INT64"
        return bigquery.ArrayQueryParameter(name, kind, list(value))
    return bigquery.ScalarQueryParameter(name, _parameter_type(name, value), value)


def _parameter_type(name: str, value: object) -> str:
    if value is None:
        return "STRING"
    for kind, bigquery_type in _PARAMETER_TYPES:
        if isinstance(value, kind):
            return bigquery_type
    raise BadInput(f"query parameter {name}", f"{value!r} is a {type(value).__name__}, which no column holds")


def plain(table: pa.Table, schema: Sequence[bigquery.SchemaField]) -> pa.Table:
    """Return a result with the types that the embedded warehouse gives: lines as DECIMAL(6, 2), lists nullable."""
    for position, field in enumerate(schema):
        column = table.column(position)
        wanted = column.type
        if pa.types.is_decimal(wanted):
            wanted = ColumnType.NUMERIC.arrow
        elif pa.types.is_list(wanted):
            wanted = pa.list_(wanted.value_type)
        try:
            column = column.cast(wanted)
        except pa.ArrowInvalid:
            wanted = column.type  # an average, say: more digits than a line has
        table = table.set_column(position, pa.field(field.name, wanted), column)
    return table

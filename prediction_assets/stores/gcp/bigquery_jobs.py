"""BigQuery's jobs: every one has an id of ours, labels and a count, and is run again only after it failed.

What doesn't belong here: SQL, and what a table means.
"""

from __future__ import annotations

import io
import logging
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions
from google.api_core.retry import exponential_sleep_generator
from google.cloud import bigquery

from prediction_assets.errors import BadInput, WarehouseBusy
from prediction_assets.stores.gcp.google_errors import (
    CLIENT_ERRORS,
    PREFIX_SETTING,
    bigquery_service,
    is_aborted_transaction,
    is_transient,
    retry_policy,
)
from prediction_assets.stores.sql.tables import ColumnType

_logger = logging.getLogger(__name__)

_REQUEST_SECONDS = 60.0  # the client's own default of one HTTP request; its retries end with call_timeout
_JOB_SECONDS = 600.0  # until a job is no longer waited for; it continues by itself
# Of one statement, 6 USD; a MERGE of 45,000 parts is billed for 450 GB. Beyond: refused.
_MAXIMUM_BYTES_BILLED = 2**40
_LISTED_PER_PAGE = 10_000  # BigQuery may send shorter pages and a token for the next; the emulator sends one
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0  # most seconds between two attempts at a job
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
    """What one finished job cost."""

    job_id: str
    purpose: str  # `query`, `load_part`, `merge` and so on
    bytes_processed: int  # bytes read; of a load job, bytes written
    bytes_billed: int  # bytes paid for; load jobs are free
    slot_milliseconds: int  # slot time used
    seconds: float  # wall time as seen from here, waiting included


class BigQueryJobs:
    """A client with the installation's location, names, retries and counts; threads may share it.

    Args:
        client: calls BigQuery; its project holds the datasets and pays for the jobs.
        location: where the datasets are and jobs run, such as ``US`` or ``europe-west4``.
        dataset_prefix: put before every dataset's name, so that two installations can share a project.
        call_timeout: seconds until a call counts as failed, its retries included.
    """

    def __init__(
        self, client: bigquery.Client, *, location: str, dataset_prefix: str = "", call_timeout: float = 60.0
    ) -> None:
        if not _PREFIX.match(dataset_prefix):
            raise BadInput(
                PREFIX_SETTING, f"{dataset_prefix!r}", hint="use at most 64 letters, digits and underscores"
            )
        self.client = client
        self.location = location
        self.dataset_prefix = dataset_prefix
        self.service = bigquery_service(str(client.project), call_timeout)
        self.retry = self.service.retry
        self._call_timeout = call_timeout
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
        """What this thread's newest finished job cost; None before the first."""
        return getattr(self._newest, "statistics", None)

    def charge_to_newest(self, earlier: Sequence[JobStatistics]) -> None:
        """Add the cost of the jobs that prepared this thread's newest one to it."""
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
        return bigquery.DatasetReference(self.project, f"{self.dataset_prefix}{name}")

    def relation(self, dataset: str, name: str) -> tuple[str, str, str]:
        """Return ``(project, dataset, table)`` of a table in a declared dataset."""
        return self.project, f"{self.dataset_prefix}{dataset}", name

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
            doing: what was being done, for error messages.
            parameters: named parameters; an empty list counts as integers.
            key: makes the job's id deterministic: an earlier job with this key, from here or from a process
                that died, is found and not repeated.
            is_done: returns whether an earlier job that succeeded did its work; False runs the statement again.
        """
        config = bigquery.QueryJobConfig(
            labels=_labels(purpose, labels),
            maximum_bytes_billed=_MAXIMUM_BYTES_BILLED,
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
            rows = job.result(retry=self.retry, timeout=_JOB_SECONDS, job_retry=None)
            return plain(rows.to_arrow(create_bqstorage_client=False), rows.schema)

        with self.service.clear_errors(doing):
            return self._run(purpose, key, submit, wait, is_done)

    def table_rows(self, table: str, fields: Sequence[bigquery.SchemaField] | None = None) -> pa.Table:
        """Return all rows of a table, read without a job and free of charge; the caller translates errors."""
        rows = self.client.list_rows(table, selected_fields=fields, retry=self.retry)
        return plain(rows.to_arrow(create_bqstorage_client=False), rows.schema)

    def tables(self, dataset: str) -> Iterable[bigquery.table.TableListItem]:
        """Yield the tables of a declared dataset, a free request per page; the caller translates errors."""
        return self.client.list_tables(self.dataset(dataset), page_size=_LISTED_PER_PAGE, retry=self.retry)

    def column_names(self, relation: tuple[str, str, str]) -> frozenset[str]:
        with self.service.clear_errors(f"looking at {'.'.join(relation)}"):
            table = self.client.get_table(".".join(relation), retry=self.retry)
        return frozenset(field.name for field in table.schema)

    def discard(self, relation: tuple[str, str, str]) -> None:
        """Delete a table that isn't needed any more; if that fails, its expiration deletes it."""
        try:
            self.client.delete_table(".".join(relation), not_found_ok=True, retry=self.retry)
        except CLIENT_ERRORS as error:
            _logger.warning("table %s wasn't deleted and will expire: %s", ".".join(relation), error)

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
        """Replace a table's rows, creating it if needed, by one load job of one Parquet file."""
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
            job.result(retry=self.retry, timeout=_JOB_SECONDS)

        with self.service.clear_errors(doing):
            self._run(purpose, key, self.retry(upload), wait, None)

    def _run(
        self,
        purpose: str,
        key: str | None,
        submit: Callable[[str], _Job],
        wait: Callable[[_Job], Any],
        is_done: Callable[[], bool] | None,
    ) -> Any:
        """Run a job to its end, once, even if requests or answers are lost; again only after it failed."""
        # BigQuery refuses a job id that exists, so a lost answer or a dead process can't start a job twice. The
        # attempt is part of the id: an attempt that exists is waited for, and the next one starts after a failed one.
        # https://cloud.google.com/bigquery/docs/running-jobs#generate-jobid
        started = time.monotonic()
        base = f"prediction_assets_{purpose}_{key or uuid.uuid4().hex}"
        # By chance: of transactions that met, and that pause equally long, all but one meet again.
        pauses, paused = exponential_sleep_generator(_FIRST_PAUSE, _LONGEST_PAUSE), 0.0
        # Without a limit: a statement may be refused by what the tables hold now, as often as somebody tries.
        attempt = -1
        while True:
            attempt += 1
            job_id = f"{base}_{attempt}"
            found = False
            try:
                job = submit(job_id)
            except exceptions.Conflict:
                job = self._earlier(job_id)
                found = key is not None  # without a key it is our own request, and its answer was lost
            with self._lock:
                self._counts[purpose] += not found
            try:
                result = wait(job)
            except exceptions.GoogleAPIError as error:
                if not self._has_failed(job):
                    raise  # it may yet succeed: a later call with this key finds it
                if found:
                    continue
                # Not by retry_policy, which repeats a request: a failed job stays failed and needs the next id. Only a
                # job loses a transaction, so that isn't in is_transient: a request would ask about the same job again.
                # The winner's transaction may be long, so its end is waited for as long as a job's.
                is_lost = is_aborted_transaction(error)
                longest = _JOB_SECONDS if is_lost else self._call_timeout if is_transient(error) else 0.0
                paused += (pause := next(pauses))
                if paused > longest:
                    raise
                time.sleep(pause)
                continue
            except TimeoutError as error:
                raise WarehouseBusy(
                    f"BigQuery job {job_id} of project {self.project} hasn't ended within {_JOB_SECONDS:g} s; it "
                    f"continues by itself. Run this again to find its result, or look at it with `bq show -j {job_id}`"
                ) from error
            if found and is_done is not None and not is_done():
                continue
            self._newest.statistics = _statistics(job, purpose, time.monotonic() - started)
            return result

    def _has_failed(self, job: bigquery.QueryJob | bigquery.LoadJob) -> bool:
        """Return whether a job itself has failed, and not just a question about it."""
        job.reload(retry=self.retry, timeout=_REQUEST_SECONDS)
        return job.state == "DONE" and job.error_result is not None

    def _earlier(self, job_id: str) -> Any:
        # Right after a conflict jobs.get may not know the job yet.
        retry = retry_policy(
            self._call_timeout, lambda error: isinstance(error, exceptions.NotFound) or is_transient(error)
        )
        return self.client.get_job(job_id, location=self.location, retry=retry, timeout=_REQUEST_SECONDS)


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
    """Return labels as BigQuery accepts them: at most 63 of a-z, 0-9, hyphen and underscore."""
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
    raise BadInput(f"query parameter {name}", f"{value!r}: no column holds a {type(value).__name__}")


def plain(table: pa.Table, schema: Sequence[bigquery.SchemaField]) -> pa.Table:
    """Return a result with the local warehouse's types: lines as DECIMAL(6, 2), lists nullable."""
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
            wanted = column.type  # more digits than a line has, an average for example
        table = table.set_column(position, pa.field(field.name, wanted), column)
    return table

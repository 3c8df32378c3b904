"""Probes of a real BigQuery: promises that the warehouse relies on and that no emulator keeps.

Each probe returns '' if the promise holds, else what was found instead.
"""

from __future__ import annotations

from google.api_core import exceptions

from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs
from prediction_assets.stores.gcp.bigquery_tables import STAGING_DATASET
from prediction_assets.stores.sql.tables import PREDICTIONS


def known_job_id_is_refused(jobs: BigQueryJobs, job_id: str) -> str:
    """Start a job twice under one id."""
    with jobs.service.clear_errors(f"starting job {job_id} twice"):
        for _ in range(2):
            try:
                jobs.client.query("SELECT 1", job_id=job_id, location=jobs.location, job_retry=None).result()
            except exceptions.Conflict:
                return ""
    return "a duplicate job id was executed again instead of answering 409"


def query_without_a_date_is_refused(jobs: BigQueryJobs) -> str:
    """Read the predictions without a filter on their partitions."""
    table = ".".join(jobs.relation(PREDICTIONS.dataset, PREDICTIONS.name))
    sql = f"SELECT COUNT(*) FROM `{table}`"  # noqa: S608
    with jobs.service.clear_errors(f"reading {table} without a date"):
        try:
            jobs.client.query(sql, location=jobs.location, job_retry=None).result()
        except exceptions.BadRequest:
            return ""
    return "a query without game_date was allowed"


def staging_expires(jobs: BigQueryJobs) -> str:
    """Look at the staging dataset's default expiration."""
    with jobs.service.clear_errors("looking at the staging dataset"):
        dataset = jobs.client.get_dataset(jobs.dataset(STAGING_DATASET), retry=jobs.retry)
    return "" if dataset.default_table_expiration_ms else "the staging dataset has no default expiration"


def layout_is_as_declared(jobs: BigQueryJobs) -> str:
    """Look at the predictions' partitions and clustering."""
    table = jobs.dataset(PREDICTIONS.dataset).table(PREDICTIONS.name)
    with jobs.service.clear_errors(f"looking at {PREDICTIONS.qualified_name}"):
        made = jobs.client.get_table(table, retry=jobs.retry)
    partition = made.time_partitioning.field if made.time_partitioning else None
    found = (partition, tuple(made.clustering_fields or ()))
    declared = (PREDICTIONS.partition_by, PREDICTIONS.cluster_by)
    return "" if found == declared else f"partitioned and clustered by {found}, declared {declared}"

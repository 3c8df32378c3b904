"""A consolidation of more parts than one job's text can name: two tables hold its rows and lists.

Nothing of this is in force: the script verifies the gathered rows as it verifies parts, in one transaction with the
MERGE. Both tables belong to one attempt and are deleted after it; those of a killed attempt expire.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
from google.cloud import bigquery

from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.stores.gcp import bigquery_scripts as scripts
from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs, JobStatistics
from prediction_assets.stores.gcp.bigquery_tables import STAGING_DATASET
from prediction_assets.stores.gcp.parts import INCOMING_PREFIX

_LIST_TYPES = {
    "ARRAY<STRING>": pa.list_(pa.string()),
    "ARRAY<INT64>": pa.list_(pa.int64()),
    "STRING": pa.string(),
}


@contextmanager
def gathered(
    jobs: BigQueryJobs, work: MergePlan, selects: Sequence[str]
) -> Iterator[tuple[scripts.Gathered, Sequence[JobStatistics]]]:
    """Yield the tables with a consolidation's rows and lists, and the cost of filling them; delete them at the end."""
    # A script names each part twice, some 1,000 bytes: in the SELECT of its rows and in the receipt's lists. BigQuery
    # takes 1 MiB of text in a job and 1 MB in a variable, so from some 980 parts on both have to be tables.
    # https://cloud.google.com/bigquery/quotas#query_jobs
    attempt = secrets.token_hex(8)
    tables = scripts.Gathered(
        rows=jobs.relation(STAGING_DATASET, f"{INCOMING_PREFIX}rows_{attempt}"),
        lists=jobs.relation(STAGING_DATASET, f"{INCOMING_PREFIX}lists_{attempt}"),
    )
    doing = f"slate {work.slate}: gathering {len(work.parts)} parts"
    labels = {"slate": work.slate, "receipt_id": work.receipt_id}
    try:
        values, fields = _one_row(scripts.long_lists(work))
        jobs.load(values, tables.lists, fields, purpose="load_lists", doing=doing, labels=labels)
        costs = []
        for position, statement in enumerate(scripts.gather(tables.rows, selects)):
            jobs.query(statement, purpose="gather", doing=doing, labels=labels, key=f"{attempt}_{position}")
            if jobs.last_statistics is not None:
                costs.append(jobs.last_statistics)
        yield tables, costs
    finally:
        jobs.discard(tables.rows)
        jobs.discard(tables.lists)


def _one_row(given: scripts.Given) -> tuple[pa.Table, list[bigquery.SchemaField]]:
    columns = {name: pa.array([value], _LIST_TYPES[kind]) for name, (kind, value) in given.items()}
    fields = [
        bigquery.SchemaField(name, "INT64" if kind == "ARRAY<INT64>" else "STRING", mode=_mode(kind))
        for name, (kind, _) in given.items()
    ]
    return pa.table(columns), fields


def _mode(kind: str) -> str:
    return "REPEATED" if kind.startswith("ARRAY") else "NULLABLE"

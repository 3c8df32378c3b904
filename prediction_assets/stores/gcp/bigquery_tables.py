"""The declared tables in BigQuery: datasets, partitions, clustering, and their schema's version.

To add a table or a column: declare it in :mod:`prediction_assets.stores.sql.tables` and raise the version there. A
missing table is created and a missing column added, NULLABLE. Any other difference is refused, because only a person
can say which side is right. What doesn't belong here: rows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from google.api_core import exceptions
from google.cloud import bigquery

from prediction_assets.errors import Misplaced, SchemaDrift
from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs
from prediction_assets.stores.gcp.bigquery_scripts import add_column
from prediction_assets.stores.gcp.google_errors import LOCATION_SETTING
from prediction_assets.stores.sql import dialects
from prediction_assets.stores.sql.tables import (
    PREDICTIONS,
    RECEIPTS,
    TABLES,
    VIEWS,
    WAREHOUSE_SCHEMA_VERSION,
    Column,
    Table,
    View,
)
from prediction_assets.stores.versions import StoreSchema, require_known

STAGING_DATASET = "staging"
"""The dataset of the parts and of tables that a job needs for minutes. All its tables expire."""

SNAPSHOTS_DATASET = "features"
"""The dataset of the feature snapshots. All its tables expire, later."""

_VERSION_LABEL = "schema_version"
_FILTERED_BY_PARTITION = (PREDICTIONS,)
_DAY_MS = 86_400_000
_SAME_TYPE = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC"}

STAGING_DAYS = 7
"""Days until a part that nobody dropped expires."""


class BigQueryTables:
    """The installation's datasets and tables, created and checked.

    Args:
        snapshot_days: days until a feature snapshot expires, None for never.
    """

    def __init__(self, jobs: BigQueryJobs, *, snapshot_days: int | None = 60) -> None:
        self._jobs = jobs
        self.snapshot_days = snapshot_days
        self._days: dict[str, int | None] = {
            **dict.fromkeys(sorted({table.dataset for table in TABLES})),
            STAGING_DATASET: STAGING_DAYS,
            SNAPSHOTS_DATASET: snapshot_days,
        }
        self._lock = threading.Lock()
        self._is_set_up = False

    def set_up(self) -> None:
        """Create what is missing and compare the rest with the declaration; a second time changes nothing.

        Raises:
            Misplaced: a dataset is in another location than the settings say.
            SchemaDrift: a table differs by more than missing columns.
            SchemaTooNew: a later version migrated them.
            NotPermitted: this account may not create what is missing.
        """
        with self._jobs.service.clear_errors("setting up the warehouse"):
            self._refuse_later_version(self._recorded())
            for name, days in self._days.items():
                self._ensure_dataset(name, days)
            for table in TABLES:
                self._ensure_table(table)
            for view in VIEWS:
                self._ensure_view(view)
            self._record_version()
        self._is_set_up = True

    def schema(self) -> StoreSchema:
        client, retry = self._jobs.client, self._jobs.retry
        with self._jobs.service.clear_errors("looking at the warehouse's tables"):
            holder = self._recorded()
            if holder is None:
                return StoreSchema(self._name, None, WAREHOUSE_SCHEMA_VERSION, is_there=False)
            self._refuse_later_version(holder)
            changes = []
            for table in TABLES:
                try:
                    found = client.get_table(self._declared(table).reference, retry=retry)
                except exceptions.NotFound:
                    changes.append(f"add table {table.qualified_name}")
                else:
                    lacking = missing_columns(table, found)
                    changes += [f"add column {table.qualified_name}.{column.name}" for column in lacking]
            for view in VIEWS:
                try:
                    client.get_table(self._jobs.dataset(view.dataset).table(view.name), retry=retry)
                except exceptions.NotFound:
                    changes.append(f"add view {view.qualified_name}")
        return StoreSchema(self._name, _version(holder), WAREHOUSE_SCHEMA_VERSION, tuple(changes))

    @property
    def _name(self) -> str:
        return f"BigQuery, labelled on {'.'.join(self._jobs.relation(RECEIPTS.dataset, RECEIPTS.name))}"

    def _recorded(self) -> bigquery.Table | None:
        """Return the table whose label holds the version, None if it isn't there."""
        # Not the dataset's label: only an owner may change that.
        try:
            return self._jobs.client.get_table(
                self._jobs.dataset(RECEIPTS.dataset).table(RECEIPTS.name), retry=self._jobs.retry
            )
        except exceptions.NotFound:
            return None

    def _refuse_later_version(self, holder: bigquery.Table | None) -> None:
        if holder is not None:
            require_known(self._name, _version(holder), WAREHOUSE_SCHEMA_VERSION)

    def _record_version(self) -> None:
        """Label the table; a later version's label stands, and is refused next time."""
        holder = self._recorded()
        if holder is not None and (_version(holder) or 0) < WAREHOUSE_SCHEMA_VERSION:
            holder.labels = {**holder.labels, _VERSION_LABEL: str(WAREHOUSE_SCHEMA_VERSION)}
            self._jobs.client.update_table(holder, ["labels"], retry=self._jobs.retry)

    def ready(self) -> None:
        """Set up before the first use; later calls cost nothing."""
        if not self._is_set_up:
            with self._lock:
                if not self._is_set_up:
                    self.set_up()

    def _ensure_dataset(self, name: str, days: int | None) -> None:
        client, retry = self._jobs.client, self._jobs.retry
        reference = self._jobs.dataset(name)
        wanted_ms = None if days is None else days * _DAY_MS
        try:
            dataset = client.get_dataset(reference, retry=retry)
        except exceptions.NotFound:
            dataset = bigquery.Dataset(reference)
            dataset.location = self._jobs.location
            dataset.labels = {"application": "prediction_assets"}
            dataset.default_table_expiration_ms = wanted_ms
            dataset = client.create_dataset(dataset, exists_ok=True, retry=retry)
        found, wanted = str(dataset.location), self._jobs.location
        if found.upper() != wanted.upper():
            raise Misplaced(
                f"dataset {reference.project}.{reference.dataset_id} is in {found}, not in {wanted}; "
                f"set {LOCATION_SETTING}={found}, or another dataset prefix"
            )
        if wanted_ms is not None and dataset.default_table_expiration_ms != wanted_ms:
            dataset.default_table_expiration_ms = wanted_ms
            client.update_dataset(dataset, ["default_table_expiration_ms"], retry=retry)

    def _ensure_table(self, table: Table) -> None:
        client, retry = self._jobs.client, self._jobs.retry
        declared = self._declared(table)
        try:
            found = client.get_table(declared.reference, retry=retry)
        except exceptions.NotFound:
            found = client.create_table(declared, exists_ok=True, retry=retry)
        for column in missing_columns(table, found):
            self._jobs.query(
                add_column(self._jobs.relation(table.dataset, table.name), column),
                purpose="add_column",
                doing=f"adding column {column.name} to {table.qualified_name}",
            )

    def _ensure_view(self, view: View) -> None:
        declared = bigquery.Table(self._jobs.dataset(view.dataset).table(view.name))
        declared.view_query = dialects.render(
            view.select,
            "bigquery",
            {table.qualified_name: self._jobs.relation(table.dataset, table.name) for table in TABLES},
        )
        declared.description = view.description
        declared.labels = {"application": "prediction_assets"}
        try:
            self._jobs.client.get_table(declared.reference, retry=self._jobs.retry)
        except exceptions.NotFound:
            self._jobs.client.create_table(declared, exists_ok=True, retry=self._jobs.retry)

    def _declared(self, table: Table) -> bigquery.Table:
        required = {*table.key, *(c.name for c in table.columns if c.required)}
        reference = self._jobs.dataset(table.dataset).table(table.name)
        made = bigquery.Table(reference, schema=schema_fields(table.columns, required))
        made.description = table.description
        made.labels = {"application": "prediction_assets"}
        if table.partition_by:
            made.time_partitioning = bigquery.TimePartitioning(field=table.partition_by)
            if table in _FILTERED_BY_PARTITION:
                made.require_partition_filter = True
        if table.cluster_by:
            made.clustering_fields = list(table.cluster_by)
        return made


def _version(holder: bigquery.Table) -> int | None:
    label = holder.labels.get(_VERSION_LABEL, "")
    return int(label) if label.isdecimal() else None


def schema_fields(columns: Iterable[Column], required: Iterable[str]) -> list[bigquery.SchemaField]:
    """Return columns as BigQuery declares them."""
    never_null = set(required)
    return [
        bigquery.SchemaField(
            c.name,
            c.type.bigquery,
            mode="REQUIRED" if c.name in never_null else "NULLABLE",
            description=c.description,
        )
        for c in columns
    ]


def missing_columns(table: Table, found: bigquery.Table) -> tuple[Column, ...]:
    """Return the declared columns that a table doesn't have yet.

    Raises:
        SchemaDrift: the table differs in anything else.
    """
    drift = [*_column_drift(table, found.schema), *_layout_drift(table, found)]
    if drift:
        raise SchemaDrift(
            f"table {found.full_table_id or found.reference}: {'; '.join(drift)}; nothing was changed. "
            "Run the version that made the table, or copy its rows into a new table of the declared schema"
        )
    there = {field.name for field in found.schema}
    return tuple(column for column in table.columns if column.name not in there)


def _column_drift(table: Table, schema: Sequence[bigquery.SchemaField]) -> list[str]:
    declared = {column.name: column for column in table.columns}
    drift = []
    for field in schema:
        column = declared.get(field.name)
        kind = _SAME_TYPE.get(field.field_type, field.field_type)
        if column is None:
            drift.append(f"column {field.name} is in the table and not in this version's declaration")
        elif kind != column.type.bigquery or field.mode == "REPEATED":
            shown = f"{field.mode} {kind}" if field.mode == "REPEATED" else kind
            drift.append(f"column {field.name} is {shown}, declared {column.type.bigquery}")
        elif field.mode == "REQUIRED" and not (column.required or column.name in table.key):
            drift.append(f"column {field.name} is REQUIRED, declared nullable")
    return drift


def _layout_drift(table: Table, found: bigquery.Table) -> list[str]:
    drift = []
    partition = found.time_partitioning.field if found.time_partitioning else None
    if partition != table.partition_by:
        drift.append(
            f"it is partitioned by {partition or 'nothing'}, declared {table.partition_by or 'nothing'}"
        )
    clustering = tuple(found.clustering_fields or ())
    if clustering != table.cluster_by:
        drift.append(
            f"it is clustered by {', '.join(clustering) or 'nothing'}, "
            f"declared {', '.join(table.cluster_by) or 'nothing'}"
        )
    return drift

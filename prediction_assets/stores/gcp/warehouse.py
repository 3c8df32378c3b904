"""The gcp profile's warehouse: BigQuery, with its parts in tables.

A consolidation is one transaction in one job. A slate costs one load job for each table with parts and a constant
number of others.
What doesn't belong here: making clients, and credentials; the caller brings a client.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
from google.cloud import bigquery

from prediction_assets.errors import BadInput, Misplaced
from prediction_assets.slate import merge_errors
from prediction_assets.slate.audits import refusal
from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION
from prediction_assets.stores.gcp import bigquery_scripts as scripts
from prediction_assets.stores.gcp.bigquery_gathering import gathered
from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs
from prediction_assets.stores.gcp.bigquery_tables import STAGING_DATASET, BigQueryTables, schema_fields
from prediction_assets.stores.gcp.parts import INCOMING_PREFIX, PART_PREFIX, BigQueryParts, Layout, is_shared
from prediction_assets.stores.gcp.snapshots import BigQuerySnapshots
from prediction_assets.stores.protocols import Upserted
from prediction_assets.stores.sql import dialects, merge_sql, pruning_sql, table_sql
from prediction_assets.stores.sql.tables import CURRENT_PREDICTIONS, TABLES, VIEWS, Table
from prediction_assets.stores.versions import StoreSchema


class BigQueryWarehouse:
    """A :class:`~prediction_assets.stores.protocols.Warehouse` in one BigQuery project.

    Datasets and tables are created, and compared with the declaration, at the first use or by :meth:`set_up`.
    Threads may share an instance.

    Args:
        snapshot_days: days until a feature snapshot expires, None for never.
        staging_layout: whether each part is a table, or up to fifty players of a run share one.

    Attributes:
        jobs: what runs the jobs, with their counts and statistics.
    """

    def __init__(
        self,
        client: bigquery.Client,
        *,
        location: str = "US",
        dataset_prefix: str = "",
        snapshot_days: int | None = 60,
        call_timeout: float = 60.0,
        staging_layout: Layout = "per_player",
    ) -> None:
        self.jobs = BigQueryJobs(
            client, location=location, dataset_prefix=dataset_prefix, call_timeout=call_timeout
        )
        self._tables = BigQueryTables(self.jobs, snapshot_days=snapshot_days)
        self.parts = BigQueryParts(self.jobs, self._tables, staging_layout)
        self.snapshots = BigQuerySnapshots(self.jobs, self._tables)
        self._relations = {
            each.qualified_name: self.jobs.relation(each.dataset, each.name) for each in (*TABLES, *VIEWS)
        }

    @property
    def output_table(self) -> str:
        return ".".join(self._relations[CURRENT_PREDICTIONS.qualified_name])

    def waiting_at_most(self, seconds: float) -> BigQueryWarehouse:
        return self  # readers and writers of BigQuery's tables don't wait for each other

    def cost(self) -> Mapping[str, int]:
        """Return the number of jobs so far, and the bytes that this thread's newest one processed and billed."""
        newest = self.jobs.last_statistics
        return {
            "bigquery_jobs": sum(self.jobs.counts.values()),
            "bytes_processed": newest.bytes_processed if newest else 0,
            "bytes_billed": newest.bytes_billed if newest else 0,
        }

    def set_up(self) -> None:
        """Create the datasets and tables that are missing; a second time changes nothing."""
        self._tables.set_up()

    def schema(self) -> StoreSchema:
        return self._tables.schema()

    def migrate(self) -> StoreSchema:
        found = self._tables.schema()
        if found.is_there:
            self._tables.set_up()
        return found

    def upsert(
        self,
        table: Table,
        rows: pa.Table,
        replace_by: tuple[str, ...] = (),
        also_replaced: pa.Table | None = None,
    ) -> Upserted:
        # Two jobs: a load into a table that lives as long as this call, and the transaction. A third job loads the
        # groups that are also replaced. One day of rows is one partition, and a job may change 4,000 partitions:
        # https://cloud.google.com/bigquery/quotas#partitioned_tables
        self._tables.ready()
        incoming = self.jobs.relation(
            STAGING_DATASET, f"{INCOMING_PREFIX}{table.name}_{secrets.token_hex(8)}"
        )
        also = None if also_replaced is None else (*incoming[:-1], f"{incoming[-1]}_replaced")
        required = (*table.key, *(c.name for c in table.columns if c.required))
        doing = f"storing {rows.num_rows} rows of {table.qualified_name}"
        try:
            self.jobs.load(
                rows.cast(table.arrow_schema),
                incoming,
                schema_fields(table.columns, required),
                purpose="load_facts",
                doing=doing,
            )
            if also is not None and also_replaced is not None:
                grouping = [column for column in table.columns if column.name in replace_by]
                self.jobs.load(
                    also_replaced,
                    also,
                    schema_fields(grouping, replace_by),
                    purpose="load_facts",
                    doing=doing,
                )
            script = scripts.upsert_script(table, incoming, replace_by, self._relations, also)
            (row,) = self.jobs.query(script, purpose="upsert", doing=doing).to_pylist()
        finally:
            self.jobs.discard(incoming)
            if also is not None:
                self.jobs.discard(also)
        return Upserted(**row)

    def facts_version(self) -> int:
        return int(self.query(table_sql.FACTS_VERSION)["version"][0].as_py())

    def reading(self) -> AbstractContextManager[None]:
        return nullcontext()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        self._tables.ready()
        if not dialects.is_select(sql):
            raise BadInput("query", " ".join(sql.split())[:100], hint="only a SELECT can be run here")
        return self.jobs.query(
            dialects.render(sql, "bigquery", self._relations),
            purpose="query",
            doing="reading the warehouse",
            parameters=parameters,
        )

    def receipts(self, slate: str) -> tuple[Receipt, ...]:
        found = self.query(merge_sql.RECEIPTS_OF_SLATE, {"slate": date.fromisoformat(slate)})
        return tuple(Receipt.from_row(row) for row in found.to_pylist())

    def merge(self, plan: MergePlan) -> Receipt:
        done = self._receipt(plan)
        if done is not None:
            return done
        merge_errors.require_known_schema(plan.slate, plan.parts)
        gone = self.parts.missing(plan.slate, plan.parts)
        if gone:
            raise merge_errors.part_gone(plan.slate, gone)
        selects = self._selects(plan)
        script = scripts.merge_script(plan, selects, self._relations)
        try:
            if len(script.encode()) <= scripts.SCRIPT_BYTES:
                return self._run_merge(plan, script)
            # More parts than one job's text can name.
            with gathered(self.jobs, plan, selects) as (tables, costs):
                receipt = self._run_merge(
                    plan, scripts.merge_script(plan, selects, self._relations, gathered=tables)
                )
                self.jobs.charge_to_newest(costs)
            return receipt
        except Misplaced as error:
            if PART_PREFIX not in str(error):
                raise
            raise merge_errors.part_unreadable(plan.slate, error) from error

    def _run_merge(self, plan: MergePlan, script: str) -> Receipt:
        (row,) = self.jobs.query(
            script,
            purpose="merge",
            doing=f"slate {plan.slate}: merging {len(plan.parts)} parts",
            labels={"slate": plan.slate, "receipt_id": plan.receipt_id},
            # The job's id is made of the plan: a second process, or this one after a lost answer, waits for the first
            # attempt's end. Another dataset prefix is another warehouse.
            key=f"{self.jobs.dataset_prefix}{plan.receipt_id}_{_decided(plan)}",
            is_done=lambda: self._receipt(plan) is not None,
        ).to_pylist()
        return _receipt_of(plan, row)

    def prune_receipts(self, slate: str, receipt_ids: Sequence[str], now: datetime) -> int:
        given: scripts.Given = {
            "receipt_ids": ("ARRAY<STRING>", list(receipt_ids)),
            "now": ("TIMESTAMP", now),
        }
        return self._prune(pruning_sql.PRUNE_RECEIPTS, slate, "receipts", given)

    def prune_closed_rows(self, slate: str, before: datetime, now: datetime) -> int:
        given: scripts.Given = {"before": ("TIMESTAMP", before), "now": ("TIMESTAMP", now)}
        return self._prune(pruning_sql.PRUNE_CLOSED_ROWS, slate, "closed rows", given)

    def _prune(self, pruning: pruning_sql.Pruning, slate: str, what: str, marks: scripts.Given) -> int:
        self._tables.ready()
        given = {"slate": ("DATE", date.fromisoformat(slate)), **marks}
        script = scripts.prune_script(pruning, given, self._relations)
        (row,) = self.jobs.query(
            script, purpose="prune", doing=f"slate {slate}: pruning {what}", labels={"slate": slate}
        ).to_pylist()
        return int(row["pruned"])

    def _receipt(self, plan: MergePlan) -> Receipt | None:
        return next((r for r in self.receipts(plan.slate) if r.receipt_id == plan.receipt_id), None)

    def _selects(self, plan: MergePlan) -> list[str]:
        """Return a SELECT for each table. One of an earlier schema version lacks columns: it is looked at first."""
        tables: defaultdict[tuple[str, str, str], list[PartRef]] = defaultdict(list)
        for part in plan.parts:
            tables[self.parts.relation(plan.slate, part.player_slug, part.part_id)].append(part)
        selects = []
        for relation, parts in tables.items():
            is_current = all(part.schema_version == PREDICTIONS_SCHEMA_VERSION for part in parts)
            present = None if is_current else self.jobs.column_names(relation)
            shared = [part.part_id for part in parts if is_shared(part.part_id)]
            selects.append(scripts.select_parts(relation, present, shared))
        return selects


def _decided(plan: MergePlan) -> str:
    """Return a digest of what decides whether the audits refuse a plan, beside its rows."""
    verdict = json.dumps([asdict(plan.limits), sorted(plan.accepted.items())])
    return hashlib.sha256(verdict.encode()).hexdigest()[:12]


def _receipt_of(plan: MergePlan, row: Mapping[str, Any]) -> Receipt:
    """Return the receipt that a merge script answered with."""
    outcome, detail = row["outcome"], row["detail"] or ""
    if outcome == scripts.OVERTAKEN:
        raise merge_errors.overtaken(plan.slate, detail)
    if outcome == scripts.BEGAN:
        at = datetime.fromtimestamp(int(detail) / 1e6, UTC)
        raise merge_errors.game_began(plan.slate, plan.before, at)
    if outcome == scripts.MISMATCH:
        wrong = sorted({part.split(" ")[0] for part in detail.split(",")})
        raise merge_errors.part_changed(plan.slate, wrong)
    if outcome == scripts.FAULTY:
        raise merge_errors.faulty_key(plan.slate, *detail.split(",")[0].split(" "))
    if outcome == scripts.REFUSED:
        raise refusal(plan.slate, json.loads(row["verdicts"]), detail.split(","))
    size = len(scripts.RECEIPT_FIELD)
    return Receipt.from_row(
        {name[size:]: value for name, value in row.items() if name.startswith(scripts.RECEIPT_FIELD)}
    )

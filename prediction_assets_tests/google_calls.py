"""The calls that Google bills: Firestore's counted at its client, BigQuery's as jobs that a local warehouse spares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest
from google.cloud.firestore_v1.services.firestore import FirestoreClient

from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.gcp import bigquery_scripts as scripts
from prediction_assets.stores.gcp.parts import Layout
from prediction_assets.stores.protocols import Upserted, Warehouse
from prediction_assets.stores.sql import dialects, merge_sql, table_sql
from prediction_assets.stores.sql.tables import TABLES, VIEWS, Table
from prediction_assets_tests.strict_bigquery import tables_read

READS, WRITES, DELETES = "firestore_reads", "firestore_writes", "firestore_deletes"
LOADS, QUERIES, TABLES_READ = "bigquery_loads", "bigquery_queries", "bigquery_tables"
"""Load jobs, query jobs, and tables that a statement of theirs reads, each as often as one does."""

Calls = Counter[str]
_AT = ("project", "staging")
_RELATIONS = {each.qualified_name: ("project", each.dataset, each.name) for each in (*TABLES, *VIEWS)}


@contextmanager
def counted() -> Iterator[Calls]:
    """Count the documents that this process's Firestore clients read and write in a block."""
    calls: Calls = Counter()
    get, query, commit = (
        FirestoreClient.batch_get_documents,
        FirestoreClient.run_query,
        FirestoreClient.commit,
    )

    def documents(answers: Iterable[Any], is_document: Callable[[Any], bool]) -> Iterator[Any]:
        is_empty = True
        for answer in answers:
            if is_document(answer):
                calls[READS] += 1
                is_empty = False
            yield answer
        calls[READS] += is_empty  # a query that finds nothing is billed as one

    def counted_get(self: Any, *args: Any, **named: Any) -> Any:
        return documents(get(self, *args, **named), lambda answer: bool(answer.found or answer.missing))

    def counted_query(self: Any, *args: Any, **named: Any) -> Any:
        return documents(query(self, *args, **named), lambda answer: bool(answer.document))

    def counted_commit(self: Any, *args: Any, **named: Any) -> Any:
        for write in (named.get("request") or args[0])["writes"]:
            calls[DELETES if "delete" in write else WRITES] += 1
        return commit(self, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FirestoreClient, "batch_get_documents", counted_get)
        patch.setattr(FirestoreClient, "run_query", counted_query)
        patch.setattr(FirestoreClient, "commit", counted_commit)
        yield calls


class CountedWarehouse:
    """A warehouse that counts the jobs which BigQuery would run for its callers, and the tables that they read."""

    def __init__(self, warehouse: Warehouse, calls: Calls, layout: Layout) -> None:
        self._warehouse = warehouse
        self._calls = calls
        self.parts = _CountedParts(warehouse.parts, calls, layout)
        self.snapshots = _CountedSnapshots(warehouse.snapshots, calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def waiting_at_most(self, seconds: float) -> CountedWarehouse:
        return self

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        self._job(dialects.render(sql, "bigquery", _RELATIONS))
        return self._warehouse.query(sql, parameters)

    def facts_version(self) -> int:
        self._job(dialects.render(table_sql.FACTS_VERSION, "bigquery", _RELATIONS))
        return self._warehouse.facts_version()

    def receipts(self, slate: str) -> tuple[Receipt, ...]:
        self._job(dialects.render(merge_sql.RECEIPTS_OF_SLATE, "bigquery", _RELATIONS))
        return self._warehouse.receipts(slate)

    def upsert(self, table: Table, rows: pa.Table, *args: Any, **named: Any) -> Upserted:
        self._calls[LOADS] += 1
        self._job(scripts.upsert_script(table, (*_AT, "incoming"), (), _RELATIONS))
        return self._warehouse.upsert(table, rows, *args, **named)

    def merge(self, plan: MergePlan) -> Receipt:
        self.receipts(plan.slate)
        selects = self.parts.selects([part.part_id for part in plan.parts])
        script = scripts.merge_script(plan, selects, _RELATIONS)
        if len(script.encode()) > scripts.SCRIPT_BYTES:
            gathered = scripts.Gathered((*_AT, "rows"), (*_AT, "lists"))
            self._calls[LOADS] += 1
            for statement in scripts.gather(gathered.rows, selects):
                self._job(statement)
            script = scripts.merge_script(plan, selects, _RELATIONS, gathered)
        self._job(script)
        return self._warehouse.merge(plan)

    def _job(self, text: str) -> None:
        self._calls[QUERIES] += 1
        self._calls[TABLES_READ] += sum(len(tables) for tables in tables_read(text))


class _CountedSnapshots:
    """Snapshots, each written by two load jobs."""

    def __init__(self, kept: Any, calls: Calls) -> None:
        self._kept = kept
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    def write(self, *args: Any, **named: Any) -> Any:
        self._calls[LOADS] += 2
        return self._kept.write(*args, **named)


class _CountedParts:
    """Parts, each written by a load job of its own or together with those that are flushed with it."""

    def __init__(self, kept: Any, calls: Calls, layout: Layout) -> None:
        self._kept = kept
        self._calls = calls
        self._layout = layout
        self._tables: dict[str, str] = {}
        self._unloaded: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    def write(self, *args: Any, **named: Any) -> Any:
        part = self._kept.write(*args, **named)
        self._unloaded.append(part.part_id)
        if self._layout == "per_player":
            self._load()
        return part

    def flush(self, slate: str) -> None:
        self._kept.flush(slate)
        self._load()

    def _load(self) -> None:
        if self._unloaded:
            self._calls[LOADS] += 1
            self._tables.update(dict.fromkeys(self._unloaded, self._unloaded[0]))
            self._unloaded.clear()

    def selects(self, part_ids: Sequence[str]) -> list[str]:
        """Return the SELECT of each table with some of these parts."""
        tables = {self._tables[each]: [] for each in part_ids}
        for each in part_ids:
            tables[self._tables[each]].append(each)
        is_shared = self._layout == "per_run"
        return [
            scripts.select_parts((*_AT, f"part_{table}"), None, parts if is_shared else ())
            for table, parts in tables.items()
        ]

    def drop(self, slate: str, parts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        dropped = [*self._kept.drop(slate, parts)]
        gone = {part_id for _, part_id in dropped}
        left = self._tables.keys() - gone
        shared = {self._tables[each] for each in gone} & {self._tables[each] for each in left}
        for each in gone:
            del self._tables[each]
        self._calls[QUERIES] += len(shared)
        self._calls[TABLES_READ] += len(shared)
        yield from dropped

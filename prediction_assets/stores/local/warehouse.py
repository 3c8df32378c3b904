"""The embedded warehouse: one DuckDB file, the parts' files beside it.

Each operation attaches the file, does its work in one transaction and detaches it again, behind a lock that waits:
DuckDB lets one process write and then no other even read. Readers share the lock.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from prediction_assets.errors import PredictionAssetsError, WarehouseBusy, WarehouseUnreadable
from prediction_assets.slate import merge_errors
from prediction_assets.slate.audits import refusal
from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.slate.receipt import MergeCounts, Receipt, later_than
from prediction_assets.stores.local.locks import locked
from prediction_assets.stores.local.parts import DAMAGED, ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse_file import Engine, engine_of
from prediction_assets.stores.local.warehouse_schema import complete, lack
from prediction_assets.stores.protocols import Upserted
from prediction_assets.stores.sql import audit_sql, merge_sql, pruning_sql, table_sql
from prediction_assets.stores.sql.tables import (
    CURRENT_PREDICTIONS,
    PART_SCHEMA,
    WAREHOUSE_SCHEMA_VERSION,
    Table,
)
from prediction_assets.stores.versions import StoreSchema

_OF_THE_DISK = (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException)
_PARTS_READ_AT_ONCE = 100
"""Parts whose rows are in memory at one time, beside the table that they are copied to."""


class _Reading(threading.local):
    """What a thread's reads share within :meth:`DuckDBWarehouse.reading`."""

    def __init__(self) -> None:
        self.is_on = False
        self.connection: duckdb.DuckDBPyConnection | None = None  # from the first read on
        self.kept = ExitStack()


class DuckDBWarehouse:
    """A :class:`~prediction_assets.stores.protocols.Warehouse` in one file.

    Args:
        database: the DuckDB file; the first operation creates it with its tables.
        parts: the staging area.
        snapshots: the feature snapshots.
        wait_seconds: how long an operation waits for another process to end.
    """

    def __init__(
        self, database: Path, parts: ArrowParts, snapshots: ArrowSnapshots, wait_seconds: float = 60.0
    ) -> None:
        self._database = database
        self._parts = parts
        self._snapshots = snapshots
        self._wait_seconds = wait_seconds
        self._reading = _Reading()

    @property
    def parts(self) -> ArrowParts:
        return self._parts

    @property
    def snapshots(self) -> ArrowSnapshots:
        return self._snapshots

    @property
    def output_table(self) -> str:
        return CURRENT_PREDICTIONS.qualified_name

    @contextmanager
    def _connect(self, *, write: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file for one operation, or go on reading; a write ends what :meth:`reading` keeps open."""
        if write:
            self._let_go()
        if write or not self._reading.is_on:
            with self._opened(write=write) as connection:
                yield connection
            return
        if self._reading.connection is None:
            self._reading.connection = self._reading.kept.enter_context(self._opened(write=False))
        try:
            with self._explained(), _interruptible():
                yield self._reading.connection
        except BaseException:
            self._let_go()  # after some errors a connection answers nothing more
            raise

    def _let_go(self) -> None:
        self._reading.connection = None
        self._reading.kept.close()

    @contextmanager
    def _opened(self, *, write: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file after adding what it lacks of the declared tables."""
        with ExitStack() as stack:
            if not write and not self._database.exists():
                self._complete_tables()
            connection = stack.enter_context(self._session(write=write))
            if not write and lack(connection, str(self._database)):
                stack.close()  # only one process may write the file, and then nobody reads it
                self._complete_tables()
                connection = stack.enter_context(self._session(write=False))
            yield connection

    def _complete_tables(self) -> None:
        self._let_go()
        with self._session(write=True):
            pass

    @contextmanager
    def _session(self, *, write: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the lock and a connection; a writer finds every declared table and column."""
        try:
            self._database.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseUnreadable(
                f"{self._database.parent}: {error.strerror}; set PREDICTION_ASSETS_HOME to a writable folder"
            ) from error
        lock = self._database.with_suffix(".lock")
        try:
            with locked(lock, exclusive=write, timeout_seconds=self._wait_seconds), _interruptible():
                engine, connection = self._open(read_only=not write)
                try:
                    with self._explained():
                        if write:
                            lacking = lack(connection, str(self._database))
                            if lacking:
                                complete(connection, lacking)
                        yield connection
                finally:
                    engine.detach(connection)
        except PermissionError as error:
            raise WarehouseUnreadable(
                f"{error.filename}: {error.strerror}; give this user write access, "
                "or set PREDICTION_ASSETS_HOME to a writable folder"
            ) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say of what the disk does to the file what to do about it."""
        try:
            yield
        except duckdb.Error as error:
            if "corrupt" in str(error).lower():  # each block has a checksum
                raise WarehouseUnreadable(
                    f"{self._database}: {_first_line(error)}; nothing of this step was kept. Restore the file "
                    "from a backup, or move it away and ingest again"
                ) from error
            if not isinstance(error, _OF_THE_DISK):
                raise
            raise WarehouseUnreadable(
                f"{self._database}: {_first_line(error)}; nothing of this step was kept. Check that the "
                "disk has room and that this user may write there, then run it again"
            ) from error

    def _open(self, *, read_only: bool) -> tuple[Engine, duckdb.DuckDBPyConnection]:
        """Attach the file; wait for a program that doesn't take our lock (the DuckDB shell, a notebook)."""
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                engine = engine_of(self._database)
                return engine, engine.attach(read_only=read_only)
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise WarehouseUnreadable(
                        f"{self._database}: {_first_line(error)}; nothing was changed. Restore the file from "
                        "a backup, or move it away and ingest again"
                    ) from error
                if time.monotonic() >= deadline:
                    raise WarehouseBusy(
                        f"{self._database}: {_first_line(error)}; close the program that has it open and "
                        "run this again"
                    ) from error
                time.sleep(0.1)
            except duckdb.Error as error:
                raise WarehouseUnreadable(
                    f"{self._database}: {_first_line(error)}; nothing was changed"
                ) from error

    def schema(self) -> StoreSchema:
        name = str(self._database)
        if not self._database.exists():
            return StoreSchema(name, None, WAREHOUSE_SCHEMA_VERSION, is_there=False)
        with self._session(write=False) as connection:
            found = lack(connection, name)
        return StoreSchema(name, found.version, WAREHOUSE_SCHEMA_VERSION, found.changes)

    def migrate(self) -> StoreSchema:
        found = self.schema()
        if found.is_there:
            self._complete_tables()
        return found

    def upsert(
        self,
        table: Table,
        rows: pa.Table,
        replace_by: tuple[str, ...] = (),
        also_replaced: pa.Table | None = None,
    ) -> Upserted:
        with self._connect(write=True) as connection:
            connection.register("incoming", rows.cast(table.arrow_schema))
            also = None
            if also_replaced is not None:
                also = "also_replaced"
                connection.register(also, also_replaced)
            connection.begin()
            inserted, updated, unchanged = _one(connection, table_sql.count_upsert(table, "incoming"))
            removed = 0
            if replace_by:
                (removed,) = _one(connection, table_sql.delete_replaced(table, "incoming", replace_by, also))
            if inserted or updated:
                connection.execute(table_sql.upsert(table, "incoming"))
            if table_sql.are_facts(table) and (inserted or updated or removed):
                _raise_facts_version(connection, table)
            connection.commit()
        return Upserted(inserted, updated, unchanged, removed)

    def facts_version(self) -> int:
        return int(self.query(table_sql.FACTS_VERSION)["version"][0].as_py())

    @contextmanager
    def reading(self) -> Iterator[None]:
        if self._reading.is_on:
            yield
            return
        self._reading.is_on = True
        try:
            yield
        finally:
            self._reading.is_on = False
            self._let_go()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        try:
            return self._select(sql, parameters)
        except duckdb.InternalException:
            # DuckDB 2.0.1 sometimes fails an assertion of its own on a busy machine, in its dictionary caching. The
            # connection is invalid then and nothing has changed, so the read is repeated on a new one.
            return self._select(sql, parameters)

    def _select(self, sql: str, parameters: Mapping[str, Any] | None) -> pa.Table:
        with self._connect(write=False) as connection:
            return connection.sql(sql, params=dict(parameters or {})).to_arrow_table()

    def waiting_at_most(self, seconds: float) -> DuckDBWarehouse:
        wait = min(seconds, self._wait_seconds)
        return DuckDBWarehouse(self._database, self._parts, self._snapshots, wait)

    def cost(self) -> Mapping[str, int]:
        return {}

    def receipts(self, slate: str) -> tuple[Receipt, ...]:
        found = self.query(merge_sql.RECEIPTS_OF_SLATE, {"slate": date.fromisoformat(slate)})
        return tuple(Receipt.from_row(row) for row in found.to_pylist())

    def prune_receipts(self, slate: str, receipt_ids: Sequence[str], now: datetime) -> int:
        return self._prune(pruning_sql.PRUNE_RECEIPTS, slate, {"receipt_ids": list(receipt_ids)}, now)

    def prune_closed_rows(self, slate: str, before: datetime, now: datetime) -> int:
        return self._prune(pruning_sql.PRUNE_CLOSED_ROWS, slate, {"before": before}, now)

    def _prune(self, pruning: pruning_sql.Pruning, slate: str, marks: dict[str, Any], now: datetime) -> int:
        given = {"slate": date.fromisoformat(slate), **marks}
        with self._connect(write=True) as connection:
            connection.begin()
            (pruned,) = _one(connection, pruning.count, given)
            for statement in pruning.statements:
                moment = {"now": now} if "$now" in statement else {}
                connection.execute(statement, {**given, **moment})
            connection.commit()
        return int(pruned)

    def merge(self, plan: MergePlan) -> Receipt:
        # The exclusive lock is held until the commit: between reading the newest receipt and writing the next one no
        # other process can commit a MERGE of this slate.
        with self._connect(write=True) as connection:
            connection.begin()
            try:
                receipt = self._merge(connection, plan)
                connection.commit()
            except BaseException:
                with suppress(duckdb.TransactionException):  # DuckDB has rolled back after a failed commit
                    connection.rollback()
                raise
        return receipt

    def _merge(self, connection: duckdb.DuckDBPyConnection, plan: MergePlan) -> Receipt:
        started = time.perf_counter()
        slate = date.fromisoformat(plan.slate)
        earlier = [
            Receipt.from_row(row)
            for row in connection.sql(merge_sql.RECEIPTS_OF_SLATE, params={"slate": slate})
            .to_arrow_table()
            .to_pylist()
        ]
        # A run that was killed after its commit is started again: its receipt says that the work is done. This comes
        # before the next check, which would refuse that run as overtaken by itself.
        done = next((r for r in earlier if r.receipt_id == plan.receipt_id), None)
        if done is not None:
            return done
        # The plan leaves out the parts that earlier receipts name. A receipt that it hasn't seen makes it wrong.
        newest = earlier[-1].receipt_id if earlier else ""
        if newest != plan.after:
            raise merge_errors.overtaken(plan.slate, newest)

        self._stage(connection, plan)
        _verify_parts(connection, plan)
        # The warehouse's own moment, taken behind its lock as BigQuery takes its own in the transaction. A caller's is
        # from before the wait for the lock: a reader of the rows updated since its last read would miss these.
        now = later_than(earlier, datetime.now(UTC))
        marks = {"slate": slate, "receipt_id": plan.receipt_id, "now": now}
        # Rows are counted in the tables before the MERGE and again after it; an audit compares the two.
        counted = _counts(connection, merge_sql.COUNT_MERGE, {"slate": slate})
        kept = [*plan.staged_player_ids, *plan.retained_player_ids]
        connection.execute(merge_sql.CLOSE_ROWS, {**marks, "kept_player_ids": kept})
        connection.execute(merge_sql.INSERT_ROWS, marks)
        counted |= _counts(
            connection, merge_sql.COUNT_AFTER_MERGE, {"slate": slate, "receipt_id": plan.receipt_id}
        )
        (digest,) = _one(connection, merge_sql.ROWS_DIGEST, {"slate": slate})
        text, names = _one(connection, audit_sql.AUDIT, {**audit_sql.parameters(plan), **counted})
        verdicts = json.loads(text)
        if names:
            raise refusal(plan.slate, verdicts, names.split(","))
        receipt = plan.receipt(
            MergeCounts(
                staged=counted["staged"],
                inserted=counted["inserted"],
                updated=counted["updated"],
                unchanged=counted["unchanged"],
                superseded=counted["closed"] - counted["updated"],
                active=counted["active"],
                digest=digest,
            ),
            earlier,
            merge_ms=(time.perf_counter() - started) * 1000,
            now=now,
            audits=verdicts,
        )
        connection.execute(merge_sql.INSERT_RECEIPT, receipt.to_row())
        # Last, because the process may have been paused anywhere before.
        if (at := datetime.now(UTC)) >= plan.before:
            raise merge_errors.game_began(plan.slate, plan.before, at)
        return receipt

    def _stage(self, connection: duckdb.DuckDBPyConnection, plan: MergePlan) -> None:
        """Create the relation of all the parts' rows; each file in staging must be the part that the plan names."""
        merge_errors.require_known_schema(plan.slate, plan.parts)
        gone = [
            p.player_slug for p in plan.parts if not self._parts.has(plan.slate, p.player_slug, p.part_id)
        ]
        if gone:
            raise merge_errors.part_gone(plan.slate, gone)
        # A temporary table, not a view: verification and MERGE read the same rows, although a file may be dropped or
        # damaged in between.
        connection.register("no_rows", PART_SCHEMA.empty_table())
        connection.execute(f"CREATE TEMP TABLE {merge_sql.STAGED} AS SELECT * FROM no_rows")
        try:
            for first in range(0, len(plan.parts), _PARTS_READ_AT_ONCE):
                connection.register(
                    "some_rows", self._parts.read(plan.parts[first : first + _PARTS_READ_AT_ONCE])
                )
                connection.execute(f"INSERT INTO {merge_sql.STAGED} BY NAME SELECT * FROM some_rows")
                connection.unregister("some_rows")
        except (duckdb.Error, *DAMAGED) as error:
            raise merge_errors.part_unreadable(plan.slate, _first_line(error)) from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C: DuckDB raises an error in its place, which would count as a failed query."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


def _verify_parts(connection: duckdb.DuckDBPyConnection, plan: MergePlan) -> None:
    """Compare the staged rows with what the outcomes recorded at staging.

    Raises:
        PartMismatch: a part has another number of rows or other values.
        DuplicateKeys: rows share a business key or belong to another date.
    """
    found = {
        slug: (rows, digest)
        for slug, rows, digest in connection.execute(merge_sql.STAGED_BY_PLAYER).fetchall()
    }
    recorded = {p.player_slug: (p.rows, p.content_hash) for p in plan.parts}
    wrong = [slug for slug in recorded.keys() | found.keys() if recorded.get(slug) != found.get(slug)]
    if wrong:
        # Damage can make a row's player NULL; then the part's own player lacks that row, and is named.
        raise merge_errors.part_changed(plan.slate, sorted(slug for slug in wrong if slug is not None))
    faulty = connection.execute(merge_sql.FAULTY_KEYS, {"slate": date.fromisoformat(plan.slate)}).fetchall()
    if faulty:
        raise merge_errors.faulty_key(plan.slate, *faulty[0])


def _counts(
    connection: duckdb.DuckDBPyConnection, statement: str, parameters: dict[str, Any]
) -> dict[str, int]:
    """Return a statement's only row, by column."""
    found = connection.sql(statement, params=parameters).to_arrow_table().to_pylist()[0]
    return {name: int(value) for name, value in found.items()}


def _raise_facts_version(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    lock_newest, insert = table_sql.RAISE_FACTS_VERSION
    connection.execute(lock_newest)
    connection.execute(insert, {"table_name": table.name})


def _one(
    connection: duckdb.DuckDBPyConnection, statement: str, parameters: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    row = connection.execute(statement, parameters or {}).fetchone()
    if row is None:
        raise PredictionAssetsError("the warehouse answered a count with nothing")
    return row


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(".")

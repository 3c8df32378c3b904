"""The embedded warehouse: one DuckDB file, Parquet parts beside it.

Each operation opens the file, does its work in one transaction and closes it again, behind a lock that
waits: DuckDB lets one process write and then no other even read. Readers share the lock.
"""

from __future__ import annotations

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
from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.slate.receipt import MergeCounts, Receipt, later_than
from prediction_assets.stores.local.locks import locked
from prediction_assets.stores.local.parts import ParquetParts, ParquetSnapshots
from prediction_assets.stores.local.warehouse_schema import complete, lack
from prediction_assets.stores.protocols import Upserted
from prediction_assets.stores.sql import merge_sql, pruning_sql, table_sql
from prediction_assets.stores.sql.tables import PART_SCHEMA, PREDICTIONS, WAREHOUSE_SCHEMA_VERSION, Table
from prediction_assets.stores.versions import StoreSchema

_FILES_READ_AT_ONCE = 100
"""Parts that one statement reads: DuckDB keeps every file of a statement open, with its buffers, to the end."""

_seen_complete: dict[Path, tuple[int, int, int]] = {}
"""The files that this process has found complete, each with the inode, modification and size it had then."""


class DuckDBWarehouse:
    """A :class:`~prediction_assets.stores.protocols.Warehouse` in one file.

    Args:
        database: the DuckDB file; created, with its tables, by the first write.
        parts: where staging runs put each player's rows.
        snapshots: where feature snapshots are kept.
        lock_timeout_seconds: how long an operation waits for another process to finish.
    """

    def __init__(
        self,
        database: Path,
        parts: ParquetParts,
        snapshots: ParquetSnapshots,
        lock_timeout_seconds: float = 60.0,
    ) -> None:
        self._database = database
        self._parts = parts
        self._snapshots = snapshots
        self._lock_timeout = lock_timeout_seconds

    @property
    def parts(self) -> ParquetParts:
        """The staging area that :meth:`merge` reads."""
        return self._parts

    @property
    def snapshots(self) -> ParquetSnapshots:
        """The feature snapshots."""
        return self._snapshots

    @property
    def output_table(self) -> str:
        """The predictions table, as a reader would name it in a query."""
        return PREDICTIONS.qualified_name

    @contextmanager
    def _connect(self, *, write: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file for one operation; what it lacks of the declared tables is added first."""
        with ExitStack() as stack:
            if not write and not self._database.exists():
                self._complete_tables()
            connection = stack.enter_context(self._session(write=write))
            if not write and not self._is_complete(connection):
                stack.close()  # an earlier version made it, or one that was killed
                self._complete_tables()
                connection = stack.enter_context(self._session(write=False))
            yield connection

    def _is_complete(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Return whether the file has every declared table; looked at again only after it changed."""
        found = self._database.stat()
        state = (found.st_ino, found.st_mtime_ns, found.st_size)
        if state != _seen_complete.get(self._database):
            if lack(connection, str(self._database)):
                return False
            _seen_complete[self._database] = state
        return True

    def _complete_tables(self) -> None:
        with self._session(write=True):
            pass

    @contextmanager
    def _session(self, *, write: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the lock and a connection; one that writes has every declared table and column."""
        try:
            self._database.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseUnreadable(
                f"{self._database.parent}: {error.strerror}; set PREDICTION_ASSETS_HOME to a writable folder"
            ) from error
        lock = self._database.with_suffix(".lock")
        try:
            with locked(lock, exclusive=write, timeout_seconds=self._lock_timeout):
                connection = self._open(read_only=not write)
                try:
                    if write:
                        lacking = lack(connection, str(self._database))
                        if lacking:
                            complete(connection, lacking)
                    yield connection
                except (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
                    raise WarehouseUnreadable(
                        f"{self._database}: {_first_line(error)}; nothing of this step was kept. See that the "
                        "disk has room and this user may write there, then run it again"
                    ) from error
                finally:
                    connection.close()
        except PermissionError as error:
            raise WarehouseUnreadable(
                f"{error.filename}: {error.strerror}; give this user write access, "
                "or set PREDICTION_ASSETS_HOME to a writable folder"
            ) from error

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Connect, waiting for a program that doesn't know our lock (the DuckDB shell, a notebook)."""
        deadline = time.monotonic() + self._lock_timeout
        while True:
            try:
                connection = duckdb.connect(str(self._database), read_only=read_only)
                connection.execute("SET TimeZone = 'UTC'")
                # It would write to standard output, into what a command prints, once a query takes 2 seconds.
                connection.execute("SET enable_progress_bar = false")
                return connection
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
        """Look at the file's version and tables, and change nothing."""
        name = str(self._database)
        if not self._database.exists():
            return StoreSchema(name, None, WAREHOUSE_SCHEMA_VERSION, is_there=False)
        with self._session(write=False) as connection:
            found = lack(connection, name)
        return StoreSchema(name, found.version, WAREHOUSE_SCHEMA_VERSION, found.changes)

    def migrate(self) -> StoreSchema:
        """Add the tables and columns that the file lacks, in one transaction."""
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
        """Insert new keys, update changed ones, leave the others alone, in one transaction."""
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
            connection.commit()
        return Upserted(inserted, updated, unchanged, removed)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one SELECT with named parameters, given in DuckDB's dialect, without write access."""
        try:
            return self._select(sql, parameters)
        except duckdb.InternalException:
            # An assertion of DuckDB's own: 2.0.1's dictionary caching fails one now and then on a busy machine.
            # It has invalidated the connection and changed nothing; a read on a new one is safe.
            return self._select(sql, parameters)

    def _select(self, sql: str, parameters: Mapping[str, Any] | None) -> pa.Table:
        with self._connect(write=False) as connection:
            return connection.sql(sql, params=dict(parameters or {})).to_arrow_table()

    def waiting_at_most(self, seconds: float) -> DuckDBWarehouse:
        wait = min(seconds, self._lock_timeout)
        return DuckDBWarehouse(self._database, self._parts, self._snapshots, wait)

    def cost(self) -> Mapping[str, int]:
        """Return what this object's work is billed for so far: nothing."""
        return {}

    def receipts(self, slate: str) -> tuple[Receipt, ...]:
        """Return the slate's receipts, oldest first."""
        found = self.query(merge_sql.RECEIPTS_OF_SLATE, {"slate": date.fromisoformat(slate)})
        return tuple(Receipt.from_row(row) for row in found.to_pylist())

    def drop_receipts(self, slate: str, receipt_ids: Sequence[str]) -> int:
        """Delete these receipts of a slate and return how many there were; its newest one is never deleted."""
        marks = {"slate": date.fromisoformat(slate), "receipt_ids": list(receipt_ids)}
        return self._drop(pruning_sql.COUNT_DROPPED_RECEIPTS, pruning_sql.DROP_RECEIPTS, marks)

    def drop_superseded(self, slate: str, before: datetime) -> int:
        """Delete a slate's rows that went out of force before a moment, and return how many there were."""
        marks = {"slate": date.fromisoformat(slate), "before": before}
        return self._drop(pruning_sql.COUNT_DROPPED_ROWS, pruning_sql.DROP_SUPERSEDED, marks)

    def _drop(self, count: str, delete: str, marks: dict[str, Any]) -> int:
        with self._connect(write=True) as connection:
            connection.begin()
            (removed,) = _one(connection, count, marks)
            connection.execute(delete, marks)
            connection.commit()
        return int(removed)

    def merge(self, consolidation: MergePlan) -> Receipt:
        """Merge parts, supersede what they replace and write the receipt, in one transaction."""
        with self._connect(write=True) as connection:
            connection.begin()
            try:
                receipt = self._merge(connection, consolidation)
                connection.commit()
            except BaseException:
                with suppress(duckdb.TransactionException):  # a commit that failed has rolled back already
                    connection.rollback()
                raise
        return receipt

    def _merge(self, connection: duckdb.DuckDBPyConnection, work: MergePlan) -> Receipt:
        started = time.perf_counter()
        slate = date.fromisoformat(work.slate)
        earlier = [
            Receipt.from_row(row)
            for row in connection.sql(merge_sql.RECEIPTS_OF_SLATE, params={"slate": slate})
            .to_arrow_table()
            .to_pylist()
        ]
        done = next((r for r in earlier if r.receipt_id == work.receipt_id), None)
        if done is not None:
            return done
        newest = earlier[-1].receipt_id if earlier else ""
        if newest != work.after:
            raise merge_errors.overtaken(work.slate, newest)

        self._stage(connection, work)
        _verify_parts(connection, work)
        now = later_than(earlier, datetime.now(UTC))
        marks = {"slate": slate, "receipt_id": work.receipt_id, "now": now}
        staged, inserted, updated, unchanged = _one(connection, merge_sql.COUNT_MERGE, {"slate": slate})
        connection.execute(merge_sql.MERGE, marks)
        kept = [*work.staged_player_ids, *work.retained_player_ids]
        connection.execute(merge_sql.SUPERSEDE, {**marks, "kept_player_ids": kept})
        written = {"slate": slate, "receipt_id": work.receipt_id}
        (superseded,) = _one(connection, merge_sql.COUNT_SUPERSEDED, written)
        in_force, changed, active = _one(connection, merge_sql.COUNT_AFTER_MERGE, written)
        if not (staged == inserted + updated + unchanged == in_force and changed == inserted + updated):
            counted = {"staged": staged, "inserted": inserted, "updated": updated, "unchanged": unchanged}
            raise merge_errors.unaccounted(work.slate, {**counted, "in_force": in_force, "changed": changed})
        receipt = work.receipt(
            MergeCounts(staged, inserted, updated, unchanged, superseded, active),
            earlier,
            merge_ms=(time.perf_counter() - started) * 1000,
            now=now,
        )
        connection.execute(merge_sql.INSERT_RECEIPT, receipt.to_row())
        return receipt

    def _stage(self, connection: duckdb.DuckDBPyConnection, work: MergePlan) -> None:
        """Create the relation of all the parts' rows, after seeing that each part is the one it should be."""
        merge_errors.require_known_schema(work.slate, work.parts)
        gone = [
            p.player_slug for p in work.parts if self._parts.part_id(work.slate, p.player_slug) != p.part_id
        ]
        if gone:
            raise merge_errors.part_gone(work.slate, gone)
        connection.register("no_rows", PART_SCHEMA.empty_table())
        connection.execute(f"CREATE TEMP TABLE {merge_sql.STAGED} AS SELECT * FROM no_rows")
        paths = [str(self._parts.path(work.slate, p.player_slug)) for p in work.parts]
        columns = ", ".join(f'"{name}"' for name in PART_SCHEMA.names)
        insert = (
            f"INSERT INTO {merge_sql.STAGED} SELECT {columns} "
            "FROM read_parquet($paths, hive_partitioning = false, union_by_name = true)"
        )
        try:
            for first in range(0, len(paths), _FILES_READ_AT_ONCE):
                connection.execute(insert, {"paths": paths[first : first + _FILES_READ_AT_ONCE]})
        except duckdb.Error as error:
            raise merge_errors.part_unreadable(work.slate, _first_line(error)) from error


def _verify_parts(connection: duckdb.DuckDBPyConnection, work: MergePlan) -> None:
    """Compare the staged rows with what the completions promised.

    Raises:
        PartMismatch: a part has another number of rows or another content.
        DuplicateKeys: rows share a business key or belong to another date.
    """
    found = {
        slug: (rows, digest)
        for slug, rows, digest in connection.execute(merge_sql.STAGED_BY_PLAYER).fetchall()
    }
    promised = {p.player_slug: (p.rows, p.content_hash) for p in work.parts}
    wrong = sorted(slug for slug in promised.keys() | found.keys() if promised.get(slug) != found.get(slug))
    if wrong:
        raise merge_errors.part_changed(work.slate, wrong)
    slate = date.fromisoformat(work.slate)
    faulty = connection.execute(merge_sql.FAULTY_KEYS, {"slate": slate}).fetchall()
    if faulty:
        raise merge_errors.faulty_key(work.slate, *faulty[0])


def _one(
    connection: duckdb.DuckDBPyConnection, statement: str, parameters: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    row = connection.execute(statement, parameters or {}).fetchone()
    if row is None:
        raise PredictionAssetsError("the warehouse answered a count with nothing")
    return row


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(".")

"""The event log storage: Dagster's own, with pooled connections and batched writes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import dagster as dg

# A storage is an extension point of dagster.yaml; none of what this one extends is exported.
from dagster._config.config_schema import UserConfigSchema
from dagster._core.events import ASSET_EVENTS
from dagster._core.instance import DagsterInstance
from dagster._core.storage.event_log import SqlEventLogStorage, SqlEventLogStorageTable, SqliteEventLogStorage
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, AssetKeyTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import _event_logs_directory
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, CursorResult, Engine
from sqlalchemy.pool import NullPool

from prediction_assets.orchestration.event_storage.shards import ShardPool

DEFAULT_MAX_OPEN_RUNS = 32

_RUNS_PER_STATEMENT = 500
"""SQLite before 3.32 allows 999 values in a statement."""


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's ``SqliteEventLogStorage`` with one open connection for each file instead of a new one for each call.

    The files, their schema and their migrations are Dagster's own, so an instance can switch over and back.
    In ``dagster.yaml``:

    .. code-block:: yaml

        event_log_storage:
          module: prediction_assets.orchestration.event_storage
          class: PooledSqliteEventLogStorage
          config:
            max_open_runs: 32      # unused run files that stay open; a file takes three descriptors
            synchronous: NORMAL    # FULL: every event survives a power failure, as with Dagster's own

    Safe for several processes, threads and forks. With ``synchronous: NORMAL`` a stored event survives the death of its
    process. A power failure or a crash of the operating system can lose the last events; the files stay consistent.
    """

    def __init__(
        self,
        base_dir: str | None = None,
        inst_data: ConfigurableClassData | None = None,
        max_open_runs: int = DEFAULT_MAX_OPEN_RUNS,
        synchronous: str = "NORMAL",
    ) -> None:
        self._inst_data = inst_data
        self._present: set[str] = set()  # tables and columns that were found; they are never removed
        self._empty_shard: bytes | None = None
        self._shards = ShardPool(
            max_open=max_open_runs,
            pinned=frozenset({INDEX_SHARD_NAME}),
            synchronous=synchronous,
            timeout_seconds=SQLITE_BUSY_TIMEOUT_SECONDS,
        )
        weakref.finalize(self, self._shards.close)
        self._opened = base_dir is not None
        if base_dir is not None:
            super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {
            "base_dir": dg.Field(dg.StringSource, is_required=False),
            "max_open_runs": dg.Field(dg.IntSource, is_required=False, default_value=DEFAULT_MAX_OPEN_RUNS),
            "synchronous": dg.Field(
                dg.Enum("Synchronous", [dg.EnumValue("NORMAL"), dg.EnumValue("FULL")]),
                is_required=False,
                default_value="NORMAL",
            ),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledSqliteEventLogStorage:
        return cls(inst_data=inst_data, **config_value)

    def register_instance(self, instance: DagsterInstance) -> None:
        """Use the instance's own folder unless ``base_dir`` named another."""
        if not self._opened:
            super().__init__(_event_logs_directory(instance.root_directory), self._inst_data)
            self._opened = True
        super().register_instance(instance)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        path = Path(self.path_for_shard(shard))
        with self._shards.transaction(shard, path, self._ensure_schema) as connection:
            yield connection

    def _ensure_schema(self, path: Path) -> None:
        if not has_revision(path):
            engine = _engine(path)
            self._initdb(engine, for_index_shard=path.stem == INDEX_SHARD_NAME)
            engine.dispose()

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """Create a missing file with all its tables at once; Dagster initializes one that was left without a revision.

        Dagster reads its sixty migrations to learn the newest revision, which takes longer than all else of a file.
        """
        path = Path(str(engine.url.database))
        if not path.exists():
            self._create(path)
        if not has_revision(path):
            super()._initdb(engine, for_index_shard)

    def _create(self, path: Path) -> None:
        """Write an empty shard beside the path and link it there, so that no process sees a shard without tables.

        Dagster creates some forty tables and indexes, each in a transaction. That happens once in a home, for the
        index. A run's shard has the same tables, and is migrated together with it.
        """
        aside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            if self._empty_shard is None:
                index = Path(self.path_for_shard(INDEX_SHARD_NAME))
                if has_revision(index):
                    _copy_without_rows(index, aside)
                else:
                    engine = _engine(aside)
                    event.listen(engine, "connect", _without_waiting_for_the_disk)
                    super()._initdb(engine)
                    engine.dispose()
                self._empty_shard = aside.read_bytes()
            with aside.open("wb") as file:
                file.write(self._empty_shard)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(aside, path)
        finally:
            aside.unlink(missing_ok=True)

    def has_table(self, table_name: str) -> bool:
        """Return whether the index has a table; a table that was found once is not looked up again."""
        if table_name not in self._present and super().has_table(table_name):
            self._present.add(table_name)
        return table_name in self._present

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        name = f"asset_keys.{column_name}"
        if name not in self._present and super()._has_asset_key_col_on_connection(conn, column_name):
            self._present.add(name)
        return name in self._present

    def store_event(self, event: dg.EventLogEntry) -> None:
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events in their order, with the same rows as Dagster's own storage.

        Consecutive asset events of a run are written in one transaction for each file, and an asset's row is updated
        once. Dagster itself collects batches where ``DAGSTER_EVENT_BATCH_SIZE`` is set.
        """
        for run_id, batch in groupby(events, lambda event: event.run_id if _is_asset_event(event) else None):
            if run_id is None:
                for event in batch:
                    super().store_event(event)
            else:
                self._store_asset_events(run_id, list(batch))

    def _store_asset_events(self, run_id: str, events: Sequence[dg.EventLogEntry]) -> None:
        rows = [self._event_to_row(event) for event in events]
        insert = SqlEventLogStorageTable.insert()  # without values: it is compiled once
        with self.run_connection(run_id) as run, self.index_transaction() as index:
            run.execute(insert, rows)
            ids = [_id(index.execute(insert, row)) for row in rows]
            self._store_asset_event_tags(index, events, ids)
            newest: dict[tuple[dg.AssetKey | None, str], int] = {}  # by type: each sets other columns
            for position, event in enumerate(events):
                about = event.get_dagster_event()
                newest[about.asset_key, about.event_type_value] = position
            for position in sorted(newest.values()):
                self._store_asset_event(index, events[position], ids[position])

    def _store_asset_event(self, conn: Connection, event: dg.EventLogEntry, event_id: int) -> None:
        """Update the asset's row if there is one; Dagster's own tries an insert first."""
        key = event.dagster_event and event.dagster_event.asset_key
        if key is None:
            return
        values = self._get_asset_entry_values(
            event, event_id, self._has_asset_key_index_cols_on_connection(conn)
        )
        if values:
            of_asset = AssetKeyTable.c.asset_key == key.to_string()
            if conn.execute(AssetKeyTable.update().where(of_asset), values).rowcount == 0:
                super()._store_asset_event(conn, event, event_id)

    def upgrade(self) -> None:
        """Migrate every file as Dagster does, on its own connections."""
        self._shards.close()
        try:
            super().upgrade()
        finally:
            self._shards.close()

    def delete_events(self, run_id: str) -> None:
        """Delete a run's events and its file, which Dagster's own storage leaves behind empty."""
        super().delete_events(run_id)
        self._shards.discard(run_id)
        path = Path(self.path_for_shard(run_id))
        for name in (f"{path.name}-wal", f"{path.name}-shm", path.name):
            path.with_name(name).unlink(missing_ok=True)

    def wipe(self) -> None:
        """Delete every run's file and empty the index."""
        self._shards.close()
        super().wipe()

    def dispose(self) -> None:
        super().dispose()
        self._shards.close()


def _is_asset_event(event: dg.EventLogEntry) -> bool:
    return event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS


def _id(inserted: CursorResult[Any]) -> int:
    key = inserted.inserted_primary_key
    if key is None:
        raise dg.DagsterInvariantViolationError("an event was stored without an id")
    return int(key[0])


def _engine(path: Path) -> Engine:
    return create_engine(
        f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
    )


def _without_waiting_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def has_revision(path: Path) -> bool:
    """Return whether a database of an instance is there, with its tables and their revision."""
    if not path.exists():
        return False
    with contextlib.closing(sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT_SECONDS)) as connection:
        try:
            return connection.execute("SELECT 1 FROM alembic_version").fetchone() is not None
        except sqlite3.DatabaseError:  # no such table; a worse problem is better named by Dagster
            return False


def _copy_without_rows(index: Path, empty: Path) -> None:
    """Write a file with the tables, the indexes and the revision of another."""
    with contextlib.closing(sqlite3.connect(index, timeout=SQLITE_BUSY_TIMEOUT_SECONDS)) as connection:
        made = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        ).fetchall()
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    with contextlib.closing(sqlite3.connect(empty, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        for (statement,) in made:
            connection.execute(statement)
        connection.execute("INSERT INTO alembic_version VALUES (?)", revision)
        connection.execute("COMMIT")


def delete_check_executions(storage: EventLogStorage, run_ids: Sequence[str]) -> int:
    """Delete the check executions of these runs and return how many there were; 0 in a storage without SQL.

    Dagster has no call for it: ``delete_run`` and ``delete_events`` leave the rows of ``asset_check_executions``, each
    with its whole event. Only the history of the checks still shows them.
    """
    if not isinstance(storage, SqlEventLogStorage) or not storage.supports_asset_checks:
        return 0
    deleted = 0
    # One statement for many runs: no index begins with the run, so each statement reads the whole table.
    of_run = AssetCheckExecutionsTable.c.run_id
    for start in range(0, len(run_ids), _RUNS_PER_STATEMENT):
        some = run_ids[start : start + _RUNS_PER_STATEMENT]
        with storage.index_connection() as connection:
            deleted += connection.execute(AssetCheckExecutionsTable.delete().where(of_run.in_(some))).rowcount
    return deleted

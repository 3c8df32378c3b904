"""The storages of runs and of schedules: Dagster's own, with a connection that stays open.

Dagster makes a SQLAlchemy engine and a connection for each call: it compiles the call's statements again, and SQLite
reads the file's schema again, some hundred times a slate. It also reads all its migrations whenever a process opens a
file. The event log's storage is in :mod:`.event_storage`.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import dagster as dg

# A storage is an extension point of dagster.yaml; none of what these extend is exported.
from dagster._config.config_schema import UserConfigSchema
from dagster._core.instance import DagsterInstance
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._core.storage.sqlite_storage import _runs_directory, _schedule_directory
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from prediction_assets.orchestration.event_storage.shards import ShardPool
from prediction_assets.orchestration.event_storage.storage import has_revision


class _Kept:
    """A storage that keeps one connection to its file; calls that come meanwhile open one for themselves.

    In ``dagster.yaml``:

    .. code-block:: yaml

        run_storage:
          module: prediction_assets.orchestration.instance_storage
          class: KeptRunStorage
        schedule_storage:
          module: prediction_assets.orchestration.instance_storage
          class: KeptScheduleStorage

    The file, its schema and its migrations are Dagster's own, so an instance can switch over and back. Safe for several
    processes, threads and forks.
    """

    _conn_string: str
    _database: str
    _dagsters: type[SqliteRunStorage] | type[SqliteScheduleStorage]
    _folder: Callable[[str], str]  # of Dagster's file in an instance

    def __init__(self, base_dir: str | None = None, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__("", inst_data)  # type: ignore[call-arg]  # Dagster's storage is the other base
        self._turn = threading.Lock()
        self._kept = ShardPool(max_open=1, synchronous="FULL", timeout_seconds=SQLITE_BUSY_TIMEOUT_SECONDS)
        weakref.finalize(self, self._kept.close)
        if base_dir is not None:
            self._conn_string = self._prepared(base_dir)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        return cls(inst_data=inst_data, **config_value)

    def register_instance(self, instance: DagsterInstance) -> None:
        """Use the instance's own folder unless ``base_dir`` named another."""
        if not self._conn_string:
            self._conn_string = self._prepared(self._folder(instance.root_directory))
        super().register_instance(instance)  # type: ignore[misc]

    def _prepared(self, base_dir: str) -> str:
        """Let Dagster make a file that isn't there or was left without a revision, and return how to connect to it."""
        if not has_revision(Path(base_dir, f"{self._database}.db")):
            self._dagsters.from_local(base_dir)
        return create_db_conn_string(base_dir, self._database)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        if not self._turn.acquire(blocking=False):  # another thread's turn, or a call within a call
            with self._engine.begin() as connection:
                yield connection
            return
        try:
            path = Path(str(self._engine.url.database))
            with self._kept.transaction(self._database, path, _make_nothing) as connection:
                yield connection
        finally:
            self._turn.release()

    def dispose(self) -> None:
        super().dispose()  # type: ignore[misc]
        self._kept.close()

    @cached_property
    def _engine(self) -> Engine:
        return create_engine(self._conn_string, poolclass=NullPool)


def _make_nothing(_path: Path) -> None:
    """Leave a file that was deleted to the next opening: processes that made it at once would leave it broken."""


class KeptRunStorage(_Kept, SqliteRunStorage):
    """Dagster's ``SqliteRunStorage`` with a connection that stays open."""

    _database, _dagsters, _folder = "runs", SqliteRunStorage, staticmethod(_runs_directory)


class KeptScheduleStorage(_Kept, SqliteScheduleStorage):
    """Dagster's ``SqliteScheduleStorage`` with a connection that stays open."""

    _database, _dagsters, _folder = "schedules", SqliteScheduleStorage, staticmethod(_schedule_directory)

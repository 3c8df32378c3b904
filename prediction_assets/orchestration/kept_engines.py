"""The storages of runs and of schedules: Dagster's own, with an engine that is kept.

Dagster makes a SQLAlchemy engine for each call, which compiles the call's statements again: some hundred times a slate.
It also reads all its migrations whenever a process opens a file. The event log's storage is in :mod:`.event_storage`.
"""

from __future__ import annotations

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
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._core.storage.sqlite_storage import _runs_directory, _schedule_directory
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from prediction_assets.orchestration.event_storage.storage import has_revision


class _KeptEngine:
    """A storage with one engine for its file; each call still has a connection of its own.

    In ``dagster.yaml``:

    .. code-block:: yaml

        run_storage:
          module: prediction_assets.orchestration.kept_engines
          class: KeptEngineRunStorage
        schedule_storage:
          module: prediction_assets.orchestration.kept_engines
          class: KeptEngineScheduleStorage

    The file, its schema and its migrations are Dagster's own, so an instance can switch over and back. Safe for several
    processes, threads and forks: an engine holds no connection between calls.
    """

    _conn_string: str
    _database: str
    _dagsters: type[SqliteRunStorage] | type[SqliteScheduleStorage]
    _folder: Callable[[str], str]  # of Dagster's file in an instance

    def __init__(self, base_dir: str | None = None, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__("", inst_data)  # type: ignore[call-arg]  # Dagster's storage is the other base
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
        """Let Dagster make a file that isn't there or was left without a revision; return how to connect to it."""
        if not has_revision(Path(base_dir, f"{self._database}.db")):
            self._dagsters.from_local(base_dir)
        return create_db_conn_string(base_dir, self._database)

    @cached_property
    def _engine(self) -> Engine:
        return create_engine(self._conn_string, poolclass=NullPool)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection


class KeptEngineRunStorage(_KeptEngine, SqliteRunStorage):
    """Dagster's ``SqliteRunStorage`` with an engine that is kept."""

    _database, _dagsters, _folder = "runs", SqliteRunStorage, staticmethod(_runs_directory)


class KeptEngineScheduleStorage(_KeptEngine, SqliteScheduleStorage):
    """Dagster's ``SqliteScheduleStorage`` with an engine that is kept."""

    _database, _dagsters, _folder = "schedules", SqliteScheduleStorage, staticmethod(_schedule_directory)

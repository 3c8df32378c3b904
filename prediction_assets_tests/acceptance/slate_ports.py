"""The ports that the state machine runs on, which can crash behind a durable write and inside a MERGE."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from google.cloud import bigquery

from prediction_assets.settings import Settings, load_settings
from prediction_assets.steps import failpoints
from prediction_assets.stores.gcp import bigquery_scripts
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.dead_letters import SqliteDeadLetters
from prediction_assets.stores.local.outbox import FilePublisher, SqliteOutbox
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.local.warehouse_file import Engine
from prediction_assets.stores.protocols import Warehouse
from prediction_assets_tests.contract.warehouse.by_hand import by_hand


class Crash(Exception):
    """The process ends here, as far as the slate can tell."""


@contextmanager
def crashing(point: str | None, times: int = 1) -> Iterator[None]:
    """Raise behind the n-th time that a durable step is done, and swallow it: the next step starts afresh."""
    left = times

    def hook(reached: str) -> None:
        nonlocal left
        left -= reached == point
        if reached == point and left == 0:
            raise Crash(point)

    failpoints.install(hook)
    try:
        with suppress(Crash):
            yield
    finally:
        failpoints.install(failpoints._go_on)


Read = Callable[[str, Mapping[str, Any] | None], pa.Table]


class Answers:
    """The answers to what was read since the last write: most reads of a slate repeat one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], pa.Table] = {}

    def of(self, read: Read, sql: str, parameters: Mapping[str, Any] | None) -> pa.Table:
        key = sql, repr(parameters)
        if key not in self._known:
            self._known[key] = read(sql, parameters)
        return self._known[key]

    def forget(self) -> None:
        self._known.clear()


class KeptOpen(DuckDBWarehouse):
    """The embedded warehouse without attaching its file each time, and a MERGE that can stop before it commits."""

    engine: Engine
    crash_in_merge = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._answers = Answers()

    def _select(self, sql: str, parameters: Mapping[str, Any] | None) -> pa.Table:
        return self._answers.of(super()._select, sql, parameters)

    def _open(self, *, read_only: bool) -> tuple[Engine, duckdb.DuckDBPyConnection]:
        if not read_only:
            self._answers.forget()
        if not hasattr(self, "engine"):
            self.engine, _ = super()._open(read_only=False)
        connection = self.engine.attach(read_only=read_only)
        connection.execute("PRAGMA disable_optimizer")  # of a few rows it costs more than it saves
        return self.engine, connection

    def _merge(self, connection, work):  # type: ignore[no-untyped-def]
        receipt = super()._merge(connection, work)
        if self.crash_in_merge:
            raise Crash("before the commit")
        return receipt


class StoppingBigQuery(BigQueryWarehouse):
    """BigQuery, with a MERGE whose transaction ends without a commit and whose caller is gone."""

    crash_in_merge = False

    def __init__(self, client: bigquery.Client, **options: Any) -> None:
        super().__init__(client, **options)
        self.answers = Answers()
        self._is_writing = False

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        if self._is_writing:
            return super().query(sql, parameters)
        return self.answers.of(super().query, sql, parameters)

    def upsert(self, *given, **known):  # type: ignore[no-untyped-def]
        with self._writing():
            return super().upsert(*given, **known)

    def merge(self, consolidation):  # type: ignore[no-untyped-def]
        with self._writing():
            return self._merge(consolidation)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False
            self.answers.forget()

    def _merge(self, consolidation):  # type: ignore[no-untyped-def]
        if not self.crash_in_merge:
            return super().merge(consolidation)
        with pytest.MonkeyPatch.context() as patch:
            whole = bigquery_scripts.merge_script
            patch.setattr(
                bigquery_scripts,
                "merge_script",
                lambda *given: whole(*given).replace("COMMIT TRANSACTION", "ROLLBACK TRANSACTION"),
            )
            with suppress(TypeError, AttributeError):  # there is no receipt to answer with
                super().merge(consolidation)
        raise Crash("before the commit")


@dataclass
class Ports:
    """What a slate runs on."""

    warehouse: KeptOpen | StoppingBigQuery
    state: SqliteBatchState
    outbox: SqliteOutbox
    publisher: FilePublisher
    dead_letters: SqliteDeadLetters
    settings: Settings
    instance: dg.DagsterInstance

    @classmethod
    def of(cls, warehouse: Warehouse, folder: Path, instance: dg.DagsterInstance) -> Ports:
        return cls(
            warehouse,  # type: ignore[arg-type]
            SqliteBatchState(folder / "state.sqlite"),
            SqliteOutbox(folder / "state.sqlite"),
            FilePublisher(folder / "outbox"),
            SqliteDeadLetters(folder / "state.sqlite"),
            load_settings(home=folder),
            instance,
        )


def by_hand_of(warehouse: KeptOpen | StoppingBigQuery, statement: str) -> None:
    """Run a statement by hand, where the file is open already too."""
    if isinstance(warehouse, KeptOpen):
        warehouse._open(read_only=False)[1].execute(statement)
    else:
        by_hand(warehouse, statement)
        warehouse.answers.forget()

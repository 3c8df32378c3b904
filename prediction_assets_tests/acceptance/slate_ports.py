"""The ports that the state machine runs on, which can crash behind a durable write and inside a MERGE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest

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


class KeptOpen(DuckDBWarehouse):
    """The embedded warehouse without attaching its file each time, and a MERGE that can stop before it commits."""

    engine: Engine
    crash_in_merge = False

    def _open(self, *, read_only: bool) -> tuple[Engine, duckdb.DuckDBPyConnection]:
        if not hasattr(self, "engine"):
            self.engine, _ = super()._open(read_only=False)
        return self.engine, self.engine.attach(read_only=read_only)

    def _merge(self, connection, work):  # type: ignore[no-untyped-def]
        receipt = super()._merge(connection, work)
        if self.crash_in_merge:
            raise Crash("before the commit")
        return receipt


class StoppingBigQuery(BigQueryWarehouse):
    """BigQuery, with a MERGE whose transaction ends without a commit and whose caller is gone."""

    crash_in_merge = False

    def merge(self, consolidation):  # type: ignore[no-untyped-def]
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

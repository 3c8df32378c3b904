"""The embedded profile's stores: DuckDB, Arrow, SQLite and a folder of messages, all in the home."""

from __future__ import annotations

from functools import cached_property

from prediction_assets.settings import Settings
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.dead_letters import SqliteDeadLetters
from prediction_assets.stores.local.outbox import FilePublisher, SqliteOutbox
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.state_file import StateFile
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.versions import VersionedStore
from prediction_assets.stores.without import keep_pandas_out


class LocalStores:
    def __init__(self, settings: Settings) -> None:
        keep_pandas_out()
        self._home = settings.home
        self._wait_seconds = settings.call_timeout
        self._state_file = settings.home / "state.sqlite"

    @cached_property
    def warehouse(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(
            self._home / "warehouse.duckdb",
            ArrowParts(self._home / "staging"),
            ArrowSnapshots(self._home / "features"),
            self._wait_seconds,
        )

    @cached_property
    def batch_state(self) -> SqliteBatchState:
        return SqliteBatchState(self._state_file)

    @cached_property
    def dead_letters(self) -> SqliteDeadLetters:
        return SqliteDeadLetters(self._state_file)

    @cached_property
    def outbox(self) -> SqliteOutbox:
        return SqliteOutbox(self._state_file)

    @cached_property
    def publisher(self) -> FilePublisher:
        return FilePublisher(self._home / "outbox")

    @cached_property
    def alerts(self) -> SqliteAlertStore:
        return SqliteAlertStore(self._state_file)

    def versioned(self) -> list[VersionedStore]:
        return [self.warehouse, StateFile(self._state_file)]

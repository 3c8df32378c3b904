"""The embedded profile's resources: DuckDB, Parquet, SQLite and a folder of messages, all in the home."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from prediction_assets.orchestration.resources.ports import (
    AlertsResource,
    BatchStateResource,
    MessagingResource,
    WarehouseResource,
)
from prediction_assets.settings import Settings
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.dead_letters import SqliteDeadLetters
from prediction_assets.stores.local.outbox import FilePublisher, SqliteOutbox
from prediction_assets.stores.local.parts import ParquetParts, ParquetSnapshots
from prediction_assets.stores.local.state_file import StateFile
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.versions import VersionedStore

_SENSOR_LOCK_TIMEOUT_SECONDS = 5.0
"""Dagster ends a sensor's tick after 60 s, and calls it failed; busy is a reason to skip."""


class DuckDBWarehouseResource(WarehouseResource):
    """Facts and predictions in one DuckDB file, parts and features as Parquet files beside it."""

    database: str = Field(description="DuckDB file")
    staging: str = Field(description="folder of the parts, one Parquet file per slate player")
    features: str = Field(description="folder of the feature snapshots")
    lock_timeout_seconds: float = Field(description="how long a step waits for another process")

    @property
    def port(self) -> DuckDBWarehouse:
        """The warehouse."""
        return self._port(self.lock_timeout_seconds)

    @property
    def for_sensors(self) -> DuckDBWarehouse:
        """The warehouse for a sensor, which comes again soon: it waits seconds for others, not a minute."""
        return self._port(min(self.lock_timeout_seconds, _SENSOR_LOCK_TIMEOUT_SECONDS))

    def _port(self, lock_timeout_seconds: float) -> DuckDBWarehouse:
        return DuckDBWarehouse(
            Path(self.database),
            ParquetParts(Path(self.staging), lock_timeout_seconds),
            ParquetSnapshots(Path(self.features)),
            lock_timeout_seconds,
        )


class SqliteBatchStateResource(BatchStateResource):
    """Batch state and dead letters in one SQLite file."""

    file: str = Field(description="SQLite file")

    @property
    def port(self) -> SqliteBatchState:
        """The batch state."""
        return SqliteBatchState(Path(self.file))

    @property
    def dead_letters(self) -> SqliteDeadLetters:
        """The failures that nobody has dealt with."""
        return SqliteDeadLetters(Path(self.file))


class SqliteAlertsResource(AlertsResource):
    """Alerts in the state file."""

    file: str = Field(description="SQLite file")

    @property
    def store(self) -> SqliteAlertStore:
        """The alerts."""
        return SqliteAlertStore(Path(self.file))


class FileMessagingResource(MessagingResource):
    """Events in the state file; each delivery is one JSON file that a consumer can tail."""

    file: str = Field(description="SQLite file that remembers the events")
    directory: str = Field(description="folder in which each delivered event is one JSON file")

    @property
    def outbox(self) -> SqliteOutbox:
        """The events that were decided, and which of them are delivered."""
        return SqliteOutbox(Path(self.file))

    @property
    def publisher(self) -> FilePublisher:
        """Delivers messages."""
        return FilePublisher(Path(self.directory))


def local_resources(settings: Settings) -> dict[str, dg.ConfigurableResource]:
    """Return the stores of the embedded profile."""
    state = str(_state_file(settings))
    return {
        "warehouse": _warehouse(settings),
        "batch_state": SqliteBatchStateResource(file=state),
        "alerts": SqliteAlertsResource(file=state),
        "messaging": FileMessagingResource(file=state, directory=str(settings.home / "outbox")),
    }


def local_stores(settings: Settings) -> list[VersionedStore]:
    """Return what of the embedded profile has a schema with a version."""
    return [_warehouse(settings).port, StateFile(_state_file(settings))]


def _state_file(settings: Settings) -> Path:
    return settings.home / "state.sqlite"


def _warehouse(settings: Settings) -> DuckDBWarehouseResource:
    return DuckDBWarehouseResource(
        database=str(settings.home / "warehouse.duckdb"),
        staging=str(settings.home / "staging"),
        features=str(settings.home / "features"),
        lock_timeout_seconds=settings.lock_timeout_seconds,
    )

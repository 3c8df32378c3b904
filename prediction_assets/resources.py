"""Dagster resources: thin configuration over the ports, nothing else.

An asset asks for the resource and gets the port from it. The fields are what the UI shows under Resources.
https://docs.dagster.io/guides/build/external-resources
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field

from prediction_assets.batch_state.port import BatchState
from prediction_assets.batch_state.sqlite import SqliteBatchState
from prediction_assets.ingestion.nba_api_source import (
    GameLogClient,
    NbaApiGameLogs,
    NbaApiSchedule,
    ScheduleClient,
)
from prediction_assets.messaging.local import FilePublisher, SqliteOutbox
from prediction_assets.messaging.port import Outbox, Publisher
from prediction_assets.settings import Settings
from prediction_assets.warehouse.duckdb import DuckDBWarehouse
from prediction_assets.warehouse.parquet import ParquetParts, ParquetSnapshots
from prediction_assets.warehouse.port import Warehouse


class WarehouseResource(dg.ConfigurableResource):
    """Where facts, parts, features and predictions are kept."""

    database: str = Field(description="DuckDB file")
    staging: str = Field(description="folder of the parts, one Parquet file per slate player")
    features: str = Field(description="folder of the feature snapshots")
    lock_timeout_seconds: float = Field(description="how long a step waits for another process")

    @property
    def port(self) -> Warehouse:
        """The warehouse."""
        return DuckDBWarehouse(
            Path(self.database),
            ParquetParts(Path(self.staging), self.lock_timeout_seconds),
            ParquetSnapshots(Path(self.features)),
            self.lock_timeout_seconds,
        )


class BatchStateResource(dg.ConfigurableResource):
    """Who is expected on a slate, and what became of each."""

    file: str = Field(description="SQLite file")

    @property
    def port(self) -> BatchState:
        """The batch state."""
        return SqliteBatchState(Path(self.file))


class MessagingResource(dg.ConfigurableResource):
    """The outbox of Phase 5 completions and where they are delivered."""

    file: str = Field(description="SQLite file that remembers the events")
    directory: str = Field(description="folder in which each delivered event is one JSON file")

    @property
    def outbox(self) -> Outbox:
        """The events that were decided, and which of them are delivered."""
        return SqliteOutbox(Path(self.file))

    @property
    def publisher(self) -> Publisher:
        """Delivers messages."""
        return FilePublisher(Path(self.directory))


class LiveSourceResource(dg.ConfigurableResource):
    """stats.nba.com, through the optional package nba_api."""

    timeout_seconds: float = Field(default=30.0, description="of one request")
    attempts: int = Field(default=4, description="requests before giving up")

    @property
    def game_logs(self) -> GameLogClient:
        """Fetches a season's game logs."""
        return NbaApiGameLogs(self.timeout_seconds, self.attempts)

    @property
    def schedule(self) -> ScheduleClient:
        """Fetches a season's schedule."""
        return NbaApiSchedule(self.timeout_seconds, self.attempts)


class SettingsResource(dg.ConfigurableResource):
    """The installation's settings that the assets' rules depend on."""

    game_logs: str | None = Field(default=None, description="game logs to ingest by default")
    prop_lines: str | None = Field(default=None, description="prop lines to ingest by default")
    schedule: str | None = Field(default=None, description="schedule to ingest by default")
    player_aliases: str | None = Field(default=None, description="CSV of name, player_id")
    simulated_players: int = Field(description="expected players of the simulated slate")
    deadline_minutes: int = Field(description="minutes until a slate is consolidated as it is")
    deadline_local_time: str | None = Field(default=None, description="a deadline by the clock, HH:MM")
    roster_time_zone: str = Field(description="time zone of deadline_local_time")
    minimum_staged_share: float = Field(
        description="share of players that must be staged to announce a slate"
    )
    staging_attempts: int = Field(description="attempts at a part before its player counts as failed")
    history_days: int = Field(description="days of game logs that the systems are fitted on")
    pass_threshold: float = Field(description="probability above one half that an OVER or UNDER needs")
    staging_threads: int = Field(description="parts written at the same time")

    def now(self) -> datetime:
        """Return the current time; a test replaces it."""
        return datetime.now(UTC)

    def deadline(self, opened_at: datetime) -> datetime:
        """Return when a batch is consolidated as it is: the earlier of minutes after opening and the clock's."""
        by_minutes = opened_at + timedelta(minutes=self.deadline_minutes)
        if self.deadline_local_time is None:
            return by_minutes
        hour, minute = map(int, self.deadline_local_time.split(":"))
        local = opened_at.astimezone(ZoneInfo(self.roster_time_zone))
        by_clock = local.replace(hour=hour, minute=minute, second=0, microsecond=0).astimezone(UTC)
        # Opened after the clock's deadline, a batch still gets its minutes.
        return min(by_minutes, by_clock) if by_clock > opened_at else by_minutes


def build_resources(settings: Settings) -> dict[str, dg.ConfigurableResource]:
    """Return the resources of the settings' profile, keyed as the assets ask for them."""
    home = settings.home
    state = str(home / "state.sqlite")
    shared = set(SettingsResource.model_fields) & set(Settings.model_fields)
    return {
        "warehouse": WarehouseResource(
            database=str(home / "warehouse.duckdb"),
            staging=str(home / "staging"),
            features=str(home / "features"),
            lock_timeout_seconds=settings.lock_timeout_seconds,
        ),
        "batch_state": BatchStateResource(file=state),
        "messaging": MessagingResource(file=state, directory=str(home / "outbox")),
        "live_source": LiveSourceResource(),
        "settings": SettingsResource(**settings.model_dump(mode="json", include=shared)),
    }

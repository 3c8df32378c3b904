"""Dagster resources: thin configuration over the ports, nothing else.

An asset asks for the resource and gets the port from it. What a profile puts behind them is in
:mod:`.local_resources` and :mod:`.gcp_resources`; the fields are what the UI shows under Resources.
https://docs.dagster.io/guides/build/external-resources
"""

from abc import ABC, abstractmethod
from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from prediction_assets.ingest.nba_api_source import (
    GameLogClient,
    NbaApiGameLogs,
    NbaApiSchedule,
    ScheduleClient,
)
from prediction_assets.nba.subject import Subject
from prediction_assets.nba.tonight import Basketball
from prediction_assets.settings import Settings
from prediction_assets.stores.protocols import (
    AlertStore,
    BatchState,
    DeadLetters,
    Outbox,
    Publisher,
    Warehouse,
)


def _as_set(name: str) -> str | None:
    """Return what the setting of this name says of itself."""
    return Settings.model_fields[name].description


class SubjectResource(dg.ConfigurableResource, ABC):
    """What a slate is about: who is expected, from what they are predicted, and how."""

    @property
    @abstractmethod
    def port(self) -> Subject:
        """The subject."""


class BasketballResource(SubjectResource):
    """The NBA, or the simulated league that stands in for it."""

    history_days: int = Field(description=_as_set("history_days"))
    pass_threshold: float = Field(description=_as_set("pass_threshold"))
    market_aware: bool = Field(description=_as_set("market_aware"))

    @property
    def port(self) -> Basketball:
        """The subject."""
        return Basketball(self.history_days, self.pass_threshold, self.market_aware)


class WarehouseResource(dg.ConfigurableResource, ABC):
    """Where facts, parts, features and predictions are kept."""

    @property
    @abstractmethod
    def port(self) -> Warehouse:
        """The warehouse."""

    @property
    def for_sensors(self) -> Warehouse:
        """The warehouse for a sensor, which comes again soon: it waits seconds for others, not a minute."""
        return self.port


class BatchStateResource(dg.ConfigurableResource, ABC):
    """Who is expected on a slate, what became of each, and the dead letters of those who failed."""

    @property
    @abstractmethod
    def port(self) -> BatchState:
        """The batch state."""

    @property
    @abstractmethod
    def dead_letters(self) -> DeadLetters:
        """The failures that nobody has dealt with."""


class AlertsResource(dg.ConfigurableResource, ABC):
    """What is wrong now, and who was told of it. The URLs of alerts are not here: the UI shows resources."""

    @property
    @abstractmethod
    def store(self) -> AlertStore:
        """The alerts."""


class MessagingResource(dg.ConfigurableResource, ABC):
    """The outbox of Phase 5 completions and where they are delivered."""

    @property
    @abstractmethod
    def outbox(self) -> Outbox:
        """The events that were decided, and which of them are delivered."""

    @property
    @abstractmethod
    def publisher(self) -> Publisher:
        """Delivers messages."""


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

    game_logs: str | None = Field(default=None, description=_as_set("game_logs"))
    prop_lines: str | None = Field(default=None, description=_as_set("prop_lines"))
    schedule: str | None = Field(default=None, description=_as_set("schedule"))
    injury_reports: str | None = Field(default=None, description=_as_set("injury_reports"))
    player_aliases: str | None = Field(default=None, description=_as_set("player_aliases"))
    simulated_players: int = Field(description=_as_set("simulated_players"))
    deadline_minutes: int = Field(description=_as_set("deadline_minutes"))
    deadline_local_time: str | None = Field(default=None, description=_as_set("deadline_local_time"))
    time_zone: str = Field(description=_as_set("time_zone"))
    roster_cron: str = Field(description=_as_set("roster_cron"))
    minimum_staged_share: float = Field(description=_as_set("minimum_staged_share"))
    staging_attempts: int = Field(description=_as_set("staging_attempts"))
    part_timeout_seconds: float = Field(description=_as_set("part_timeout_seconds"))
    model_history_days: int = Field(description=_as_set("model_history_days"))
    market_aware: bool = Field(description=_as_set("market_aware"))
    grade_bias_limit: float = Field(description=_as_set("grade_bias_limit"))
    pass_threshold: float = Field(description=_as_set("pass_threshold"))
    staging_threads: int = Field(description=_as_set("staging_threads"))
    ui_url: str = Field(description=_as_set("ui_url"))
    sensor_lookback_days: int = Field(description=_as_set("sensor_lookback_days"))
    keep_partitions_days: int = Field(description=_as_set("keep_partitions_days"))
    keep_snapshots_days: int = Field(description=_as_set("keep_snapshots_days"))
    keep_superseded_days: int = Field(description=_as_set("keep_superseded_days"))
    keep_receipts_days: int = Field(description=_as_set("keep_receipts_days"))
    keep_events_days: int = Field(description=_as_set("keep_events_days"))
    keep_letters_days: int = Field(description=_as_set("keep_letters_days"))
    keep_alerts_days: int = Field(description=_as_set("keep_alerts_days"))
    keep_runs_days: int = Field(description=_as_set("keep_runs_days"))

    def now(self) -> datetime:
        """Return the current time; a test replaces it."""
        return datetime.now(UTC)

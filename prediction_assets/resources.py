"""Dagster resources: thin configuration over the ports, nothing else.

An asset asks for the resource and gets the port from it. What a profile puts behind them is in
:mod:`.local_resources` and :mod:`.gcp_resources`; the fields are what the UI shows under Resources.
https://docs.dagster.io/guides/build/external-resources
"""

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field

from prediction_assets.alerts.port import AlertStore
from prediction_assets.basketball import Basketball
from prediction_assets.batch_state.port import BatchState
from prediction_assets.dead_letters.port import DeadLetters
from prediction_assets.ingestion.nba_api_source import (
    GameLogClient,
    NbaApiGameLogs,
    NbaApiSchedule,
    ScheduleClient,
)
from prediction_assets.messaging.port import Outbox, Publisher
from prediction_assets.subject import Subject
from prediction_assets.warehouse.port import Warehouse


class SubjectResource(dg.ConfigurableResource, ABC):
    """What a slate is about: who is expected, from what they are predicted, and how."""

    @property
    @abstractmethod
    def port(self) -> Subject:
        """The subject."""


class BasketballResource(SubjectResource):
    """The NBA, or the simulated league that stands in for it."""

    history_days: int = Field(description="days of game logs that the systems are fitted on")
    pass_threshold: float = Field(description="probability above one half that an OVER or UNDER needs")
    market_aware: bool = Field(description="publish the sixth system, market_aware")

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
    def impatient(self) -> Warehouse:
        """The warehouse for a caller that comes again soon, such as a sensor: it waits seconds for others."""
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

    game_logs: str | None = Field(default=None, description="game logs to ingest by default")
    prop_lines: str | None = Field(default=None, description="prop lines to ingest by default")
    schedule: str | None = Field(default=None, description="schedule to ingest by default")
    injury_reports: str | None = Field(default=None, description="injury reports to ingest by default")
    player_aliases: str | None = Field(default=None, description="CSV of name, player_id")
    simulated_players: int = Field(description="expected players of the simulated slate")
    deadline_minutes: int = Field(description="minutes until a slate is consolidated as it is")
    deadline_local_time: str | None = Field(default=None, description="a deadline by the clock, HH:MM")
    roster_time_zone: str = Field(description="time zone of deadline_local_time")
    roster_cron: str = Field(description="when the daily schedule asks for tonight's roster")
    minimum_staged_share: float = Field(
        description="share of players that must be staged to announce a slate"
    )
    staging_attempts: int = Field(description="attempts at a part before its player counts as failed")
    part_timeout_seconds: float = Field(description="how long a player's part may take")
    model_history_days: int = Field(description="days of game logs that points_model is trained on")
    market_aware: bool = Field(description="publish the sixth system, market_aware")
    grade_bias_limit: float = Field(description="points of bias beyond which a grade warns")
    pass_threshold: float = Field(description="probability above one half that an OVER or UNDER needs")
    staging_threads: int = Field(description="parts written at the same time")
    sensor_lookback_days: int = Field(description="days after which open letters of finished slates expire")
    keep_partitions_days: int = Field(description="days after a slate until its partition keys are pruned")
    keep_snapshots_days: int = Field(description="days after a slate until its feature snapshots are pruned")
    keep_superseded_days: int = Field(description="days until rows that went out of force are deleted")
    keep_receipts_days: int = Field(description="days until receipts that nothing needs are deleted")
    keep_events_days: int = Field(description="days until delivered events are deleted")
    keep_letters_days: int = Field(description="days until closed dead letters are deleted")
    keep_alerts_days: int = Field(description="days until settled alerts are deleted")
    keep_runs_days: int = Field(description="days until ended runs are deleted with their events")

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

"""One settings object decides everything that can differ between two installations.

Read from ``PREDICTION_ASSETS_*`` environment variables when it is constructed, which nothing does at
import. No other module reads the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from prediction_assets.errors import BadInput

_PREFIX = "PREDICTION_ASSETS_"
_WHOLE_SLATE = 5000
MERGES_COMPARED_DAYS = 60
"""The morning check compares a MERGE with those of as many days before."""


class LogSettings(BaseSettings):
    """How a process logs: read on its own, so that a wrong setting elsewhere is still logged."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="what is logged: this and above")
    ] = "INFO"
    log_format: Annotated[
        Literal["auto", "text", "json"],
        Field(description="auto: text on a terminal, else a JSON object a line with Cloud Logging's fields"),
    ] = "auto"


class Settings(LogSettings):
    """The installation's settings; each is the environment variable ``PREDICTION_ASSETS_<NAME>``."""

    profile: Annotated[
        Literal["local", "gcp"],
        Field(description="local: embedded DuckDB and SQLite; gcp: BigQuery, Firestore and Pub/Sub"),
    ] = "local"
    home: Annotated[Path, Field(description="the folder that holds all state of the local profile")] = Path(
        ".prediction_assets"
    )
    dagster_home: Annotated[
        Path | None,
        Field(
            description="the folder with the `dagster.yaml` of a deployment's Dagster instance, which the command line "
            "then opens; empty: `dagster` in the home, made when it is missing"
        ),
    ] = None

    game_logs: Annotated[
        Path | None, Field(description="game logs to ingest: a Parquet or CSV(.gz) file, or a folder of them")
    ] = None
    prop_lines: Annotated[Path | None, Field(description="prop lines to ingest")] = None
    schedule: Annotated[Path | None, Field(description="schedule to ingest")] = None
    injury_reports: Annotated[Path | None, Field(description="injury reports to ingest")] = None
    player_aliases: Annotated[
        Path | None, Field(description="CSV of name, player_id for names that the books spell their own way")
    ] = None
    simulated_players: Annotated[
        int, Field(ge=1, le=5000, description="expected players of the simulated slate, without real data")
    ] = 40

    docs_url: Annotated[
        str, Field(description="where this project's files are read, linked from the UI; empty: only named")
    ] = ""

    roster_cron: Annotated[str, Field(description="when the daily schedule asks for tonight's roster")] = (
        "0 7 * * *"
    )
    time_zone: Annotated[
        str, Field(description="time zone of every cron, of pruning's hour and of deadline_local_time")
    ] = "America/Los_Angeles"
    morning_check_cron: Annotated[
        str, Field(description="when the daily morning check judges tonight's slate, in time_zone")
    ] = "45 7 * * *"
    deadline_minutes: Annotated[
        int, Field(ge=1, description="minutes after opening until a slate is consolidated as it is")
    ] = 30
    deadline_local_time: Annotated[
        str | None,
        Field(
            pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
            description="a deadline by the clock, HH:MM in time_zone; the earlier of it and deadline_minutes "
            "holds",
        ),
    ] = None
    history_days: Annotated[
        int, Field(ge=30, description="days of game logs before the slate that the systems are fitted on")
    ] = 730
    model_history_days: Annotated[
        int, Field(ge=30, description="days of game logs that points_model is trained on")
    ] = 1460
    model_cron: Annotated[str, Field(description="when the schedule trains points_model")] = "0 4 * * 1"
    market_aware: Annotated[
        bool,
        Field(description="publish the sixth system, market_aware, which knows the line: 30 rows a player"),
    ] = False
    grade_bias_limit: Annotated[
        float, Field(gt=0, description="points of bias over ten slates beyond which a grade warns")
    ] = 1.5
    pass_threshold: Annotated[
        float,
        Field(ge=0, lt=0.5, description="probability above one half that an OVER or UNDER needs"),
    ] = 0.05

    staging_threads: Annotated[int, Field(ge=1, le=64, description="parts written at the same time")] = 4
    staging_attempts: Annotated[
        int, Field(ge=1, le=10, description="attempts at a part before its player counts as failed")
    ] = 3
    part_timeout_seconds: Annotated[
        float, Field(gt=0, description="how long a player's part may take, its attempts included")
    ] = 120.0
    minimum_staged_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="share of the players not skipped that must be staged to merge and announce",
        ),
    ] = 0.8
    players_per_run: Annotated[
        int,
        Field(
            ge=1, description="players per staging run; unless set, all of a slate, or 50 in the gcp profile"
        ),
    ] = Field(default_factory=lambda known: 50 if known.get("profile") == "gcp" else _WHOLE_SLATE)
    lock_timeout_seconds: Annotated[
        float, Field(gt=0, description="how long a step waits for another process at the warehouse")
    ] = 60.0
    request_attempts: Annotated[
        int, Field(ge=1, le=10, description="runs that a sensor requests for the same work before it stops")
    ] = 3
    sensor_interval_seconds: Annotated[
        int | None, Field(ge=1, description="seconds between two ticks of a sensor; empty: 10, or 60 in gcp")
    ] = None
    sensor_lookback_days: Annotated[
        int, Field(ge=1, description="sensors look after batches that were opened within these days")
    ] = 3
    keep_partitions_days: Annotated[
        int, Field(ge=0, description="days after a slate until its partition keys are pruned; 0: never")
    ] = 400
    keep_snapshots_days: Annotated[
        int, Field(ge=0, description="days after a slate until its feature snapshots are pruned; 0: never")
    ] = 60
    keep_superseded_days: Annotated[
        int, Field(ge=0, description="days until rows that went out of force are deleted; 0: never")
    ] = 400
    keep_receipts_days: Annotated[
        int, Field(ge=0, description="days until receipts that nothing needs any more are deleted; 0: never")
    ] = 400
    keep_events_days: Annotated[
        int,
        Field(ge=0, description="days until delivered events are deleted, but a slate's newest; 0: never"),
    ] = 400
    keep_letters_days: Annotated[
        int, Field(ge=0, description="days until closed dead letters are deleted; 0: never")
    ] = 400
    keep_alerts_days: Annotated[
        int, Field(ge=0, description="days until settled alerts are deleted; 0: never")
    ] = 400
    keep_runs_days: Annotated[
        int, Field(ge=0, description="days until ended Dagster runs are deleted with their events; 0: never")
    ] = 400
    gap_interval_seconds: Annotated[
        int, Field(ge=1, description="seconds between two ticks of the gap sensor")
    ] = 600
    gap_requests_per_tick: Annotated[
        int, Field(ge=1, le=50, description="gaps that one tick of the gap sensor asks to close")
    ] = 3
    gap_attempts: Annotated[
        int, Field(ge=0, le=20, description="times that a gap is asked to be closed before it is yours")
    ] = 4

    ui_url: Annotated[str, Field(description="where people reach the UI; alerts link into it")] = (
        "http://127.0.0.1:3000"
    )
    alert_urls: Annotated[
        SecretStr | None,
        Field(description="where alerts go besides the log: apprise URLs, separated by spaces; a secret"),
    ] = None
    alert_error_urls: Annotated[
        SecretStr | None,
        Field(description="further URLs, for alerts of severity error and critical; a secret"),
    ] = None
    alert_critical_urls: Annotated[
        SecretStr | None, Field(description="further URLs, for alerts of severity critical; a secret")
    ] = None
    alert_repeat_minutes: Annotated[
        int, Field(ge=1, description="minutes after which an incident that lasts is told again")
    ] = 240
    alert_receipt_minutes: Annotated[
        int, Field(ge=0, description="minutes after a slate's deadline until a missing receipt is an alert")
    ] = 5
    alert_roster_minutes: Annotated[
        int, Field(ge=1, description="minutes after roster_cron until a missing roster is an alert")
    ] = 60
    alert_publish_minutes: Annotated[
        int, Field(ge=1, description="minutes after a consolidation until a missing completion is an alert")
    ] = 10
    alert_dead_letters: Annotated[
        int, Field(ge=0, description="open dead letters of a slate that are not yet an alert")
    ] = 5

    gcp_project: Annotated[
        str | None, Field(description="project of BigQuery, Firestore and Pub/Sub; needed by the gcp profile")
    ] = None
    bigquery_location: Annotated[str, Field(description="location of the datasets and their jobs")] = "US"
    bigquery_dataset_prefix: Annotated[
        str, Field(description="put before every dataset's name, such as nba_")
    ] = ""
    bigquery_endpoint: Annotated[
        str | None, Field(description="address of a BigQuery emulator, such as http://127.0.0.1:9050")
    ] = None
    firestore_database: Annotated[str, Field(description="Firestore database")] = "(default)"
    firestore_collection_prefix: Annotated[str, Field(description="put before every collection's name")] = ""
    pubsub_topic: Annotated[str, Field(description="topic of the Phase 5 completions")] = "phase5-completion"
    pubsub_subscription: Annotated[
        str, Field(description="subscription that `prediction-assets gcp set-up` creates for phase 6")
    ] = "phase5-completion-phase6"
    pubsub_dead_letter_topic: Annotated[
        str, Field(description="where completions go that phase 6 couldn't handle five times")
    ] = "phase5-completion-dead-letter"

    @field_validator("home", "game_logs", "prop_lines", "schedule", "injury_reports", "player_aliases")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Pin relative paths, so that a run in another working directory means the same file."""
        return None if path is None else path.expanduser().absolute()

    @field_validator(
        "keep_partitions_days",
        "keep_snapshots_days",
        "keep_superseded_days",
        "keep_receipts_days",
        "keep_events_days",
        "keep_letters_days",
        "keep_alerts_days",
        "keep_runs_days",
    )
    @classmethod
    def _kept_while_it_is_read(cls, days: int, info: ValidationInfo) -> int:
        """Refuse to prune what sensors, alerts and the morning check still look at."""
        read = info.data.get("sensor_lookback_days", 3)
        least = max(MERGES_COMPARED_DAYS if info.field_name == "keep_receipts_days" else 0, read + 1)
        if 0 < days < least:
            raise ValueError(f"what is younger than {least} days is still read; 0 keeps it for ever")
        return days

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is not a time zone such as America/Los_Angeles") from error
        return name

    @field_validator("roster_cron", "morning_check_cron", "model_cron")
    @classmethod
    def _known_cron(cls, cron: str) -> str:
        # Dagster's own rule, imported for a value that somebody set: it takes a second to import.
        from dagster._utils.schedules import is_valid_cron_string

        if not is_valid_cron_string(cron):
            raise ValueError("not a cron expression of five fields, such as 0 7 * * *")
        return cron

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.profile == "gcp" and not self.gcp_project:
            raise ValueError("the gcp profile needs PREDICTION_ASSETS_GCP_PROJECT, the project's id")
        return self

    @property
    def tick_seconds(self) -> int:
        """Seconds between two ticks of a sensor; each reads the recent slates' outcomes, which Firestore bills."""
        return self.sensor_interval_seconds or (60 if self.profile == "gcp" else 10)

    @property
    def instance_folder(self) -> Path:
        """The Dagster instance's folder."""
        return self.dagster_home or self.home / "dagster"


def load_settings(**overrides: object) -> Settings:
    """Return the settings from the environment, with overrides for the ones given.

    Raises:
        BadInput: a value isn't acceptable; the message names its environment variable.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise _refused(error) from error


def load_log_settings() -> LogSettings:
    """Return how to log, from the environment.

    Raises:
        BadInput: a value isn't acceptable; the message names its environment variable.
    """
    try:
        return LogSettings()
    except ValidationError as error:
        raise _refused(error) from error


def _refused(error: ValidationError) -> BadInput:
    first = error.errors()[0]
    name = _PREFIX + ("_".join(str(step) for step in first["loc"]).upper() or "PROFILE")
    shown = f"{first['input']!r}: " if first["loc"] else ""
    return BadInput(name, f"{shown}{first['msg'].removeprefix('Value error, ')}")

"""One settings object decides everything that can differ between two installations.

Read from ``PREDICTION_ASSETS_*`` environment variables when it is constructed, which nothing does at
import. No other module reads the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from prediction_assets.errors import BadInput

_PREFIX = "PREDICTION_ASSETS_"


class Settings(BaseSettings):
    """The installation's settings; each is the environment variable ``PREDICTION_ASSETS_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

    profile: Annotated[
        Literal["local"], Field(description="embedded DuckDB and SQLite, no account and no server")
    ] = "local"
    home: Annotated[Path, Field(description="the folder that holds all state of the local profile")] = Path(
        ".prediction_assets"
    )

    game_logs: Annotated[
        Path | None, Field(description="game logs to ingest: a Parquet or CSV(.gz) file, or a folder of them")
    ] = None
    prop_lines: Annotated[Path | None, Field(description="prop lines to ingest")] = None
    schedule: Annotated[Path | None, Field(description="schedule to ingest")] = None
    player_aliases: Annotated[
        Path | None, Field(description="CSV of name, player_id for names that the books spell their own way")
    ] = None
    simulated_players: Annotated[
        int, Field(ge=1, le=5000, description="expected players of the simulated slate, without real data")
    ] = 40

    roster_cron: Annotated[str, Field(description="when the daily schedule asks for tonight's roster")] = (
        "0 7 * * *"
    )
    roster_time_zone: Annotated[str, Field(description="time zone of roster_cron")] = "America/Los_Angeles"
    deadline_minutes: Annotated[
        int, Field(ge=1, description="minutes after opening until a slate is consolidated as it is")
    ] = 30
    deadline_local_time: Annotated[
        str | None,
        Field(
            pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
            description="a deadline by the clock, HH:MM in roster_time_zone",
        ),
    ] = None
    history_days: Annotated[
        int, Field(ge=30, description="days of game logs before the slate that the systems are fitted on")
    ] = 730
    pass_threshold: Annotated[
        float,
        Field(ge=0, lt=0.5, description="probability above one half that an OVER or UNDER needs"),
    ] = 0.05

    staging_threads: Annotated[int, Field(ge=1, le=64, description="parts written at the same time")] = 4
    staging_attempts: Annotated[
        int, Field(ge=1, le=10, description="attempts at a part before its player counts as failed")
    ] = 3
    minimum_staged_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="share of the players not skipped that must be staged to merge and announce",
        ),
    ] = 0.8
    staging_run_size: Annotated[
        int, Field(ge=1, description="players per staging run that the sensor requests")
    ] = 5000
    lock_timeout_seconds: Annotated[
        float, Field(gt=0, description="how long a step waits for another process at the warehouse")
    ] = 60.0
    request_attempts: Annotated[
        int, Field(ge=1, le=10, description="runs that a sensor requests for the same work before it stops")
    ] = 3
    sensor_interval_seconds: Annotated[
        int, Field(ge=1, description="seconds between two ticks of a sensor")
    ] = 10
    sensor_lookback_days: Annotated[
        int, Field(ge=1, description="sensors look after batches that were opened within these days")
    ] = 3

    @field_validator("home", "game_logs", "prop_lines", "schedule", "player_aliases")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Pin relative paths, so that a run in another working directory means the same file."""
        return None if path is None else path.expanduser().absolute()

    @field_validator("roster_time_zone")
    @classmethod
    def _known_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is not a time zone such as America/Los_Angeles") from error
        return name

    @property
    def dagster_home(self) -> Path:
        """The Dagster instance's folder."""
        return self.home / "dagster"


def load_settings(**overrides: object) -> Settings:
    """Return the settings from the environment, with overrides for the ones given.

    Raises:
        BadInput: a value isn't acceptable; the message names its environment variable.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = _PREFIX + "_".join(str(step) for step in first["loc"]).upper()
        raise BadInput(name, f"{first['input']!r}: {first['msg']}") from error

"""The installation's settings: one object decides everything that can differ between two installations.

They are read from ``PREDICTION_ASSETS_*`` environment variables when a process begins. Nothing is read at
import, and no other module reads the environment. What nobody sets per installation is a constant beside the
code that it tunes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from prediction_assets.errors import BadInput

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_ADDRESS = re.compile(r"https?://[^/\s@]+(/\S*)?")
_PREFIX = "PREDICTION_ASSETS_"
_WHOLE_SLATE = 5000
_SNAPSHOT_DAYS = 60
_ANY_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)  # a cron is only parsed here, and its reader wants a start
MERGES_COMPARED_DAYS = 60
"""The morning check compares a MERGE with those of as many days before."""


Sources = tuple[str, ...]
"""Names of sources, the preferred one first."""

SOURCES: Mapping[str, tuple[str, ...]] = {
    "game_logs": ("files", "stats_nba"),
    "schedule": ("files", "stats_nba", "cdn_nba"),
    "prop_lines": ("files", "odds_api"),
    "injury_reports": ("files", "official_report"),
}
"""The sources that each kind of facts can have."""


FURTHER_MARKETS = (
    "player_rebounds",
    "player_assists",
    "player_threes",
    "player_points_rebounds_assists",
    "player_points_rebounds",
    "player_points_assists",
    "player_rebounds_assists",
)
"""The markets beside points that can be predicted."""


class LogSettings(BaseModel):
    """How a process logs. They are read alone, so that a wrong setting elsewhere is still logged."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        validate_default=True,
        defer_build=True,  # to its first use, which is no import
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The lowest level that is logged: DEBUG, INFO, WARNING or ERROR."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto",
        description="How a line is logged: text, json (with Cloud Logging's fields), or auto, which is text "
        "on a terminal and JSON elsewhere.",
    )


class Settings(LogSettings):
    """The installation's settings; each is the environment variable ``PREDICTION_ASSETS_<NAME>``."""

    profile: Literal["local", "gcp"] = Field(
        "local",
        description="Where everything is stored: local (DuckDB, SQLite) or gcp (BigQuery, Firestore, Pub/Sub).",
    )
    home: Path = Field(
        Path(".prediction_assets"), description="The folder that holds all state of the local profile."
    )
    dagster_home: Path | None = Field(
        None,
        alias="DAGSTER_HOME",
        description="The folder of the Dagster instance, as Dagster itself reads it; without it, the folder "
        "dagster in the home is used, and created.",
    )

    game_logs: Path | None = Field(
        None, description="The game logs to ingest: a Parquet or CSV(.gz) file, or a folder of them."
    )
    prop_lines: Path | None = Field(
        None, description="The prop lines to ingest: a file or a folder of files."
    )
    schedule: Path | None = Field(None, description="The schedule to ingest: a file or a folder of files.")
    injury_reports: Path | None = Field(
        None, description="The injury reports to ingest: a file or a folder of files."
    )
    game_logs_sources: Sources = Field(
        ("files",),
        description="Where game logs come from: files, stats_nba, or both separated by a comma; a later one is "
        "taken when an earlier one fails.",
    )
    schedule_sources: Sources = Field(
        ("files",),
        description="Where the schedule comes from: files, stats_nba, cdn_nba; as game_logs_sources.",
    )
    prop_lines_sources: Sources = Field(
        ("files",), description="Where prop lines come from: files, odds_api; as game_logs_sources."
    )
    injury_reports_sources: Sources = Field(
        ("files",),
        description="Where injury reports come from: files, official_report (the NBA's PDF); as "
        "game_logs_sources.",
    )
    facts_cron: str = Field(
        "0 5 * * *",
        description="When game logs and schedule are taken from their sources, a cron expression in time_zone; "
        "before roster_cron.",
    )
    fetch_minutes: int = Field(
        15,
        ge=5,
        le=720,
        description="Minutes between two looks for lines and injury reports, from half an hour before the roster "
        "to the last tip-off, 5 to 720; more while requests are short.",
    )
    source_timeout: float = Field(
        60.0,
        gt=0,
        le=600,
        allow_inf_nan=False,
        description="Seconds for one answer of a live source, above 0 to 600; four attempts are made.",
    )
    nba_requests_per_day: int = Field(
        1000, ge=0, le=100_000, description="Requests a day to each source of the NBA's, 0 to 100000."
    )
    nba_requests_per_month: int = Field(
        20_000, ge=0, le=1_000_000, description="Requests a month to each source of the NBA's, 0 to 1000000."
    )
    odds_api_key: SecretStr | None = Field(
        None, description="The key of The Odds API, which odds_api needs; a secret."
    )
    odds_api_regions: str = Field(
        "us",
        description="The Odds API's regions whose books are asked, separated by commas: us, us2, us_dfs, eu, uk, "
        "au; an event costs two credits a region.",
    )
    odds_api_credits_per_day: int = Field(
        1000, ge=0, le=10_000_000, description="Credits of The Odds API a day, 0 to 10000000."
    )
    odds_api_credits_per_month: int = Field(
        20_000,
        ge=0,
        le=100_000_000,
        description="Credits of The Odds API a month, 0 to 100000000; fewer if the API says that fewer are left.",
    )
    answers: Path | None = Field(
        None, description="The folder of recorded answers of live sources; without it, answers in the home."
    )
    answers_days: int = Field(
        30, ge=0, le=36_500, description="Days that recorded answers are kept, 0 to 36500; 0 is for ever."
    )
    stats_nba_url: str = Field("https://stats.nba.com", description="The address of stats.nba.com.")
    cdn_nba_url: str = Field("https://cdn.nba.com", description="The address of cdn.nba.com.")
    odds_api_url: str = Field("https://api.the-odds-api.com", description="The address of The Odds API.")
    official_report_url: str = Field(
        "https://ak-static.cms.nba.com/referee/injury",
        description="The folder of the NBA's official injury reports.",
    )
    player_aliases: Path | None = Field(
        None, description="A CSV file of name and player_id, for names that bookmakers spell differently."
    )
    simulated_players: int = Field(
        40, ge=1, le=5000, description="Expected players of the simulated league's slate, 1 to 5000."
    )

    roster_cron: str = Field(
        "0 7 * * *",
        description="When the roster of tonight's slate is opened, a cron expression in time_zone.",
    )
    morning_check_cron: str = Field(
        "45 7 * * *", description="When tonight's slate is checked, a cron expression in time_zone."
    )
    model_cron: str = Field(
        "0 4 * * 1", description="When points_model is trained, a cron expression in time_zone."
    )
    time_zone: str = Field(
        "America/Los_Angeles",
        description="The time zone of the crons, of pruning and of deadline_local_time.",
    )
    deadline_minutes: int = Field(
        30,
        ge=1,
        le=10_080,
        description="Minutes until an opened batch is consolidated with the players staged so far, 1 to 10080 "
        "(a week).",
    )
    deadline_local_time: str | None = Field(
        None, description="A second deadline by the clock, HH:MM in time_zone; the earlier deadline holds."
    )

    acknowledge_minutes: int = Field(
        15,
        ge=0,
        le=1440,
        description="Minutes that phase 6 may take to acknowledge a delivered message, 0 to 1440, and at most half "
        "of the time until the first tip-off; 0: no consumer acknowledges, and nothing waits for it.",
    )

    market_aware: bool = Field(
        False,
        description="Whether to publish a sixth system, market_aware, that uses the line: 30 rows a player and "
        "market, not 25.",
    )
    markets: tuple[str, ...] = Field(
        ("player_points",),
        description="What is predicted, as The Odds API names it, separated by commas: player_points, always, and "
        f"{', '.join(FURTHER_MARKETS)}; each market costs 25 rows a player, and two credits an event and region of "
        "The Odds API.",
    )
    least_expected_value: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Expected profit of a stake of 1, at the best price, from which OVER or UNDER is recommended, "
        "0 to 1.",
    )

    one_direction_share: float = Field(
        0.95,
        ge=0.5,
        le=1,
        description="The largest share of OVER, or of UNDER, among the recommendations at a slate's main lines, "
        "0.5 to 1.",
    )
    one_direction_minimum: int = Field(
        100,
        ge=1,
        le=1_000_000,
        description="Recommendations at the main lines from which one_direction_share holds, 1 to 1000000.",
    )

    staging_threads: int = Field(
        4, ge=1, le=64, description="Parts that one staging run writes at the same time, 1 to 64."
    )
    minimum_staged_share: float = Field(
        0.8,
        ge=0,
        le=1,
        description="The share of the players not skipped that must be staged before a slate is merged, 0 to 1.",
    )
    players_per_run: int = Field(
        default_factory=lambda known: 50 if known.get("profile") == "gcp" else _WHOLE_SLATE,
        ge=1,
        le=_WHOLE_SLATE,
        description=f"Players per staging run, 1 to {_WHOLE_SLATE}; without it the whole slate, or 50 with the "
        "gcp profile.",
    )
    call_timeout: float = Field(
        60.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds that a step waits for a busy warehouse or retries a call of Google's, above 0 to "
        "3600.",
    )
    sensor_interval_seconds: int | None = Field(
        None,
        ge=1,
        le=86_400,
        description="Seconds between two ticks of a sensor, 1 to 86400; without it 60 with the gcp profile, or 10, "
        "and each round of Dagster's daemon, five seconds, for those that a slate waits for.",
    )
    refresh_quiet_seconds: int = Field(
        10,
        ge=0,
        le=600,
        description="Seconds without a further change of facts before the affected players of tonight's slate are "
        "staged again, 0 to 600, or six times as long while changes keep coming; 0 switches that off.",
    )
    refresh_alert: Literal["off", "info", "warning", "error", "critical"] = Field(
        "info",
        description="The severity of the alert that names the players of each refresh, and why: off, info (the "
        "log and alert_urls), warning, error or critical.",
    )
    keep_days: int = Field(
        400,
        ge=0,
        le=36_500,
        description=f"Days until old history is pruned, {MERGES_COMPARED_DAYS} to 36500, or 0 for never; feature "
        f"snapshots are kept for {_SNAPSHOT_DAYS} days at most.",
    )

    ui_url: str = Field(
        "http://127.0.0.1:3000",
        description="The address of the UI, http or https: findings and alerts link to it, and the webserver "
        "answers to no other name than this and this machine's; without it the address under which `dev` ran last.",
    )
    docs_url: str = Field("", description="The address of this repository's files, which the UI links to.")
    alert_urls: SecretStr | None = Field(
        None, description="Where alerts are sent besides the log: apprise URLs separated by spaces; a secret."
    )
    alert_error_urls: SecretStr | None = Field(
        None, description="More apprise URLs, for alerts of severity error or critical; a secret."
    )
    alert_critical_urls: SecretStr | None = Field(
        None, description="More apprise URLs, for alerts of severity critical; a secret."
    )

    boards_copy: str | None = Field(
        None,
        description="A folder that each board is also written to, as fsspec writes it: gs://bucket/boards (with "
        "the extra gcs), file:///srv/boards; without it, boards are in the home alone.",
    )
    boards_url: str | None = Field(
        None,
        description="The address under which people open that folder, http or https: the UI, messages, alerts and "
        "digests link to it; without it they name the file.",
    )
    digest_bets: int = Field(
        0,
        ge=0,
        le=50,
        description="Bets in the digest of an announced slate, 0 to 50; it goes to the log and alert_urls, once "
        "for each revision that changes it; 0: none is sent.",
    )

    lineage_url: str | None = Field(
        None,
        description="The address of an OpenLineage API, http or https, that finished runs are sent to; needs the "
        "extra lineage.",
    )
    traces_url: str | None = Field(
        None,
        description="The address that OTLP spans of finished runs are sent to by HTTP, such as "
        "http://collector:4318/v1/traces; needs the extra traces.",
    )

    gcp_project: str | None = Field(
        None,
        description="The id of the project of BigQuery, Firestore and Pub/Sub; the gcp profile needs it.",
    )
    gcp_location: str = Field("US", description="The location of the BigQuery datasets and their jobs.")
    gcp_prefix: str = Field(
        "",
        description="Begins the name of each dataset, collection, topic and subscription: letters, digits and _.",
    )
    staging_layout: Literal["per_player", "per_run"] = Field(
        "per_player",
        description="BigQuery's tables of staged rows: per_player, or per_run, where up to fifty players of a "
        "staging run share one, which is fewer jobs and bytes.",
    )
    firestore_database: str = Field("(default)", description="The name of the Firestore database.")
    bigquery_endpoint: str | None = Field(
        None, description="The address of a BigQuery emulator, such as http://127.0.0.1:9050."
    )

    @field_validator(
        "home",
        "dagster_home",
        "game_logs",
        "prop_lines",
        "schedule",
        "injury_reports",
        "player_aliases",
        "answers",
    )
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Pin relative paths, so that a run in another working directory means the same file."""
        return None if path is None else path.expanduser().absolute()

    @field_validator(*(f"{facts}_sources" for facts in SOURCES), mode="before")
    @classmethod
    def _known_sources(cls, value: object, info: ValidationInfo) -> object:
        names = [one.strip() for one in value.split(",")] if isinstance(value, str) else list(value)  # type: ignore[call-overload]
        known = SOURCES[str(info.field_name).removesuffix("_sources")]
        if not names or len({*names}) < len(names) or any(name not in known for name in names):
            raise ValueError(f"is not one or more of {', '.join(known)}, separated by commas, each once")
        return tuple(names)

    @field_validator("markets", mode="before")
    @classmethod
    def _known_markets(cls, value: object) -> object:
        names = [one.strip() for one in value.split(",")] if isinstance(value, str) else list(value)  # type: ignore[call-overload]
        known = ("player_points", *FURTHER_MARKETS)
        if known[0] not in names or len({*names}) < len(names) or not {*names} <= {*known}:
            raise ValueError(
                f"is not player_points and any of {', '.join(known[1:])}, separated by commas, each once"
            )
        return tuple(name for name in known if name in names)

    @field_validator("stats_nba_url", "cdn_nba_url", "odds_api_url", "official_report_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        # A key is sent to it, so nothing but an address without name and password counts as one.
        if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[\w./-]*)?", url, re.ASCII):
            raise ValueError("is not an address such as https://stats.nba.com")
        return url.rstrip("/")

    @field_validator("odds_api_regions")
    @classmethod
    def _regions(cls, text: str) -> str:
        if not re.fullmatch(r"[a-z]+[a-z0-9_]*(?:,[a-z]+[a-z0-9_]*)*", text):
            raise ValueError("is not a list of regions such as us,us2")
        return text

    @field_validator("keep_days")
    @classmethod
    def _kept_while_it_is_read(cls, days: int) -> int:
        if 0 < days < MERGES_COMPARED_DAYS:
            raise ValueError(
                f"is too short: the morning check reads the last {MERGES_COMPARED_DAYS} days; "
                f"set {MERGES_COMPARED_DAYS} to 36500, or 0 to keep everything"
            )
        return days

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("is not a time zone such as America/Los_Angeles") from error
        return name

    @field_validator("deadline_local_time")
    @classmethod
    def _a_time_of_day(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
            raise ValueError("is not a time HH:MM, 00:00 to 23:59")
        return text

    @field_validator("ui_url", "boards_url", "lineage_url", "traces_url")
    @classmethod
    def _address_of_people(cls, url: str | None) -> str | None:
        if url is not None and not _ADDRESS.fullmatch(url):
            raise ValueError("is not an address such as https://predictions.example.com")
        return url

    @field_validator("boards_copy")
    @classmethod
    def _a_folder(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^@\s]+", url):
            raise ValueError("is not a folder as fsspec writes it, such as gs://bucket/boards")
        return url

    @field_validator("gcp_prefix")
    @classmethod
    def _begins_every_name(cls, prefix: str) -> str:
        if prefix and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix):
            raise ValueError(
                "is not a prefix of letters, digits and _ that begins with a letter, such as nba_"
            )
        return prefix

    @field_validator("roster_cron", "morning_check_cron", "model_cron", "facts_cron")
    @classmethod
    def _known_cron(cls, cron: str) -> str:
        # Numbers and names of days and months: what cronsim and Dagster's schedules both read.
        if re.fullmatch(r"(?:(?:[\d*,/-]|[A-Za-z]{3})+ ){4}(?:[\d*,/-]|[A-Za-z]{3})+", cron):
            try:
                CronSim(cron, _ANY_MOMENT)
            except CronSimError:
                pass
            else:
                return cron
        raise ValueError("is not a cron expression of five fields, such as 0 7 * * *")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.profile == "gcp" and not self.gcp_project:
            raise ValueError("the gcp profile needs PREDICTION_ASSETS_GCP_PROJECT, the project's id")
        key = self.odds_api_key.get_secret_value() if self.odds_api_key else ""
        if "odds_api" in self.prop_lines_sources and not key.strip():
            raise ValueError(
                "the source odds_api needs PREDICTION_ASSETS_ODDS_API_KEY, the key of The Odds API"
            )
        return self

    def sources(self, facts: str) -> Sources:
        """Return the sources of a kind of facts, the preferred one first."""
        names: Sources = getattr(self, f"{facts}_sources")
        return names

    def names(self, facts: str) -> bool:
        """Return whether a path or a live source is set for a kind of facts."""
        return getattr(self, facts) is not None or self.sources(facts) != ("files",)

    @property
    def answers_folder(self) -> Path:
        return self.answers or self.home / "answers"

    @property
    def boards_folder(self) -> Path:
        return self.home / "boards"

    def board_file(self, slate: str) -> Path:
        return self.boards_folder / f"{slate}.html"

    def board_link(self, slate: str) -> str:
        """Where people open the page of a slate, '' where only the process that wrote it can."""
        if folder := self.boards_url or self.boards_copy:
            return f"{folder.rstrip('/')}/{slate}.html"
        return str(self.board_file(slate)) if self.profile == "local" else ""

    @property
    def tick_seconds(self) -> int:
        """Seconds between two ticks of a sensor; Firestore and BigQuery bill what each reads."""
        return self.sensor_interval_seconds or (60 if self.profile == "gcp" else 10)

    @property
    def step_seconds(self) -> int:
        """Seconds between two ticks of a sensor that a slate waits for: without a setting, each round of the daemon.

        Dagster's daemon evaluates sensors every five seconds, in a random order. With five seconds here, a sensor whose
        turn comes earlier than the last time would miss its round.
        """
        return self.sensor_interval_seconds or (60 if self.profile == "gcp" else 2)

    @property
    def snapshot_days(self) -> int:
        """Days that feature snapshots are kept; 0 is for ever."""
        return min(_SNAPSHOT_DAYS, self.keep_days)

    @property
    def instance_folder(self) -> Path:
        return self.dagster_home or self._own_instance_folder

    @property
    def ui_url_file(self) -> Path:
        """Where `dev` notes the address of the UI, so that links of other processes open."""
        return self.instance_folder / "ui_url"

    @property
    def owns_instance(self) -> bool:
        """Whether the instance is the home's own, which is created and renewed here, and not a deployment's."""
        return self.instance_folder == self._own_instance_folder

    @property
    def _own_instance_folder(self) -> Path:
        return self.home / "dagster"


def load_settings(**overrides: object) -> Settings:
    """Return the settings from the environment, with overrides for the ones given.

    Raises:
        BadInput: a value isn't acceptable, or no setting has a variable's name; the message names every such variable.
    """
    problems = _misspelt(os.environ)
    settings = None
    try:
        settings = Settings.model_validate({**_from_environment(Settings), **overrides})
    except ValidationError as error:
        problems += _problems(error)
    if settings is None or problems:
        raise _refused(problems)
    return _with_the_address_of_dev(settings)


def _with_the_address_of_dev(settings: Settings) -> Settings:
    """Return the settings with the address under which `dev` serves the UI of this home, unless one is set."""
    if "ui_url" in settings.model_fields_set:
        return settings
    try:
        address = settings.ui_url_file.read_text("utf-8").strip()
    except (OSError, ValueError):
        return settings
    if not _ADDRESS.fullmatch(address):
        return settings
    noted = settings.model_copy(update={"ui_url": address})
    noted.model_fields_set.discard("ui_url")
    return noted


def _from_environment(model: type[LogSettings]) -> dict[str, str]:
    """Return the settings that have a variable, by name: its case has no meaning, and an empty one counts as unset."""
    # pydantic-settings does this, too, but imports asyncio and more: a seventh of the processor time of `status`.
    given = {name.upper(): value for name, value in os.environ.items() if value}
    variables = {name: _variable(name) for name in model.model_fields}
    return {name: given[variable] for name, variable in variables.items() if variable in given}


def load_log_settings() -> LogSettings:
    """Return how to log, from the environment."""
    try:
        return LogSettings.model_validate(_from_environment(LogSettings))
    except ValidationError as error:
        raise _refused(_problems(error)) from None


class SettingDescription(NamedTuple):
    """One setting, as documentation shows it."""

    variable: str  # the environment variable
    default: str  # what holds without it, '' for nothing
    description: str  # one sentence, with unit and range


def describe() -> Iterator[SettingDescription]:
    """Yield every setting, in the order of their declaration."""
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory is not None or field.default is None else field.default
        default = ",".join(default) if isinstance(default, tuple) else str(default)
        yield SettingDescription(_variable(name), default, field.description or "")


def _variable(name: str) -> str:
    return Settings.model_fields[name].alias or _PREFIX + name.upper()


def _misspelt(variables: Iterable[str]) -> list[tuple[str, str]]:
    """Return each variable that is no setting's, and what it may have meant."""
    known = {_variable(name) for name in Settings.model_fields}
    problems = []
    for variable in sorted(variables):
        name = variable.upper()
        if name.startswith(_PREFIX) and name not in known:
            # Compared without the prefix, which would make every name look alike.
            names = {each.removeprefix(_PREFIX): each for each in sorted(known)}
            nearest = get_close_matches(name.removeprefix(_PREFIX), names, n=1)
            hint = f"did you mean {names[nearest[0]]}?" if nearest else "docs/settings.md lists them"
            problems.append((variable, f"no such setting; {hint}"))
    return problems


_NOT_ITS_KIND = {
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is not a whole number of that size",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "bool_parsing": "is not true or false",
}
"""What pydantic's types of errors say here; its own texts name neither the setting nor its unit."""


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    """Return each variable that is refused, and why in our own words."""
    # A default that depends on a refused setting is no problem of its own.
    return [_problem(each) for each in error.errors() if each["type"] != "default_factory_not_called"]


def _problem(refused: ErrorDetails) -> tuple[str, str]:
    context = refused.get("ctx", {})
    if not refused["loc"]:  # all settings together
        return _variable("profile"), str(context["error"])
    name = str(refused["loc"][0])
    variable = name if name == "DAGSTER_HOME" else _variable(name)
    value = repr(refused["input"])
    if refused["type"] == "value_error":
        return variable, f"{value} {context['error']}"
    if refused["type"] == "literal_error":
        return variable, f"{value} is not {context['expected']}"
    described = next(each.description for each in describe() if each.variable == variable)
    kind = _NOT_ITS_KIND.get(refused["type"], "is out of range" if context else "is not acceptable")
    return variable, f"{value} {kind}; {described[0].lower()}{described[1:].removesuffix('.')}"


def _refused(problems: list[tuple[str, str]]) -> BadInput:
    (variable, problem), *others = problems
    return BadInput(variable, "; ".join([problem, *(f"{name}: {why}" for name, why in others)]))

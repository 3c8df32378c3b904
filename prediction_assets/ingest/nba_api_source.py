"""The live source: stats.nba.com through the ``nba_api`` package, which the extra ``live`` installs.

An answer of the API becomes :class:`~prediction_assets.ingest.rows.SourceRows`, as a file does, so both have the same
validation and the same errors. A client is a callable that returns the decoded JSON. Only the default clients use the
network, and they import ``nba_api`` when they are called.
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import tenacity

from prediction_assets.errors import BadInput, PredictionAssetsError
from prediction_assets.ingest import game_logs, schedule
from prediction_assets.ingest.game_logs import GameLogsRead
from prediction_assets.ingest.nba_json import log_rows, schedule_rows
from prediction_assets.ingest.schedule import ScheduleRead

_TIMEOUT_SECONDS = 30.0  # of one request; stats.nba.com hangs on addresses that it does not like
_SEASON = re.compile(r"(\d{4})-(\d{2})\Z", re.ASCII)

REGULAR_SEASON = "Regular Season"
_LOG_TYPES = {REGULAR_SEASON: 1946, "IST": 2023, "PlayIn": 2019, "Playoffs": 1946}
"""stats.nba.com's names of the same four kinds, in the order of a season, and the year each was first played.

IST is the NBA Cup final; the Cup's other games are of the regular season (swar/nba_api issue 492).
"""


class LiveSourceError(PredictionAssetsError):
    """The live source can't be reached, or the extra that reaches it isn't installed."""


class GameLogClient(Protocol):
    """Returns LeagueGameLog's JSON, ``{"resultSets": [{"name", "headers", "rowSet"}]}``, for players."""

    def __call__(self, season: str, season_type: str) -> Mapping[str, Any]:
        """Fetch a season (``2024-25``) of a type (``Regular Season``, ``IST``, ``PlayIn``, ``Playoffs``)."""


class ScheduleClient(Protocol):
    """Returns ScheduleLeagueV2's JSON, ``{"leagueSchedule": {"gameDates": [{"games": [...]}]}}``."""

    def __call__(self, season: str) -> Mapping[str, Any]:
        """Fetch a season (``2024-25``)."""


def fetch_game_logs(season: str, client: GameLogClient | None = None) -> GameLogsRead:
    """Fetch a season's player game logs of every kind of game, validated exactly as a file's are.

    Regular season, NBA Cup final, play-in and playoffs, as in the schedule. Only the regular season must have rows.

    Args:
        season: ``2024-25``.
        client: what fetches; by default ``nba_api`` with retries.

    Raises:
        BadInput: the season is not one, or an answer is not of LeagueGameLog's shape; rows count from 1.
        LiveSourceError: ``nba_api`` isn't installed, or stats.nba.com didn't answer.
    """
    first_year = _first_year(season)
    fetch = client or NbaApiGameLogs()
    answers = []
    for season_type, since in _LOG_TYPES.items():
        if first_year < since:
            continue
        source = f"stats.nba.com LeagueGameLog {season} {season_type}"
        rows = log_rows(fetch(season, season_type), source)
        if len(rows):
            answers.append(rows)
        elif season_type == REGULAR_SEASON:
            raise _no_rows(source)
    return game_logs.convert(answers)


def fetch_schedule(season: str, client: ScheduleClient | None = None) -> ScheduleRead:
    """Fetch a season's games, validated exactly as a file's are.

    Pre-season and All-Star games, postponed games and games whose teams aren't known yet are counted in ``left_out``.
    Every date from the first game to the last counts as listed, also a date without a game.

    Args:
        season: ``2024-25``.
        client: what fetches; by default ``nba_api`` with retries.

    Raises:
        BadInput: the season is not one, or the answer is not of ScheduleLeagueV2's shape; rows count from 1.
        LiveSourceError: ``nba_api`` isn't installed, or stats.nba.com didn't answer.
    """
    _first_year(season)
    source = f"stats.nba.com ScheduleLeagueV2 {season}"
    rows, left_out = schedule_rows((client or NbaApiSchedule())(season), source)
    if not len(rows):
        raise _no_rows(source)
    return schedule.convert([rows], left_out=left_out, is_whole_season=True)


class NbaApiGameLogs:
    """The default :class:`GameLogClient`.

    Args:
        attempts: requests until it fails; tests pass fewer.
        sleep: waits between attempts, given seconds; tests pass one that doesn't wait.
    """

    def __init__(
        self,
        attempts: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._attempts = attempts
        self._sleep = sleep

    def __call__(self, season: str, season_type: str) -> Mapping[str, Any]:
        """Fetch a season's player rows."""
        endpoint = _endpoint("leaguegamelog", "LeagueGameLog")
        return _with_retries(
            lambda: endpoint(
                season=season,
                season_type_all_star=season_type,
                player_or_team_abbreviation="P",
                timeout=_TIMEOUT_SECONDS,
            ).get_dict(),
            f"stats.nba.com LeagueGameLog {season} {season_type}",
            self._attempts,
            self._sleep,
        )


class NbaApiSchedule:
    """The default :class:`ScheduleClient`; arguments as for :class:`NbaApiGameLogs`."""

    def __init__(
        self,
        attempts: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._attempts = attempts
        self._sleep = sleep

    def __call__(self, season: str) -> Mapping[str, Any]:
        """Fetch a season's games."""
        endpoint = _endpoint("scheduleleaguev2", "ScheduleLeagueV2")
        return _with_retries(
            lambda: endpoint(season=season, timeout=_TIMEOUT_SECONDS).get_dict(),
            f"stats.nba.com ScheduleLeagueV2 {season}",
            self._attempts,
            self._sleep,
        )


class LiveSource:
    """stats.nba.com, through the optional package nba_api."""

    @property
    def game_logs(self) -> GameLogClient:
        """Fetches a season's game logs."""
        return NbaApiGameLogs()

    @property
    def schedule(self) -> ScheduleClient:
        """Fetches a season's schedule."""
        return NbaApiSchedule()


def _endpoint(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(f"nba_api.stats.endpoints.{module}"), name)
    except ImportError as error:
        raise LiveSourceError(
            "the live source needs the package nba_api; run: pip install 'prediction-assets[live]'"
        ) from error


def _with_retries(
    fetch: Callable[[], Mapping[str, Any]], source: str, attempts: int, sleep: Callable[[float], None]
) -> Mapping[str, Any]:
    # requests raises OSErrors. A page of HTML instead of JSON is a ValueError. JSON of another shape, such as an error
    # message, makes nba_api's own parser raise a LookupError or TypeError.
    transient = (OSError, ValueError, LookupError, TypeError)
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(multiplier=2, max=30) + tenacity.wait_random(0, 1),
        retry=tenacity.retry_if_exception_type(transient),
        sleep=sleep,
        reraise=True,
    )
    try:
        return retrying(fetch)
    except transient as error:
        first_line = (str(error).splitlines() or [""])[0][:200]
        raise LiveSourceError(
            f"{source}: no usable answer in {attempts} attempts ({type(error).__name__}: {first_line}); "
            "stats.nba.com refuses many cloud addresses: try from another network, or ingest files"
        ) from error


def _first_year(season: str) -> int:
    match = _SEASON.match(season)
    if not match or (int(match[1]) + 1) % 100 != int(match[2]):
        raise BadInput("season", f"{season!r} is not a season", hint="write it as 2024-25")
    return int(match[1])


def _no_rows(source: str) -> BadInput:
    return BadInput(source, "the answer has no rows", hint="has the season begun?")

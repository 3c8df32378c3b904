"""The sources of an installation: for each kind of facts the ones that its settings name, tried in their order.

A later source answers when an earlier one fails, and the answer says so. What a source has not published yet is no
failure. What doesn't belong here: what is done with an answer, and when to ask.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from prediction_assets.errors import (
    BadInput,
    PredictionAssetsError,
    RequestsSpent,
    SourceEmpty,
    SourceRefused,
    SourceUnavailable,
)
from prediction_assets.ingest.game_ids import season_name
from prediction_assets.ingest.game_logs import GameLogsRead, read_game_logs
from prediction_assets.ingest.injury_reports import InjuryReportsRead, read_injury_reports
from prediction_assets.ingest.live import timing
from prediction_assets.ingest.live.budget import Fetch, Limits, Spent, counted, spent
from prediction_assets.ingest.live.nba import HEADERS, LOG_TYPES, STATS_HINT, fetch_game_logs, fetch_schedule
from prediction_assets.ingest.live.odds_api import KEY_HINT, OddsApi
from prediction_assets.ingest.live.official_report import ABSENT, SLOTS, fetch_injury_report
from prediction_assets.ingest.live.requesting import ATTEMPTS, Requester
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.other_box_scores import stored_facts
from prediction_assets.ingest.prop_lines import PropLinesRead, read_prop_lines
from prediction_assets.ingest.schedule import ScheduleRead, read_schedule
from prediction_assets.ingest.seasons import first_year, season_of
from prediction_assets.nba.tonight import Tonight, read_tonight
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

_logger = logging.getLogger(__name__)

FAILURES = (SourceUnavailable, SourceRefused, SourceEmpty, RequestsSpent, BadInput)
"""After these the next source is asked. An error of a store isn't one: the next source would fail, too."""

_NBA_HINT = "set a second source, or ingest files"
_EVENING = ("prop_lines", "injury_reports")
"""Facts that are asked for until the last tip-off."""

Read = TypeVar("Read")


@dataclass(frozen=True)
class Answer(Generic[Read]):
    """What the sources of one kind of facts answered."""

    read: Read | None  # the facts; None when the source has published nothing (new)
    source: str  # who answered: a path, or a source's name
    failed: Mapping[str, str] = field(default_factory=dict)  # why each source before it failed, by name
    # what the answer lacks and why, by name: a game whose odds didn't come
    missing: Mapping[str, str] = field(default_factory=dict)
    spent: Spent | None = None  # what the source was asked this day and month; None for files


@dataclass(frozen=True)
class Sources:
    """Asks the sources of one installation."""

    settings: Settings
    clock: Clock
    # waits between attempts, given seconds; a test passes one that doesn't wait
    sleep: Callable[[float], None] = time.sleep

    def game_logs(self, warehouse: Warehouse, season: str | None = None) -> Answer[GameLogsRead]:
        """Return a season's game logs, by default those of the season of tonight."""
        asked = season or self.season(warehouse)
        stored = partial(stored_facts, warehouse, self.settings.player_aliases)
        return self._first(
            warehouse,
            "game_logs",
            {
                "files": lambda: read_game_logs(self._path("game_logs"), stored),
                "stats_nba": lambda: self._stats_logs(warehouse, asked),
            },
            live=season is not None,
        )

    def schedule(self, warehouse: Warehouse, season: str | None = None) -> Answer[ScheduleRead]:
        """Return a season's games, by default those of the season of tonight."""
        asked = season or self.season(warehouse)
        stats = f"{self.settings.stats_nba_url}/stats/scheduleleaguev2"
        cdn = f"{self.settings.cdn_nba_url}/static/json/staticData/scheduleLeagueV2.json"
        return self._first(
            warehouse,
            "schedule",
            {
                "files": lambda: read_schedule(self._path("schedule")),
                "stats_nba": lambda: self._schedule(warehouse, "stats_nba", stats, asked),
                "cdn_nba": lambda: self._schedule(warehouse, "cdn_nba", cdn, asked),
            },
            live=season is not None,
        )

    def prop_lines(self, warehouse: Warehouse, players: PlayerDirectory) -> Answer[PropLinesRead]:
        missing: dict[str, str] = {}
        return self._first(
            warehouse,
            "prop_lines",
            {
                "files": lambda: read_prop_lines(self._path("prop_lines"), players),
                "odds_api": lambda: self._odds(warehouse, players, missing),
            },
            missing,
        )

    def injury_reports(self, warehouse: Warehouse, players: PlayerDirectory) -> Answer[InjuryReportsRead]:
        return self._first(
            warehouse,
            "injury_reports",
            {
                "files": lambda: read_injury_reports(self._path("injury_reports"), players),
                "official_report": lambda: self._official_report(warehouse, players),
            },
        )

    def season(self, warehouse: Warehouse) -> str:
        """Return the season to ask for: the stored schedule's while it has games ahead, else the calendar's."""
        today = self.clock.now().astimezone(GAME_TIME_ZONE).date()
        found = warehouse.query(queries.SLATES_FROM, {"league": NBA_LEAGUE, "slate": today})["game_date"]
        # 2019-20 was played until October.
        ahead: list[date] = [day for day in found.to_pylist() if day - today < timedelta(days=60)]
        if ahead:
            games = warehouse.query(queries.SLATE_GAMES, {"slate": ahead[0]})
            year = games["season_id"][0].as_py() % 10_000
            return season_name(year)
        return season_of(today)

    def tonight(self, warehouse: Warehouse, now: datetime) -> Tonight:
        return read_tonight(warehouse, now.astimezone(GAME_TIME_ZONE).date())

    def pause(self, warehouse: Warehouse, source: str, tonight: Tonight, now: datetime) -> timedelta | None:
        """Return the time between two looks at a live source of tonight's facts, None when none can be paid for.

        A report is found with the first or second request.
        """
        cost = self.odds.cost * tonight.games if source == "odds_api" else 2
        usual = timedelta(minutes=self.settings.fetch_minutes)
        used = spent(warehouse, source, now)
        return timing.pause(now, tonight.last_tip_off, usual, cost, self.limits(source), used)

    def _first(
        self,
        warehouse: Warehouse,
        facts: str,
        ask: Mapping[str, Callable[[], Read | None]],
        missing: Mapping[str, str] | None = None,
        *,
        live: bool = False,
    ) -> Answer[Read]:
        """Ask the sources in their order until one answers.

        Args:
            ask: asks a source, by name.
            missing: what the answer lacks, filled in by the source that answers.
            live: leave files out, because they don't know what is asked.
        """
        names: Sequence[str] = self.settings.sources(facts)
        if live:
            names = [name for name in names if name != "files"] or ["stats_nba"]
        failed: dict[str, str] = {}
        errors: list[PredictionAssetsError] = []
        for name in names:
            try:
                if name != names[-1]:
                    self._require_requests(warehouse, name, facts)
                read = ask[name]()
            except FAILURES as error:
                failed[name] = str(error)
                errors.append(error)
                _logger.warning("%s: the source %s failed: %s", facts, name, error)
                continue
            is_live = name != "files"
            where = name if is_live else str(self._path(facts))
            if failed:
                _logger.warning("%s come from %s, because %s failed", facts, name, ", ".join(failed))
            usage = spent(warehouse, name, self.clock.now()) if is_live else None
            return Answer(read, where, failed, dict(missing or {}), usage)
        if len(errors) == 1:
            raise errors[0]
        raise SourceUnavailable(
            f"{facts}: every source failed: " + "; ".join(f"{name}: {why}" for name, why in failed.items())
        ) from errors[0]

    def _require_requests(self, warehouse: Warehouse, source: str, facts: str) -> None:
        """Keep the share of later days, where another source can answer.

        Raises:
            RequestsSpent: the source has none left for another look tonight.
        """
        now = self.clock.now()
        is_counted = facts in _EVENING and source != "files"
        if is_counted and self.pause(warehouse, source, self.tonight(warehouse, now), now) is None:
            raise RequestsSpent(f"{source} has too few requests left for another look")

    def _path(self, facts: str) -> Path:
        path: Path | None = getattr(self.settings, facts)
        if path is None:
            raise BadInput(
                facts,
                "files are a source, and no path is named",
                hint=f"set PREDICTION_ASSETS_{facts.upper()}",
            )
        return path

    def _stats_logs(self, warehouse: Warehouse, season: str) -> GameLogsRead | None:
        least = len(LOG_TYPES)
        played = self._games_of(warehouse, season)["played"]
        with self._question(warehouse, "stats_nba", "game_logs", least, STATS_HINT) as (requester, fetch):
            read = fetch_game_logs(requester, self.settings.stats_nba_url, season, played=played)
            fetch.outcome = "answered" if read else "nothing"
        return read

    def _schedule(self, warehouse: Warehouse, source: str, url: str, season: str) -> ScheduleRead | None:
        hint = STATS_HINT if source == "stats_nba" else _NBA_HINT
        due = datetime(first_year(season), timing.SCHEDULE_OWED_IN, 1, tzinfo=GAME_TIME_ZONE)
        is_owed = self.clock.now() >= due or self._games_of(warehouse, season)["games"] > 0
        with self._question(warehouse, source, "schedule", 1, hint) as (requester, fetch):
            read = fetch_schedule(requester, url, season, is_owed=is_owed)
            fetch.outcome = "answered" if read else "nothing"
        return read

    def _official_report(self, warehouse: Warehouse, players: PlayerDirectory) -> InjuryReportsRead | None:
        now, url = self.clock.now(), self.settings.official_report_url
        known = warehouse.query(
            queries.NEWEST_REPORT_TIME, {"league": NBA_LEAGUE, "since": now.date() - timedelta(days=2)}
        )
        newest: datetime | None = known["reported_at"][0].as_py()
        is_owed = timing.owes_report(self.tonight(warehouse, now), now)
        with self._question(warehouse, "official_report", "injury_reports", 2, _NBA_HINT, ABSENT) as (
            requester,
            fetch,
        ):
            read = fetch_injury_report(requester, url, players, now, newest, is_owed=is_owed)
            fetch.outcome = "answered" if read else "nothing"
        return read

    def _odds(
        self, warehouse: Warehouse, players: PlayerDirectory, missing: dict[str, str]
    ) -> PropLinesRead | None:
        api, now = self.odds, self.clock.now()
        tonight = self.tonight(warehouse, now)
        # Tomorrow's lines are asked for tomorrow: they would take the credits of tonight's.
        midnight = datetime.combine(tonight.slate + timedelta(days=1), datetime.min.time(), GAME_TIME_ZONE)
        with self._question(warehouse, "odds_api", "prop_lines", 0, KEY_HINT) as (requester, fetch):
            events = api.events(requester, now, midnight, are_owed=timing.owes_games(tonight, now))
            fetch.outcome = "answered" if events else "nothing"
        if not events:
            return None
        least = api.cost * len(events)
        with self._question(warehouse, "odds_api", "prop_lines", least, KEY_HINT, cost=api.cost) as (
            requester,
            fetch,
        ):
            read, lacking = api.lines(
                requester, events, tonight.slate, players, are_owed=timing.owes_lines(tonight, now)
            )
            # A game that failed is asked for again with the next look.
            fetch.outcome = "partial" if lacking else "answered" if read else "nothing"
            fetch.problem = "; ".join(f"{teams}: {why}" for teams, why in lacking.items())
        missing.update(lacking)
        if lacking:
            _logger.warning(
                "prop_lines of %d of %d games are missing: %s", len(lacking), len(events), lacking
            )
        return read

    @contextmanager
    def _question(
        self,
        warehouse: Warehouse,
        source: str,
        facts: str,
        least: int,
        hint: str,
        absent: frozenset[int] = frozenset({404, 410}),
        cost: int = 0,
    ) -> Iterator[tuple[Requester, Fetch]]:
        """Ask one question within this block, counted against the source's budget.

        Args:
            least: requests, or credits, that it takes when nothing fails.
            hint: what to do when the source refuses this network address or the key.
            absent: statuses by which the source says that there is no such thing.
            cost: credits of an answer where the source doesn't say.
        """
        settings = self.settings
        limits = self.limits(source)
        # A report is looked for under several names; credits are taken by answers, not by attempts.
        takes_credits = source == "odds_api"
        most = least if takes_credits else max(least, SLOTS if facts == "injury_reports" else 0) * ATTEMPTS
        with counted(
            warehouse, source, facts, least, most, limits, settings.answers_folder, self.clock.now()
        ) as fetch:
            requester = Requester(
                source, fetch.folder, settings.source_timeout, hint, self.sleep, HEADERS, absent, cost,
                None if takes_credits else fetch.allowed,
            )  # fmt: skip
            try:
                yield requester, fetch
            finally:
                fetch.requests = requester.credits if takes_credits else requester.sent
                fetch.remaining = requester.remaining

    def _games_of(self, warehouse: Warehouse, season: str) -> dict[str, int]:
        """Return how many games of a season are stored, and how many of them are over."""
        today = self.clock.now().astimezone(GAME_TIME_ZONE).date()
        asked = {"league": NBA_LEAGUE, "year": first_year(season), "today": today}
        found: dict[str, int] = warehouse.query(queries.GAMES_OF_SEASON, asked).to_pylist()[0]
        return found

    @property
    def odds(self) -> OddsApi:
        settings = self.settings
        key = settings.odds_api_key.get_secret_value() if settings.odds_api_key else ""
        return OddsApi(settings.odds_api_url, key, settings.odds_api_regions, settings.markets)

    def limits(self, source: str) -> Limits:
        settings = self.settings
        if source == "odds_api":
            return Limits(settings.odds_api_credits_per_day, settings.odds_api_credits_per_month)
        return Limits(settings.nba_requests_per_day, settings.nba_requests_per_month)

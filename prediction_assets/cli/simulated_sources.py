"""Live sources on this machine that answer with a simulated league: ``dev --simulated-sources``.

stats.nba.com's game logs and schedule and The Odds API's lines, in their documented shapes. Players and books are
invented; teams have real names, because sources are refused that name others. So the home is one of its own.
As a module it serves the answers while it runs a command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow.compute as pc

from prediction_assets.ingest.game_logs import COUNTS
from prediction_assets.ingest.limits import SEASON_BEGINS
from prediction_assets.ingest.live.nba import REGULAR_SEASON
from prediction_assets.ingest.nba_json import LOG_SET
from prediction_assets.ingest.odds_api_json import SPORT
from prediction_assets.ingest.seasons import first_year, season_of
from prediction_assets.ingest.teams import NBA_TEAMS
from prediction_assets.settings import Settings
from prediction_assets.simulation.league import SimulatedLeague, simulate_league
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.slate.markets import POINTS

HOME = "simulated_sources"
"""The folder in the home in which the facts of these sources are kept, apart from real ones."""

MOST_PLAYERS = 300
"""Expected players of a league that has as many teams as the NBA."""

_SOONEST = timedelta(hours=2)
"""Games begin so much later than now, and before midnight, so that there are lines to ask for at any hour."""


def simulated_settings(home: Path) -> dict[str, Any]:
    """Return the settings of an installation that asks these sources, but for their address.

    The hours are of the night, so that an installation that is started at any hour of the day finds its facts and opens
    its slate by itself.
    """
    return {
        "home": home / HOME, "dagster_home": None, "time_zone": GAME_TIME_ZONE.key,
        "facts_cron": "0 0 * * *", "roster_cron": "1 0 * * *", "sensor_interval_seconds": 10,
        "game_logs_sources": "stats_nba", "schedule_sources": "stats_nba", "prop_lines_sources": "odds_api",
        "odds_api_key": "simulated",
    }  # fmt: skip


@dataclass
class SimulatedSources:
    """What the sources say: a league of so many expected players, whose slate is today's."""

    players: int
    clock: Clock

    @cached_property
    def league(self) -> SimulatedLeague:
        """The league as it is simulated, in a year of its own."""
        return simulate_league(self.players)

    @property
    def today(self) -> date:
        """The date of the slate, US Eastern."""
        return self.clock.now().astimezone(GAME_TIME_ZONE).date()

    def answer(self, path: str, asked: Mapping[str, str]) -> Any:
        """Return the document that answers a request, None where there is none."""
        if path == "/stats/leaguegamelog":
            played = (
                asked.get("Season") == season_of(self.today) and asked.get("SeasonType") == REGULAR_SEASON
            )
            rows = self._logs() if played else []
            result = {
                "name": LOG_SET,
                "headers": list(rows[0]) if rows else [],
                "rowSet": [[*row.values()] for row in rows],
            }
            return {"resource": "leaguegamelog", "resultSets": [result]}
        if path == "/stats/scheduleleaguev2":
            days = [{"games": self._games()}] if asked.get("Season") == season_of(self.today) else []
            return {"leagueSchedule": {"seasonYear": season_of(self.today), "gameDates": days}}
        events = f"/v4/sports/{SPORT}/events"
        if path == events:
            return [
                {name: value for name, value in event.items() if name != "bookmakers"}
                for event in self._odds()
            ]
        return next((event for event in self._odds() if path == f"{events}/{event['id']}/odds"), None)

    @cached_property
    def tonights_lines(self) -> list[dict[str, Any]]:
        """The lines on the league's slate, in the order of their captures."""
        lines = self.league.prop_lines
        rows: list[dict[str, Any]] = lines.filter(pc.equal(lines["game_date"], self.league.slate)).to_pylist()
        return rows

    def _on(self, day: date) -> date:
        return day + (self.today - self.league.slate)

    def _team(self, spelled: str) -> str:
        return [*NBA_TEAMS][self._teams.index(spelled)]

    @cached_property
    def _teams(self) -> list[str]:
        schedule = self.league.schedule
        return sorted(
            {name for side in ("team_a", "team_b") for name in pc.unique(schedule[side]).to_pylist()}
        )

    def _game_id(self, spelled: str) -> str:
        return f"002{first_year(season_of(self.today)) % 100:02}{int(spelled[-5:]):05}"

    def _in_season(self, day: date) -> bool:
        return self._on(day) >= date(first_year(season_of(self.today)), *SEASON_BEGINS)

    def _logs(self) -> list[dict[str, Any]]:
        rows = []
        for row in self.league.game_logs.to_pylist():
            if self._in_season(row["game_date"]):
                team, opponent = self._team(row["team"]), self._team(row["opponent"])
                vs = row["is_home"] if row["is_home"] is not None else team < opponent
                rows.append(
                    {
                        "SEASON_ID": f"2{first_year(season_of(self.today))}", "PLAYER_ID": row["player_id"],
                        "PLAYER_NAME": row["player_name"], "TEAM_ID": row["team_id"], "TEAM_ABBREVIATION": team,
                        "TEAM_NAME": NBA_TEAMS[team], "GAME_ID": self._game_id(row["game_id"]),
                        "GAME_DATE": self._on(row["game_date"]).isoformat(),
                        "MATCHUP": f"{team} {'vs.' if vs else '@'} {opponent}", "MIN": row["minutes"],
                        **{theirs: row[ours] for ours, theirs in COUNTS.items()},
                    }
                )  # fmt: skip
        return rows

    def _games(self) -> list[dict[str, Any]]:
        return [
            {
                "gameId": self._game_id(row["game_id"]),
                "gameDateEst": f"{self._on(row['game_date'])}T00:00:00Z",
                "isNeutral": row["home_team"] is None,
                "homeTeam": {"teamTricode": self._team(row["home_team"] or row["team_a"])},
                "awayTeam": {"teamTricode": self._team(row["away_team"] or row["team_b"])},
            }
            for row in self.league.schedule.to_pylist()
            if self._in_season(row["game_date"])
        ]

    def _tip_off(self) -> datetime:
        midnight = datetime.combine(self.today + timedelta(days=1), datetime.min.time(), GAME_TIME_ZONE)
        return min(self.clock.now() + _SOONEST, midnight.astimezone(UTC) - timedelta(minutes=1))

    def _odds(self) -> list[dict[str, Any]]:
        now, begins = self.clock.now(), self._tip_off()
        events: dict[str, dict[str, Any]] = {}
        for row in self.tonights_lines:
            event = events.setdefault(
                row["event_id"],
                {
                    "id": row["event_id"], "sport_key": SPORT, "commence_time": f"{begins:%Y-%m-%dT%H:%M:%SZ}",
                    "home_team": NBA_TEAMS[self._team(row["home_team"])],
                    "away_team": NBA_TEAMS[self._team(row["away_team"])], "bookmakers": {},
                },
            )  # fmt: skip
            offers = event["bookmakers"].setdefault(row["bookmaker"], {})
            # Of the captures of a day the last one is on offer now.
            offers[row["player_name"]] = row
        for event in events.values():
            event["bookmakers"] = [
                {"key": key, "title": key, "markets": [_market([*offers.values()], now)]}
                for key, offers in event["bookmakers"].items()
            ]
        return [*events.values()]


def _market(rows: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    outcomes = [
        {"name": side, "description": row["player_name"], "price": row[price], "point": float(row["line"])}
        for row in rows
        for side, price in (("Over", "over_price"), ("Under", "under_price"))
        if row[price] is not None
    ]
    return {"key": POINTS.name, "last_update": f"{now:%Y-%m-%dT%H:%M:%SZ}", "outcomes": outcomes}


@contextmanager
def serving(sources: SimulatedSources) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            document = sources.answer(address.path, dict(parse_qsl(address.query)))
            content = json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the facts' own runs say what was asked."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def command_with_sources(settings: Settings, command: list[str]) -> list[str]:
    return [
        sys.executable,
        "-m",
        "prediction_assets.cli.simulated_sources",
        str(settings.simulated_players),
        *command,
    ]


def main(arguments: list[str]) -> int:
    """Run a command whose environment names the sources' address; return its exit code."""
    players, *command = arguments
    with serving(SimulatedSources(int(players), Clock())) as address:
        addresses = {f"PREDICTION_ASSETS_{name}_URL": address for name in ("STATS_NBA", "ODDS_API")}
        return subprocess.call(command, env={**os.environ, **addresses})  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

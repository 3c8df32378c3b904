"""Answers of live sources, made up: the documented shape, invented players and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]


def outcome(side: str, line: float, price: float, player: str = "Zoran Brezina") -> Json:
    """Make one side of a line of The Odds API."""
    return {"name": side, "description": player, "price": price, "point": line}


def market(
    *outcomes: Json, key: str = "player_points", last_update: str | None = "2024-12-31T23:00:00Z"
) -> Json:
    """Make a book's market of The Odds API."""
    return {"key": key, "last_update": last_update, "outcomes": list(outcomes)}


def book(*markets: Json, key: str = "bookone") -> Json:
    """Make a book's offers on one event."""
    return {"key": key, "title": key.title(), "markets": list(markets)}


def odds_event(*books: Json, **cells: Any) -> Json:
    """Make The Odds API's odds of one event: the Spurs at home, at 19:10 Eastern on New Year's Eve."""
    return {
        "id": "e1", "sport_key": "basketball_nba", "sport_title": "NBA", "commence_time": "2025-01-01T00:10:00Z",
        "home_team": "San Antonio Spurs", "away_team": "Los Angeles Clippers", "bookmakers": list(books),
    } | cells  # fmt: skip


def snapshot(data: Json | Sequence[Json], timestamp: str = "2024-12-31T22:55:00Z") -> Json:
    """Make a historical answer of The Odds API."""
    return {
        "timestamp": timestamp,
        "previous_timestamp": "2024-12-31T22:50:00Z",
        "next_timestamp": "2024-12-31T23:00:00Z",
        "data": data,
    }


def log_answer(*rows: Mapping[str, Any]) -> Json:
    """Make an answer of LeagueGameLog."""
    result = {
        "name": "LeagueGameLog",
        "headers": list(rows[0]) if rows else ["GAME_ID"],
        "rowSet": [list(row.values()) for row in rows],
    }
    return {"resource": "leaguegamelog", "parameters": {}, "resultSets": [result]}


def listed_game(
    game_id: str, home: str | None, away: str | None, day: str = "2024-11-02", **more: Any
) -> Json:
    """Make a game of scheduleLeagueV2."""
    return {
        "gameId": game_id, "gameDateEst": f"{day}T00:00:00Z", "gameDateTimeUTC": f"{day}T23:00:00Z",
        "postponedStatus": "A", "isNeutral": False,
        "homeTeam": {"teamId": 1, "teamTricode": home}, "awayTeam": {"teamId": 2, "teamTricode": away},
    } | more  # fmt: skip


def schedule_answer(*days: list[Json], season: str = "2024-25") -> Json:
    """Make an answer of scheduleLeagueV2."""
    return {"leagueSchedule": {"seasonYear": season, "gameDates": [{"games": games} for games in days]}}

"""Answers of live sources, made up: the documented shape, invented players and numbers."""

from __future__ import annotations

from collections.abc import Sequence
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

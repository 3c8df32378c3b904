"""Who is expected on a slate, decided on facts from before the slate.

A player is expected when his team plays, he appeared in the last 15 days, and he averaged 15 minutes or more over his
last seven games. If his team hasn't played for more than 15 days (opening night, a long break), the 15 days are
counted back from the team's last game, because nobody could have appeared since.

A player with a line on his team's game is expected in any case: books offer lines on players who they think will play.
So a reserve is expected, a player who comes back, and a newcomer. A newcomer is a player without a game log for a team
that plays tonight: his team is the one that the newest injury report, then his newest log, gives him.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from prediction_assets.errors import BadInput, NobodyExpected
from prediction_assets.nba.forecast import market_lines
from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.slate.batch import ExpectedPlayer
from prediction_assets.slate.keys import parse_slate, player_slugs
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

APPEARED_WITHIN = timedelta(days=15)
LEAST_AVERAGE_MINUTES = 15.0
FORM_GAMES = 7

JOINED_GAMES = 25
"""Newest games of which one for another team makes a player one who has moved."""

CANDIDATE_LOOKBACK = timedelta(days=400)
"""How old a candidate's newest game may be: it spans an off-season, and a little more."""


@dataclass(frozen=True, slots=True)
class Roster:
    """A slate's games and the players who are expected in them."""

    league: str  # `NBA`, or a simulated league's name; '' without games
    # `game_id`, `home` and `away` of each game; none on a day without games
    games: tuple[Mapping[str, str], ...]
    players: tuple[ExpectedPlayer, ...]  # sorted by slug; the `game_id` of each is one of the games'
    candidates: int  # how many players were considered


def read_roster(warehouse: Warehouse, slate: str) -> Roster:
    """Return the slate's games and expected players.

    Raises:
        BadInput: no ingested schedule covers the date, or it has games of two leagues.
        NobodyExpected: there are games, but no game log before them makes anybody expected.
    """
    day = parse_slate(slate)
    games = warehouse.query(queries.SLATE_GAMES, {"slate": day}).to_pylist()
    if not games:
        _require_in_schedule(warehouse, slate)
        return Roster("", (), (), 0)
    league = _league(games, slate)
    lines = market_lines(warehouse, league, day)
    candidates = roster_candidates(warehouse, league, day, lines)
    players = expected_players(candidates, day, lines)
    if not players:
        raise NobodyExpected(
            f"slate {slate}: it has {len(games)} games, but none of {len(candidates)} candidates is expected by the "
            "game logs before it; ingest the game logs of the weeks, or the season, before"
        )
    shown = tuple(
        {
            "game_id": game["game_id"],
            "home": game["home_team"] or f"{game['team_a']} (neutral site)",
            "away": game["away_team"] or f"{game['team_b']} (neutral site)",
        }
        for game in games
    )
    return Roster(league, shown, players, len(candidates))


def roster_candidates(
    warehouse: Warehouse, league: str, slate: date, lines: Mapping[int, MarketLine]
) -> list[dict[str, Any]]:
    """Return the players who played for a team of the slate within :data:`CANDIDATE_LOOKBACK` before it, and newcomers.

    Returns:
        rows of :data:`prediction_assets.stores.sql.queries.ROSTER_CANDIDATES`, one per player; those of newcomers
        have only the columns of :data:`prediction_assets.stores.sql.queries.NEWCOMERS`.
    """
    found: list[dict[str, Any]] = warehouse.query(
        queries.ROSTER_CANDIDATES,
        {
            "slate": slate,
            "league": league,
            "since": slate - CANDIDATE_LOOKBACK,
            "form_games": FORM_GAMES,
            "joined_games": JOINED_GAMES,
        },
    ).to_pylist()
    known = {candidate["player_id"] for candidate in found}
    if lines.keys() - known:
        listed = warehouse.query(queries.NEWCOMERS, {"slate": slate, "league": league}).to_pylist()
        for newcomer in listed:
            if newcomer["player_id"] not in known and has_line(newcomer, lines):
                known.add(newcomer["player_id"])
                found.append(newcomer)
    return found


def expected_players(
    candidates: Iterable[Mapping[str, Any]], slate: date, lines: Mapping[int, MarketLine]
) -> tuple[ExpectedPlayer, ...]:
    """Return the expected players among candidates, sorted by slug."""
    chosen = [c for c in candidates if has_line(c, lines) or is_expected(c, slate)]
    slugs = player_slugs({c["player_id"]: c["player_name"] for c in chosen})
    players = [
        ExpectedPlayer(
            player_id=c["player_id"],
            slug=slugs[c["player_id"]],
            name=c["player_name"],
            team=c["team"],
            opponent=c["opponent"],
            is_home=c["is_home"],
            game_id=c["game_id"],
        )
        for c in chosen
    ]
    return tuple(sorted(players, key=lambda player: player.slug))


def has_line(candidate: Mapping[str, Any], lines: Mapping[int, MarketLine]) -> bool:
    """Return whether there is a line on a candidate in a game of his team."""
    line = lines.get(candidate["player_id"])
    return line is not None and candidate["team"] in line.teams


def is_expected(candidate: Mapping[str, Any], slate: date) -> bool:
    """Return whether a candidate is expected by his games alone.

    Args:
        candidate: ``last_game``, ``team_last_game`` (dates before the slate) and ``average_minutes`` (over
            his last :data:`FORM_GAMES` games).
        slate: the games' date.
    """
    window_end = slate
    if slate - candidate["team_last_game"] > APPEARED_WITHIN:
        window_end = candidate["team_last_game"]
    appeared = candidate["last_game"] >= window_end - APPEARED_WITHIN
    return bool(appeared and candidate["average_minutes"] >= LEAST_AVERAGE_MINUTES)


def refuse_unknown_slate(warehouse: Warehouse, slate: str) -> None:
    """Refuse a date that no schedule covers, before a run about it is recorded."""
    if not warehouse.query(queries.SLATE_GAMES, {"slate": parse_slate(slate)}).num_rows:
        _require_in_schedule(warehouse, slate)


def _require_in_schedule(warehouse: Warehouse, slate: str) -> None:
    """Accept a date without games only if an ingested schedule covers it."""
    day = parse_slate(slate)
    spans = warehouse.query(queries.SCHEDULE_SPANS, {"today": day}).to_pylist()
    if not any(span["first_slate"] <= day <= span["last_slate"] for span in spans):
        known = "; ".join(f"{s['league']} {s['first_slate']} .. {s['last_slate']}" for s in spans) or "none"
        raise BadInput(
            f"slate {slate}",
            f"no ingested schedule covers this date ({known})",
            hint="ingest the schedule that does: `prediction-assets ingest --schedule FILE`",
        )


def _league(games: Sequence[dict[str, str]], slate: str) -> str:
    leagues = sorted({game["league"] for game in games})
    if len(leagues) > 1:
        raise BadInput(
            f"slate {slate}", f"has games of {' and '.join(leagues)}", hint="keep one league per home"
        )
    return leagues[0]

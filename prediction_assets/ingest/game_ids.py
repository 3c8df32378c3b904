"""Game ids: which league, kind of game and season stats.nba.com's GAME_ID and SEASON_ID say.

``0022400061``: league 00 (NBA), kind 2 (regular season), season 2024-25, game 61. ``22024``: kind 2, season 2024-25.
Every source of games is looked at here, files and live ones. Games that are not predicted are left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.ingest import values
from prediction_assets.ingest.limits import PLAYOFFS_END, SEASON_BEGINS, SEASON_ENDS
from prediction_assets.ingest.rows import Name, SourceRows

NBA = "00"

_OTHER_LEAGUES: Mapping[str, str] = {
    "10": "WNBA",
    **dict.fromkeys(("13", "14", "15", "16"), "summer league"),
    "20": "G League",
}

PREDICTED: Mapping[str, str] = {"2": "regular season", "4": "playoffs", "5": "play-in", "6": "NBA Cup final"}
"""The third digit of a game id, and the first of a season id, of the games that are predicted and learned from."""

_NOT_PREDICTED: Mapping[str, str] = {"1": "pre-season", "3": "All-Star"}

_FIRST_CENTURY_YEAR = 46
"""Two-digit years from 46 are of the 20th century: the BAA's first season was 1946-47."""


def why_left_out(game_id: str) -> str | None:
    """Return why a game is not predicted, None if it is one of the NBA's that are.

    >>> why_left_out("0012400001")
    'pre-season'
    """
    if game_id[:2] != NBA:
        return _OTHER_LEAGUES.get(game_id[:2], "another league")
    return None if game_id[2] in PREDICTED else _NOT_PREDICTED.get(game_id[2], "another kind of game")


def season_of(game_id: str) -> int:
    """Return the SEASON_ID that a game id implies: ``0022400061`` is of 22024, ``0029600001`` of 21996."""
    return int(game_id[2]) * 10_000 + _first_year(game_id)


def _first_year(game_id: str) -> int:
    year = int(game_id[3:5])
    return (1900 if year >= _FIRST_CENTURY_YEAR else 2000) + year


def season_name(first_year: int) -> str:
    """Return ``2024-25`` for 2024."""
    return f"{first_year}-{(first_year + 1) % 100:02}"


def objection(game_id: str, season_id: int, game_date: date) -> str | None:
    """Return how a game's id, season and date contradict each other, None if they agree."""
    kind, year = divmod(season_id, 10_000)
    # The Cup final has a kind of its own, and counts as a game of the regular season in some tables.
    kinds = {game_id[2], "2"} if game_id[2] == "6" else {game_id[2]}
    if str(kind) not in kinds or year != _first_year(game_id):
        of_season = PREDICTED.get(str(kind)) or _NOT_PREDICTED.get(str(kind), "another kind of game")
        return (
            f"SEASON_ID {season_id} is {of_season} {season_name(year)}, and the id {game_id} is "
            f"{PREDICTED[game_id[2]]} {season_name(_first_year(game_id))}"
        )
    ends = PLAYOFFS_END if game_id[2] == "4" else SEASON_ENDS
    if not date(year, *SEASON_BEGINS) <= game_date <= date(year + 1, *ends):
        return f"{game_date} is not a date of {season_name(year)}, the season in the id {game_id}"
    return None


def predicted_games(rows: SourceRows, column: Name) -> tuple[SourceRows, Counter[str]]:
    """Return the rows of games that are predicted, and how many rows were left out, by reason."""
    reasons = [
        why_left_out(game_id) for game_id in rows.parse(column, values.game_id, pa.string()).to_pylist()
    ]
    return rows.without(reasons)


def require_predicted(sources: Sequence[SourceRows], left_out: Counter[str]) -> None:
    """Refuse sources all of whose games were left out."""
    if left_out and not any(len(rows) for rows in sources):
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        raise BadInput(
            sources[0].source,
            f"no row is of a game that is predicted; left out: {listed}",
            hint=f"predicted are the NBA's games of {', '.join(PREDICTED.values())}",
        )


def require_season(season_ids: Sequence[int], first_year: int, source: str) -> None:
    """Refuse an answer about another season than the one that was requested."""
    others = sorted({season_id % 10_000 for season_id in season_ids} - {first_year})
    if others:
        raise BadInput(
            source,
            f"the answer has games of {', '.join(map(season_name, others))}, {season_name(first_year)} was requested",
            hint="nothing of it was stored; fetch it again, or ingest files",
        )

"""Box scores of Basketball-Reference, Stathead and RealGM as rows of LeagueGameLog.

They have no ids of stats.nba.com. A row names its player, two teams and date: its game is the stored one of these teams
on that date, its player the one of that name in the stored game logs. A row whose game or player isn't stored is left
out and reported, never guessed. What doesn't belong here: exports that name less (:mod:`.other_exports`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.ingest import game_ids, values
from prediction_assets.ingest.names import PlayerDirectory, Resolved, UnresolvedName, stored_players
from prediction_assets.ingest.other_exports import LOGS_WAY_ON
from prediction_assets.ingest.rows import Name, SourceRows
from prediction_assets.ingest.teams import NBA_TEAMS, TEAM_IDS, abbreviation
from prediction_assets.slate.keys import NBA_LEAGUE
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

# Basketball-Reference's names first, then RealGM's.
PLAYER: Name = "player"
DATE: Name = "date"
TEAM: Name = ("team", "tm")
OPPONENT: Name = ("opp", "opponent")
MINUTES: Name = ("mp", "min")
RESULT: Name = "result"
PLUS_MINUS: Name = "+/-"
COUNTS: Mapping[str, Name] = {
    "FGM": ("fg", "fgm"), "FGA": "fga", "FG3M": ("3p", "3pm"), "FG3A": "3pa", "FTM": ("ft", "ftm"), "FTA": "fta",
    "OREB": ("orb", "off", "oreb"), "DREB": ("drb", "def", "dreb"), "AST": "ast", "STL": "stl", "BLK": "blk",
    "TOV": ("tov", "to"), "PF": "pf", "PTS": "pts",
}  # fmt: skip
_NEEDED: tuple[Name, ...] = (PLAYER, DATE, TEAM, OPPONENT, MINUTES, *COUNTS.values())
COLUMNS = [
    one for name in (*_NEEDED, RESULT, PLUS_MINUS) for one in ((name,) if isinstance(name, str) else name)
]

_SIDE = re.compile(r"\A(?:@|vs\.?|at)\s*", re.IGNORECASE)


class StoredGame(NamedTuple):
    """A game that is stored; no home team on a neutral site."""

    game_id: str
    teams: tuple[str, str]
    home: str | None


@dataclass(frozen=True)
class Stored:
    """What names resolve to."""

    players: PlayerDirectory  # everybody in the stored game logs
    games: Mapping[tuple[date, str], StoredGame]  # by date and team


def is_box_score(rows: SourceRows) -> bool:
    """Return whether rows are box scores of another site, by their columns."""
    return rows.find("game_id") is None and all(rows.find(name) is not None for name in _NEEDED)


def resolved(rows: SourceRows, stored: Stored | None) -> tuple[SourceRows, list[UnresolvedName]]:
    """Return rows in the columns of LeagueGameLog, and what didn't resolve.

    Lines that repeat the header and rows without minutes (he did not play) are left out.

    Args:
        stored: None to check the cells only; no row is left then.

    Raises:
        BadInput: a cell can't be read, or no row resolves.
    """
    heads = rows.parse(DATE, lambda cell: str(cell).strip().lower() == "date", pa.bool_(), nullable=True)
    minutes = rows.parse(MINUTES, values.text, pa.string(), nullable=True)
    played = [
        not head and minute is not None and any(character.isdigit() for character in minute)
        for head, minute in zip(heads.to_pylist(), minutes.to_pylist(), strict=True)
    ]
    rows = rows.where(pa.array(played, pa.bool_()))

    def column(name: Name, read: Callable[[Any], Any], kind: pa.DataType) -> list[Any]:
        parsed: list[Any] = rows.parse(name, read, kind, nullable=name in (RESULT, PLUS_MINUS)).to_pylist()
        return parsed

    days = column(DATE, _day, pa.date32())
    names = column(PLAYER, values.name, pa.string())
    teams = column(TEAM, abbreviation, pa.string())
    opponents = column(OPPONENT, lambda cell: abbreviation(_SIDE.sub("", str(cell).strip())), pa.string())
    cells: dict[str, list[Any]] = {
        "MIN": column(MINUTES, values.minutes, pa.int64()),
        **{
            theirs: column(name, values.whole_number(minimum=0), pa.int64())
            for theirs, name in COUNTS.items()
        },
    }
    if rows.find(RESULT):
        cells["WL"] = column(RESULT, lambda cell: str(cell).strip()[:1].upper(), pa.string())
    if rows.find(PLUS_MINUS):
        cells["PLUS_MINUS"] = column(PLUS_MINUS, values.whole_number(), pa.int64())
    made: list[dict[str, Any] | None] = []
    unresolved: Counter[tuple[str, str]] = Counter()
    for name, team, opponent, day in zip(names, teams, opponents, days, strict=True):
        found = _ids(stored, name, team, opponent, day) if stored else None
        made.append(found if isinstance(found, dict) else None)
        if isinstance(found, tuple):
            unresolved[found] += 1
    report = sorted(UnresolvedName(name, count, reason) for (name, reason), count in unresolved.items())
    if stored and made and not any(made):
        first = f": {report[0].name}: {report[0].reason}" if report else ""
        raise BadInput(rows.source, f"no row resolves to a stored game and player{first}", hint=LOGS_WAY_ON)
    mask = pa.array([ids is not None for ids in made], pa.bool_())
    ids = [one for one in made if one is not None]
    table = pa.table(
        {
            name: pa.array(column, pa.string()) if name == "WL" else pa.array(column)
            for name, column in cells.items()
        }
    ).filter(mask)
    for name in _IDS:
        table = table.append_column(name, pa.array([one[name] for one in ids], _IDS[name]))
    return SourceRows(rows.source, table, rows.where(mask).numbers), report


_IDS: Mapping[str, pa.DataType] = {
    "SEASON_ID": pa.int64(), "PLAYER_ID": pa.int64(), "PLAYER_NAME": pa.string(), "TEAM_ID": pa.int64(),
    "TEAM_ABBREVIATION": pa.string(), "TEAM_NAME": pa.string(), "GAME_ID": pa.string(), "GAME_DATE": pa.date32(),
    "MATCHUP": pa.string(),
}  # fmt: skip


def _ids(stored: Stored, name: str, team: str, opponent: str, day: date) -> dict[str, Any] | tuple[str, str]:
    """Return LeagueGameLog's ids of a row, or the name that doesn't resolve and why."""
    game = stored.games.get((day, team))
    if game is None or opponent not in game.teams:
        return (
            f"{team} and {opponent} on {day}",
            "no stored game of these teams on that date; ingest the schedule first",
        )
    player = stored.players.resolve(name, frozenset({team}), day)
    if not isinstance(player, Resolved):
        return name, player.reason
    away = opponent if team == game.home else team
    matchup = f"{team} @ {opponent}" if game.home is None or away == team else f"{team} vs. {opponent}"
    return {
        "SEASON_ID": game_ids.season_of(game.game_id), "PLAYER_ID": player.player_id, "PLAYER_NAME": name,
        "TEAM_ID": TEAM_IDS[team], "TEAM_ABBREVIATION": team, "TEAM_NAME": NBA_TEAMS[team],
        "GAME_ID": game.game_id, "GAME_DATE": day, "MATCHUP": matchup,
    }  # fmt: skip


def _day(cell: Any) -> date:
    """Return a date as these sites write it: ``2025-01-10``, ``1/10/2025`` or ``Fri, Jan 10, 2025``."""
    try:
        return values.us_date(cell)
    except ValueError as error:
        spelled = str(cell).strip().partition(", ")[2]
        try:
            return values.calendar_date(datetime.strptime(spelled, "%b %d, %Y").date())
        except ValueError:
            raise error from None


def stored_facts(warehouse: Warehouse, aliases: Path | None) -> Stored:
    """Return what is stored that names can resolve to; ``aliases`` is the user's file of other names."""
    games: dict[tuple[date, str], StoredGame] = {}
    for query in (queries.SCHEDULED_GAMES, queries.LOGGED_GAMES):
        for row in warehouse.query(query, {"league": NBA_LEAGUE}).to_pylist():
            teams = row["team_a"], row["team_b"]
            game = StoredGame(row["game_id"], teams, row.get("home_team"))
            for team in teams:
                games.setdefault((row["game_date"], team), game)
    return Stored(stored_players(warehouse, aliases), games)

"""Schedule: which teams meet on which date, as ``facts.schedule`` rows.

Every game has ``team_a`` and ``team_b``; home and away are NULL on a neutral site. A schedule with two games of one
team on one date is refused, because every later step relies on one game per player and day. A postponed game is not a
row of the table. It is removed where it was stored, which an omitted game never is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.ingest import game_ids, values
from prediction_assets.ingest.files import (
    JSON_SUFFIXES,
    is_json,
    read_files,
    read_json,
    require_a_row,
    without_rows,
)
from prediction_assets.ingest.nba_json import ListedGame, is_called_off, rows_of_games, schedule_rows
from prediction_assets.ingest.rows import Name, Origins, RowNames, SourceRows
from prediction_assets.slate.keys import NBA_LEAGUE
from prediction_assets.stores.sql.tables import SCHEDULE

# The other names are those of stats.nba.com's endpoints and of tables made from them.
GAME_ID: Name = ("game_id", "gameId")
GAME_DATE: Name = ("game_date", "gameDateEst")
HOME: Name = ("home_team", "home_team_abbreviation", "home_team_tricode", "homeTeam_teamTricode")
AWAY: Name = ("away_team", "away_team_abbreviation", "away_team_tricode", "awayTeam_teamTricode")
REQUIRED: tuple[Name, ...] = (GAME_ID, GAME_DATE)
OPTIONAL: tuple[Name, ...] = ("season_id", HOME, AWAY, "team_a", "team_b", "postponed")

_TABLE_OF_THE_NBA = ("gameId", "gameDateEst", "homeTeam_teamTricode", "awayTeam_teamTricode")
"""Columns of scheduleLeagueV2 as a table; it lists games that can't be predicted, too."""

POSTPONED = "postponed"
"""The column of a file, and the reason in ``left_out``."""

_LONGEST_SEASON = timedelta(days=400)
"""2019-20 took 355 days. A longer season has a wrong date in it, and would remove another season's games."""


@dataclass(frozen=True)
class ScheduleRead:
    """A validated schedule and what reading it found."""

    table: pa.Table  # `SCHEDULE.arrow_schema`, sorted by date and game, one row per game
    # `league` and `game_date` of each date whose games are complete here, dates without a game too
    dates: pa.Table
    empty_files: tuple[str, ...]  # the files that have a header and no rows
    rows_read: int  # rows before duplicates and postponed games were dropped
    duplicates_dropped: int  # rows that repeated a game and agreed with it
    neutral_games: tuple[str, ...]  # ids of the games without a home team, sorted
    left_out: Mapping[str, int]  # number of listed games that can't be predicted, by reason
    # the date on which each postponed game is not played, by its id; None: on no date that is known
    postponed: Mapping[str, date | None]
    is_whole_season: bool  # every game of a season is listed
    names: RowNames  # how an error names each row of `table`


class _Game(NamedTuple):
    season_id: int
    game_id: str
    game_date: date
    home_team: str | None
    away_team: str | None
    team_a: str
    team_b: str

    def facts(self) -> dict[str, object]:
        # The order of the two teams has no meaning.
        return self._asdict() | {"team_a": min(self[-2:]), "team_b": max(self[-2:])}


class _Postponed(NamedTuple):
    game_id: str
    game_date: date | None


def read_schedule(path: Path) -> ScheduleRead:
    """Read games from a CSV, CSV.gz, Parquet or JSON file, or from a directory of them.

    JSON is scheduleLeagueV2 of stats.nba.com or cdn.nba.com, a season's whole schedule. A table with its columns
    (``gameId``, ``homeTeam_teamTricode``, ...) is read, too. Any other table has the

    Columns: ``game_id``, ``game_date`` (US Eastern); ``home_team`` and ``away_team``, both empty on a neutral
    site; ``team_a`` and ``team_b``, needed where home and away are empty; ``season_id``, else derived from
    the game id (``0022400061`` is of 22024); ``postponed``, ``Y`` where the game is not played on this date.
    """
    names = [one for name in (*REQUIRED, *OPTIONAL) for one in ((name,) if isinstance(name, str) else name)]
    left_out: Counter[str] = Counter()

    def of_json(file: Path) -> SourceRows:
        rows, absent = schedule_rows(read_json(file), str(file))
        left_out.update(absent)
        return rows

    files, read = read_files(
        path,
        (*names, "isNeutral", "postponedStatus", "gameStatusText"),
        dict.fromkeys(JSON_SUFFIXES, of_json),
    )
    sources = []
    for rows in read:
        games, absent = _of_the_nba(rows)
        sources.append(games)
        left_out.update(absent)
    if (left_out or all(map(is_json, files))) and not any(map(len, sources)):
        raise BadInput(path, "no game of a season is listed", hint="has the schedule been published?")
    require_a_row(path, sources)
    return convert(sources, left_out=left_out, is_whole_season=all(map(is_json, files)))


def convert(
    sources: Sequence[SourceRows], *, left_out: Mapping[str, int] | None = None, is_whole_season: bool = False
) -> ScheduleRead:
    """Validate the rows of one or more sources; see :func:`read_schedule`.

    Args:
        left_out: games that the source left out before, by reason.
        is_whole_season: the sources list every game of their seasons; a date between a season's first and its last
            without a game then counts as a date without games.
    """
    empty_files, rows_read = without_rows(sources), sum(map(len, sources))
    kept, absent = [], Counter(left_out or {})
    for rows in sources:
        rows.require(REQUIRED)
        predicted, others = game_ids.predicted_games(rows, GAME_ID)
        kept.append(predicted)
        absent.update(others)
    game_ids.require_predicted(kept, absent)
    origins = Origins(tuple(kept))
    games: dict[str, tuple[int, _Game]] = {}
    playing: dict[tuple[date, str], int] = {}
    postponed: list[_Postponed] = []
    for index, game in enumerate(game for rows in kept for game in _parse(rows)):
        if isinstance(game, _Postponed):
            postponed.append(game)
            continue
        known = games.get(game.game_id)
        if known is not None:
            _refuse_disagreement(game, index, *known[::-1], origins)
            continue
        games[game.game_id] = index, game
        for team in (game.team_a, game.team_b):
            other = playing.setdefault((game.game_date, team), index)
            if other != index:
                raise origins.bad(
                    index,
                    f"{team} plays twice on {game.game_date}: game {game.game_id} here and another in "
                    f"{origins.name(other, beside=index)}",
                )
    if is_whole_season and postponed and not games:
        raise BadInput(
            kept[0].source,
            f"every game is listed as postponed, {len(postponed)} games",
            hint="that can't be right: fetch it again, or set another source of the schedule",
        )
    in_order = sorted(games.values(), key=lambda found: (found[1].game_date, found[1].game_id))
    ordered = [game for _, game in in_order]
    played = [game.game_date for game in ordered]
    if is_whole_season:
        by_season: dict[int, list[date]] = {}
        for game in ordered:
            by_season.setdefault(game.season_id % 10_000, []).append(game.game_date)
        played = [
            day for days in by_season.values() for day in _every_date(kept[0].source, days[0], days[-1])
        ]
    return ScheduleRead(
        table=SCHEDULE.arrow_table([{"league": NBA_LEAGUE, **game._asdict()} for game in ordered]),
        dates=_dates({*played, *(game.game_date for game in postponed if game.game_date)}),
        empty_files=empty_files,
        rows_read=rows_read,
        duplicates_dropped=sum(map(len, kept)) - len(games) - len(postponed),
        neutral_games=tuple(sorted(game.game_id for game in ordered if game.home_team is None)),
        left_out={**absent, **({POSTPONED: len(postponed)} if postponed else {})},
        postponed={game.game_id: game.game_date for game in postponed},
        is_whole_season=is_whole_season,
        names=RowNames(origins, np.array([index for index, _ in in_order], dtype=np.int64)),
    )


def _of_the_nba(rows: SourceRows) -> tuple[SourceRows, dict[str, int]]:
    """Return a table of scheduleLeagueV2 in the columns of any other, and how many games were left out, by reason."""
    if any(rows.find(name) is None for name in _TABLE_OF_THE_NBA):
        return rows, {}
    cells = [
        rows.parse(name, values.text, pa.string(), nullable=True).to_pylist()
        if rows.find(name)
        else [None] * len(rows)
        for name in (*_TABLE_OF_THE_NBA, "isNeutral", "postponedStatus", "gameStatusText")
    ]
    listed = (
        ListedGame(
            game_id, day, home, away, str(neutral).lower() in {"true", "1"}, is_called_off(text, status)
        )
        for game_id, day, home, away, neutral, status, text in zip(*cells, strict=True)
    )
    return rows_of_games(listed, rows.numbers.tolist(), rows.source)


def _every_date(source: str, first: date, last: date) -> list[date]:
    if last - first > _LONGEST_SEASON:
        raise BadInput(source, f"has games from {first} to {last}, which is no season", column="game_date")
    return [first + timedelta(days=days) for days in range((last - first).days + 1)]


def _dates(dates: Collection[date]) -> pa.Table:
    schema = pa.schema([SCHEDULE.arrow_schema.field(name) for name in ("league", "game_date")])
    return pa.table({"league": [NBA_LEAGUE] * len(dates), "game_date": sorted(dates)}, schema)


def _parse(rows: SourceRows) -> Iterator[_Game | _Postponed]:
    """Yield each row's game; a postponed game has no teams, because they don't matter."""
    is_neutral = rows.find(HOME) is None and rows.find(AWAY) is None
    if is_neutral and (rows.find("team_a") or rows.find("team_b")):
        rows.require(["team_a", "team_b"])
    else:
        rows.require([HOME, AWAY])
    season = values.whole_number(minimum=10_000, maximum=99_999)
    ids = rows.parse(GAME_ID, values.game_id, pa.string()).to_pylist()
    days = rows.parse(GAME_DATE, values.calendar_date, pa.date32(), nullable=True).to_pylist()
    seasons = (
        rows.parse("season_id", season, pa.int64(), nullable=True).to_pylist()
        if rows.find("season_id")
        else [None] * len(rows)
    )
    homes, aways, ones, others = (
        rows.parse(name, values.team_code, pa.string(), nullable=True).to_pylist()
        if rows.find(name)
        else [None] * len(rows)
        for name in (HOME, AWAY, "team_a", "team_b")
    )
    off = (
        rows.parse(POSTPONED, _is_postponed, pa.bool_(), nullable=True).to_pylist()
        if rows.find(POSTPONED)
        else [None] * len(rows)
    )
    for index, game_id in enumerate(ids):
        if off[index]:
            yield _Postponed(game_id, days[index])
            continue
        if days[index] is None:
            raise rows.bad(index, "the value is empty", column=rows.find(GAME_DATE))
        home, away = homes[index], aways[index]
        one, other = _teams(rows, index, home, away, ones[index], others[index])
        yield _Game(
            seasons[index] or game_ids.season_of(game_id), game_id, days[index], home, away, one, other
        )


def _is_postponed(value: Any) -> bool:
    spelled = str(value).strip().lower()
    if spelled not in {"y", "n", "true", "false"}:
        raise ValueError(f"{value!r} is neither Y nor N")
    return spelled in {"y", "true"}


def _teams(
    rows: SourceRows, index: int, home: str | None, away: str | None, one: str | None, other: str | None
) -> tuple[str, str]:
    if (home is None) != (away is None):
        raise rows.bad(
            index,
            f"only one of home_team ({home}) and away_team ({away}) is there",
            column=rows.find(AWAY if away is None else HOME),
            hint="give both, or neither on a neutral site",
        )
    if (one is None) != (other is None):
        raise rows.bad(index, f"only one of team_a ({one}) and team_b ({other}) is there")
    if home is not None and away is not None and (one is None or other is None):
        one, other = home, away
    if one is None or other is None:
        raise rows.bad(
            index,
            "no teams",
            hint="a neutral site needs team_a and team_b, any other home_team and away_team",
        )
    if home is not None and {home, away} != {one, other}:
        raise rows.bad(index, f"{away} at {home} are not the teams {one} and {other}")
    if one == other:
        raise rows.bad(index, f"{one} is listed against itself")
    return one, other


def _refuse_disagreement(game: _Game, index: int, known: _Game, other: int, origins: Origins) -> None:
    before = known.facts()
    for name, value in game.facts().items():
        if value != before[name]:
            raise origins.bad(
                index,
                f"game {game.game_id} has {name} {value} here and {before[name]} in "
                f"{origins.name(other, beside=index)}",
                column=name,
            )

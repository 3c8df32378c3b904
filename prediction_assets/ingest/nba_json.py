"""The NBA's JSON as rows: stats.nba.com's LeagueGameLog, and scheduleLeagueV2 of stats.nba.com and cdn.nba.com.

Only the fields that are used are required; others come and go from season to season. A game that can't be predicted is
left out here and counted. What doesn't belong here: what a row must satisfy, and requests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.ingest import game_ids, values
from prediction_assets.ingest.rows import SourceRows, column_of

LOG_SET = "LeagueGameLog"

_SEASON = re.compile(r"\d{4}-\d{2}\Z", re.ASCII)
_FIELDS = ("gameId", "gameDateEst", "homeTeam", "awayTeam")
"""One game may lack them, whose teams aren't known yet; when all lack one, it has another name."""
_CALLED_OFF = ("ppd", "postp", "canc")
_SAYS_NOTHING = ("", "tbd")
_NO_DATE = ("", "1900")
"""Of a game whose date isn't known: stats.nba.com writes 1900-01-01."""

SCHEDULE_COLUMNS = ("game_id", "game_date", "home_team", "away_team", "team_a", "team_b", "postponed")


class ListedGame(NamedTuple):
    """One game as scheduleLeagueV2 lists it; None where a cell is empty."""

    game_id: Any
    game_date: Any
    home: str | None
    away: str | None
    is_neutral: bool
    is_postponed: bool


def log_rows(answer: Any, source: str) -> SourceRows:
    """Return the rows of LeagueGameLog's answer; none where nothing was played yet.

    ``rowSet`` is an empty list then, or null.
    """
    try:
        found = {one["name"]: (one["headers"] or [], one["rowSet"] or []) for one in answer["resultSets"]}
    except (LookupError, TypeError):
        raise BadInput(
            source,
            "is not of the shape resultSets[name, headers, rowSet]",
            hint="save the answer of stats.nba.com/stats/leaguegamelog as it comes",
        ) from None
    if LOG_SET not in found:
        raise BadInput(
            source, f"has no result set {LOG_SET}", hint=f"it has: {', '.join(map(str, found)) or 'none'}"
        )
    headers, records = found[LOG_SET]
    for position, record in enumerate(records, start=1):
        if not isinstance(record, list) or len(record) != len(headers):
            width = len(record) if isinstance(record, list) else "no"
            raise BadInput(source, f"{width} values where there are {len(headers)} headers", row=position)
    return _rows(
        source, {str(header): [row[i] for row in records] for i, header in enumerate(headers)}, len(records)
    )


def schedule_rows(answer: Any, source: str) -> tuple[SourceRows, dict[str, int]]:
    """Return scheduleLeagueV2's games in the columns of a schedule's file, and how many were left out, by reason."""
    try:
        games = [
            game for day in answer["leagueSchedule"]["gameDates"] or [] for game in day.get("games") or []
        ]
        if gone := [name for name in _FIELDS if games and not any(name in game for game in games)]:
            raise KeyError(*gone)
        listed = [
            ListedGame(
                game.get("gameId"),
                # The Eastern date at midnight, though it ends with a misleading Z.
                game.get("gameDateEst"),
                (game.get("homeTeam") or {}).get("teamTricode"),
                (game.get("awayTeam") or {}).get("teamTricode"),
                bool(game.get("isNeutral")),
                is_called_off(game.get("gameStatusText"), game.get("postponedStatus")),
            )
            for game in games
        ]
    except (LookupError, TypeError, AttributeError) as error:
        raise BadInput(
            source,
            f"is not of the shape leagueSchedule.gameDates[].games[] ({error!r})",
            hint="save the answer of stats.nba.com/stats/scheduleleaguev2 as it comes",
        ) from None
    return rows_of_games(listed, range(1, len(listed) + 1), source)


def season_year(answer: Any) -> str | None:
    """Return the season that scheduleLeagueV2's answer says it is of, ``2026-27``; None when it doesn't say."""
    try:
        said = str(answer["leagueSchedule"]["seasonYear"])
    except (LookupError, TypeError):
        return None
    return said if _SEASON.match(said) else None


def is_called_off(text: Any, status: Any) -> bool:
    """Return whether a game is postponed or cancelled, by its ``gameStatusText`` and its ``postponedStatus``.

    The text has the hour of a game that is to be played, and is believed first: there were answers in which
    ``postponedStatus`` was Y for games that are played.
    """
    said = str(text or "").strip().lower()
    return said.startswith(_CALLED_OFF) or (said in _SAYS_NOTHING and status == "Y")


def rows_of_games(
    listed: Iterable[ListedGame], numbers: Iterable[int], source: str
) -> tuple[SourceRows, dict[str, int]]:
    """Return games in the columns of a schedule's file, and how many were left out, by reason."""
    kept: list[int] = []
    left_out: Counter[str] = Counter()
    columns: dict[str, list[Any]] = {name: [] for name in SCHEDULE_COLUMNS}
    for number, game in zip(numbers, listed, strict=True):
        if reason := _why_not(game):
            left_out[reason] += 1
            continue
        day = None if game.is_postponed and str(game.game_date or "")[:4] in _NO_DATE else game.game_date
        sides = (None, None) if game.is_neutral else (game.home, game.away)
        cells = (
            game.game_id, day, *sides, game.home, game.away, "Y" if game.is_postponed else "N",
        )  # fmt: skip
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
        kept.append(number)
    return _rows(source, columns, len(kept), kept), dict(left_out)


def _why_not(game: ListedGame) -> str | None:
    with suppress(ValueError):  # of a row without a game id the schedule's reader says so
        if not_predicted := game_ids.why_left_out(values.game_id(game.game_id)):
            return not_predicted
    if game.is_postponed:
        return None  # it is kept, because its date counts as listed
    if {game.home, game.away} & {None, "", "TBD"}:
        return "teams not known yet"
    return None


def _rows(
    source: str, columns: Mapping[str, list[Any]], count: int, numbers: Iterable[int] | None = None
) -> SourceRows:
    table = pa.table({name: column_of(cells) for name, cells in columns.items()})
    positions = range(1, count + 1) if numbers is None else numbers
    return SourceRows(source, table, np.fromiter(positions, dtype=np.int64, count=count))

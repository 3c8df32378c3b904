"""Game logs: stats.nba.com's LeagueGameLog, from files or an answer of the API, as ``facts.game_logs`` rows.

Each row must satisfy the arithmetic of a box score. Each game has one date, two teams and at most one home team. Rows
that repeat a player's game must agree. Files overlap and drift: equal rows are dropped and counted; where spellings
differ, the last file's is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import BadInput
from prediction_assets.ingest import game_ids, other_box_scores, values
from prediction_assets.ingest.files import (
    JSON_SUFFIXES,
    is_json,
    read_files,
    read_json,
    require_a_row,
    without_rows,
)
from prediction_assets.ingest.names import UnresolvedName, is_same_name
from prediction_assets.ingest.nba_json import log_rows
from prediction_assets.ingest.other_box_scores import Stored
from prediction_assets.ingest.rows import Origins, RowNames, SourceRows
from prediction_assets.ingest.teams import NBA_TEAMS, TEAM_IDS
from prediction_assets.slate.keys import NBA_LEAGUE
from prediction_assets.stores.sql.tables import GAME_LOGS

COUNTS = {
    "points": "PTS",
    "field_goals_made": "FGM",
    "field_goals_attempted": "FGA",
    "three_pointers_made": "FG3M",
    "three_pointers_attempted": "FG3A",
    "free_throws_made": "FTM",
    "free_throws_attempted": "FTA",
    "offensive_rebounds": "OREB",
    "defensive_rebounds": "DREB",
    "assists": "AST",
    "steals": "STL",
    "blocks": "BLK",
    "turnovers": "TOV",
    "personal_fouls": "PF",
}
"""Our column to the source's; whole numbers of 0 or more, never missing."""

REQUIRED = (
    "PLAYER_ID",
    "PLAYER_NAME",
    "TEAM_ABBREVIATION",
    "GAME_ID",
    "GAME_DATE",
    "MATCHUP",
    "MIN",
    *COUNTS.values(),
)
OPTIONAL = ("SEASON_ID", "TEAM_ID", "TEAM_NAME", "WL", "PLUS_MINUS")
"""The season follows from the game's id, and a team's id and name from its abbreviation."""

_INDEX = "row_index"
"""A column beside the table's own while rows are sorted: each one's place in the concatenated sources."""

_SHOTS = (("FGM", "FGA"), ("FG3M", "FG3A"), ("FTM", "FTA"), ("FG3M", "FGM"), ("FG3A", "FGA"))
_MATCHUP = re.compile(r"([A-Z0-9]{2,4}) (vs\.|@) ([A-Z0-9]{2,4})\Z", re.ASCII)
_MATCHUP_TYPE = pa.struct([("first", pa.string()), ("second", pa.string()), ("is_vs", pa.bool_())])

# Without TEAM_NAME: TEAM_ID says which team it is, and stats.nba.com respells names (LA Clippers).
_MUST_AGREE = {
    "season_id": "SEASON_ID",
    "game_date": "GAME_DATE",
    "player_name": "PLAYER_NAME",
    "team_id": "TEAM_ID",
    "team": "TEAM_ABBREVIATION",
    "opponent": "MATCHUP",
    "is_home": "MATCHUP",
    "is_win": "WL",
    "minutes": "MIN",
    **COUNTS,
    "plus_minus": "PLUS_MINUS",
}


@dataclass(frozen=True)
class GameLogsRead:
    """Validated game logs and what reading them found."""

    table: pa.Table  # `GAME_LOGS.arrow_schema`, sorted by date, game and player, one row per game and player
    empty_files: tuple[str, ...]  # the files that have a header and no rows
    rows_read: int  # rows before duplicates were dropped
    duplicates_dropped: int  # rows that repeated a player's game and agreed with it
    neutral_games: tuple[str, ...]  # ids of the games without a home team, sorted
    null_minutes: int  # rows whose MIN was empty and was taken as 0
    left_out: Mapping[str, int]  # rows of games that aren't predicted, by reason: pre-season, G League
    names: RowNames  # how an error names each row of `table`
    # of another site's box scores, the games and players that aren't stored; their rows are left out
    unresolved: tuple[UnresolvedName, ...] = ()


def read_game_logs(path: Path, stored: Callable[[], Stored] | None = None) -> GameLogsRead:
    """Read LeagueGameLog rows from a Parquet, CSV, CSV.gz or JSON file, or from a directory of them.

    JSON is the answer of stats.nba.com as it comes. In a directory, a JSON file may be without rows: a season has no
    playoffs until they begin. Box scores of Basketball-Reference and RealGM are read as far as their games and players
    are stored.

    Args:
        stored: returns what the names of another site resolve to; without it their cells are checked only, and they
            have no row.
    """
    wanted = (*REQUIRED, *OPTIONAL, *other_box_scores.COLUMNS)
    files, sources = read_files(path, wanted, dict.fromkeys(JSON_SUFFIXES, _read_json))
    if all(map(is_json, files)) and not any(map(len, sources)):
        raise BadInput(path, "no game was played yet", hint="has the season begun?")
    require_a_row(path, sources)
    kept: list[SourceRows] = []
    unresolved: list[UnresolvedName] = []
    for file, rows in zip(files, sources, strict=True):
        if other_box_scores.is_box_score(rows):
            found, names = other_box_scores.resolved(rows, stored() if stored else None)
            kept.append(found)
            unresolved += names
        elif len(rows) or not is_json(file):
            # An answer without rows says nothing about its columns: a season has no playoffs until they begin.
            kept.append(rows)
    return replace(convert(kept), unresolved=tuple(unresolved))


def _read_json(path: Path) -> SourceRows:
    return log_rows(read_json(path), str(path))


def convert(sources: Sequence[SourceRows]) -> GameLogsRead:
    empty_files, rows_read = without_rows(sources), sum(map(len, sources))
    left_out: Counter[str] = Counter()
    kept = []
    for rows in sources:
        rows.require(REQUIRED)
        predicted, others = game_ids.predicted_games(rows, "GAME_ID")
        kept.append(predicted)
        left_out.update(others)
    game_ids.require_predicted(kept, left_out)
    parsed = [_parse(rows) for rows in kept]
    table = pa.concat_tables([one for one, _ in parsed])
    table = table.append_column(_INDEX, pa.array(np.arange(table.num_rows)))
    origins = Origins(tuple(kept))
    neutral = _check_games(table, origins)
    table = table.set_column(
        table.schema.get_field_index("is_home"),
        "is_home",
        pc.if_else(pa.array(neutral), pa.scalar(None, pa.bool_()), table["is_home"]),
    )
    neutral_games = tuple(sorted(pc.unique(table["game_id"].filter(pa.array(neutral))).to_pylist()))
    unique = _without_duplicates(table, origins)
    unique = unique.sort_by([(name, "ascending") for name in ("game_date", "game_id", "player_id")])
    return GameLogsRead(
        table=unique.select(GAME_LOGS.column_names).cast(GAME_LOGS.arrow_schema),
        empty_files=empty_files,
        rows_read=rows_read,
        duplicates_dropped=table.num_rows - unique.num_rows,
        neutral_games=neutral_games,
        null_minutes=sum(null_minutes for _, null_minutes in parsed),
        left_out=dict(left_out),
        names=RowNames(origins, unique[_INDEX].to_numpy()),
    )


def _parse(rows: SourceRows) -> tuple[pa.Table, int]:
    count, identifier = values.whole_number(minimum=0), values.whole_number(minimum=1)
    season = values.whole_number(minimum=10_000, maximum=99_999)
    minutes = rows.parse("MIN", values.minutes, pa.int64(), nullable=True)
    team = rows.parse("TEAM_ABBREVIATION", values.team_code, pa.string())
    opponent, is_home = _matchup(rows, team)
    columns: dict[str, pa.Array] = {
        "league": pa.array([NBA_LEAGUE], pa.string()).take(pa.array(np.zeros(len(rows), dtype=np.int64))),
        "season_id": rows.parse("SEASON_ID", season, pa.int64())
        if rows.find("SEASON_ID")
        else rows.parse("GAME_ID", lambda cell: game_ids.season_of(values.game_id(cell)), pa.int64()),
        "game_id": rows.parse("GAME_ID", values.game_id, pa.string()),
        "game_date": rows.parse("GAME_DATE", values.calendar_date, pa.date32()),
        "player_id": rows.parse("PLAYER_ID", identifier, pa.int64()),
        "player_name": rows.parse("PLAYER_NAME", values.name, pa.string()),
        "team_id": rows.parse("TEAM_ID", identifier, pa.int64())
        if rows.find("TEAM_ID")
        else rows.parse("TEAM_ABBREVIATION", _team_id, pa.int64()),
        "team": team,
        "team_name": rows.parse("TEAM_NAME", values.text, pa.string())
        if rows.find("TEAM_NAME")
        else rows.parse(
            "TEAM_ABBREVIATION", lambda cell: NBA_TEAMS.get(str(cell).strip(), str(cell)), pa.string()
        ),
        "opponent": opponent,
        "is_home": is_home,
        "is_win": _optional(rows, "WL", _is_win, pa.bool_()),
        # stats.nba.com gives no MIN for a player who was on the floor for a few seconds.
        "minutes": minutes.fill_null(0),
        **{ours: rows.parse(theirs, count, pa.int64()) for ours, theirs in COUNTS.items()},
        "plus_minus": _optional(rows, "PLUS_MINUS", values.whole_number(), pa.int64()),
    }
    _check_box_scores(rows, {theirs: columns[ours] for ours, theirs in COUNTS.items()})
    return pa.table({name: columns[name] for name in GAME_LOGS.column_names}), int(minutes.null_count)


def _optional(rows: SourceRows, name: str, parse: Any, arrow_type: pa.DataType) -> pa.Array:
    if rows.find(name) is None:
        return pa.nulls(len(rows), arrow_type)
    return rows.parse(name, parse, arrow_type, nullable=True)


def _team_id(value: Any) -> int:
    code = str(value).strip()
    if code not in TEAM_IDS:
        raise ValueError(f"no team of today is {code}, so the file has to have TEAM_ID")
    return TEAM_IDS[code]


def _is_win(value: Any) -> bool:
    letter = str(value).strip().upper()
    if letter not in {"W", "L"}:
        raise ValueError(f"{value!r} is neither W nor L")
    return letter == "W"


def _split_matchup(value: Any) -> dict[str, Any]:
    match = _MATCHUP.match(str(value).strip())
    if not match or match[1] == match[3]:
        raise ValueError(f"{value!r} is not a matchup ('DEN vs. LAL' or 'LAL @ DEN')")
    return {"first": match[1], "second": match[3], "is_vs": match[2] == "vs."}


def _matchup(rows: SourceRows, team: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the opponent and whether MATCHUP puts the player's team at home."""
    matchup = rows.parse("MATCHUP", _split_matchup, _MATCHUP_TYPE)
    first, second, is_vs = (matchup.field(position) for position in range(3))
    is_first = pc.equal(first, team)
    absent = pc.invert(pc.or_(is_first, pc.equal(second, team)))
    if (index := pc.index(absent, True).as_py()) >= 0:
        raise rows.bad(
            index,
            f"team {team[index]} is not in {first[index]} and {second[index]}",
            column=rows.find("MATCHUP"),
        )
    return pc.if_else(is_first, second, first), pc.and_(is_vs, is_first)


def _check_box_scores(rows: SourceRows, counts: dict[str, pa.Array]) -> None:
    made = {name: column.to_numpy() for name, column in counts.items()}
    expected = 2 * made["FGM"] + made["FG3M"] + made["FTM"]
    if (wrong := np.flatnonzero(made["PTS"] != expected)).size:
        index = int(wrong[0])
        problem = f"{made['PTS'][index]} points, but 2*FGM + FG3M + FTM is {expected[index]}"
        raise rows.bad(index, problem, column=rows.find("PTS"))
    for part, whole in _SHOTS:
        if (wrong := np.flatnonzero(made[part] > made[whole])).size:
            index = int(wrong[0])
            problem = f"{part} {made[part][index]} is more than {whole} {made[whole][index]}"
            raise rows.bad(index, problem, column=rows.find(part))


def _codes(column: Any) -> npt.NDArray[np.int64]:
    """Return small integers that are equal where the column's values are."""
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    codes: npt.NDArray[np.int64] = encoded.dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes


def _check_games(table: pa.Table, origins: Origins) -> npt.NDArray[np.bool_]:
    """Refuse games that contradict themselves; return which rows were played on a neutral site."""
    game = _codes(table["game_id"])
    _, first_row = np.unique(game, return_index=True)
    one = pc.min_element_wise(table["team"], table["opponent"])
    other = pc.max_element_wise(table["team"], table["opponent"])
    pair = pc.binary_join_element_wise(one, other, "-")
    for column, what in ((table["game_date"], "date"), (pair, "teams"), (table["season_id"], "season")):
        codes = _codes(column)
        if (wrong := np.flatnonzero(codes != codes[first_row][game])).size:
            index = int(wrong[0])
            first = int(first_row[game[index]])
            raise origins.bad(
                index,
                f"game {table['game_id'][index]} has {what} {column[index]} here "
                f"and {column[first]} in {origins.name(first, beside=index)}",
            )
    side = pc.equal(table["team"], other).to_numpy().astype(np.int64)
    at_home = table["is_home"].to_numpy()
    present = np.zeros((first_row.size, 2), dtype=bool)
    present[game, side] = True
    home = np.zeros_like(present)
    home[game[at_home], side[at_home]] = True
    if (contested := np.flatnonzero((home[:, 0] & home[:, 1])[game])).size:
        index = int(contested[0])
        raise origins.bad(
            index, f"both teams of game {table['game_id'][index]} are at home ('vs.')", column="MATCHUP"
        )
    neutral = present[:, 0] & present[:, 1] & ~home[:, 0] & ~home[:, 1]
    return neutral[game]


def _without_duplicates(table: pa.Table, origins: Origins) -> pa.Table:
    if not table.num_rows:
        return table
    player = _codes(table["player_id"])
    key = _codes(table["game_id"]) * (player.max() + 1) + player
    order = np.argsort(key, kind="stable")
    repeats = np.concatenate(([False], key[order][1:] == key[order][:-1]))
    if not repeats.any():
        return table
    columns = {
        name: _carried(table[name].combine_chunks().take(pa.array(order)), repeats)
        for name in table.column_names
    }
    _refuse_disagreement(columns, repeats, order, origins)
    last = np.concatenate((~repeats[1:], [True]))
    return pa.table(columns).filter(pa.array(last))


def _carried(column: pa.Array, repeats: npt.NDArray[np.bool_]) -> pa.Array:
    """Return a column in which a repeated row that lacks a value has the value of the row it repeats."""
    if not column.null_count:
        return column
    position = np.arange(len(column))
    known = np.where(column.is_valid().to_numpy(zero_copy_only=False) | ~repeats, position, 0)
    return column.take(pa.array(np.maximum.accumulate(known)))


def _refuse_disagreement(
    columns: dict[str, pa.Array],
    repeats: npt.NDArray[np.bool_],
    order: npt.NDArray[np.int64],
    origins: Origins,
) -> None:
    later = np.flatnonzero(repeats)
    found: list[tuple[int, int, str]] = []
    for name in _MUST_AGREE:
        column = columns[name]
        after, before = column.take(pa.array(later)), column.take(pa.array(later - 1))
        differs = pc.fill_null(pc.not_equal(after, before), False).to_numpy(zero_copy_only=False)
        for position in later[differs].tolist():
            if name == "player_name" and is_same_name(column[position].as_py(), column[position - 1].as_py()):
                continue
            found.append((int(order[position]), position, name))
            break
    if not found:
        return
    index, position, name = min(found)
    other = int(order[position - 1])
    source, row = origins.locate(index)
    raise BadInput(
        source,
        f"{columns[name][position]} disagrees with {columns[name][position - 1]} in "
        f"{origins.name(other, beside=index)}, the same player and game",
        row=row,
        column=_MUST_AGREE[name],
        hint="keep one of the two rows",
    )

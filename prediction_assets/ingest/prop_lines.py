"""Prop lines: lines of the known markets in the shape of The Odds API, as ``facts.prop_lines`` rows.

The feed has one row per side of a line; the table has one row per line with both prices. The main line of a player is
chosen later (the query ``MARKET_LINES``), so every offer is kept. The order of rows and files has no meaning: what is
newest follows from ``captured_at`` alone. Suspended and one-sided lines are counted, and a name that can't be resolved
has a NULL player id and is reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import BadInput
from prediction_assets.ingest import values
from prediction_assets.ingest.files import JSON_SUFFIXES, read_files, without_rows
from prediction_assets.ingest.names import PlayerDirectory, Resolved, UnresolvedName
from prediction_assets.ingest.odds import american_odds
from prediction_assets.ingest.odds_api_json import read_odds_json
from prediction_assets.ingest.rows import Name, Origins, RowNames, SourceRows
from prediction_assets.ingest.teams import abbreviation, is_team
from prediction_assets.nba.forecasting.lines import SUSPENDED_PRICE
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE
from prediction_assets.slate.markets import ALTERNATE, MARKETS, of_feed
from prediction_assets.stores.sql.tables import PROP_LINES

# The second of a pair is The Odds API's own name for the column.
PLAYER: Name = ("player", "description")
SIDE: Name = ("side", "name")
LINE: Name = ("line", "point")
REQUIRED: tuple[Name, ...] = (
    "event_id", "commence_time", "home_team", "away_team", PLAYER, "market", "bookmaker", SIDE, LINE, "price",
)  # fmt: skip
CAPTURE: Name = ("capture", "source_file")
CAPTURED_AT: Name = ("captured_at", "timestamp")
LAST_UPDATE: Name = ("last_update", "market_last_update")
"""When a book changed a market: not when the feed was asked, and different for each market of one answer."""
GAME_DATE = "game_date_et"
_SIDES = ("home_team", "away_team")


# What DECIMAL(6, 2) holds. A line that nobody can reach is kept and never chosen: to refuse the file for it would take
# the lines of all players of the day.
_LARGEST_LINE = Decimal(9999)
_CENT = Decimal("0.01")
_US_DATE = re.compile(r"(?<!\d)(?P<month>\d{2})_(?P<day>\d{2})_(?P<year>\d{4})(?!\d)", re.ASCII)
_ISO_DATE = re.compile(r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?!\d)", re.ASCII)


@dataclass(frozen=True)
class PropLinesRead:
    """Validated lines and what reading them found."""

    # `PROP_LINES.arrow_schema`, one row per capture, event, book, player and line, sorted by date and key
    table: pa.Table
    empty_files: tuple[str, ...]  # the files that have a header and no rows
    rows_read: int  # rows of all markets, one per side
    # rows of known markets that are of no game of the NBA (All-Star, another league), by their teams
    left_out: Mapping[str, int]
    other_market_rows: int  # rows of markets that nobody predicts (`MARKETS`), ignored
    duplicates_dropped: int  # rows that repeat a side at the price it already had
    # further prices of a side within its capture. The latest holds; of prices without a time, or of the same
    # time, the lowest, because it promises the bettor least.
    price_movements: int
    one_sided: int  # rows of `table` with one price only
    suspended: int  # rows of known markets priced at +-10000 or beyond; they are in `table` as they came
    unresolved: tuple[UnresolvedName, ...]  # names without a player id, sorted by name
    names: RowNames  # how an error names each row of `table`: by one of the rows that it was made of


class _Side(NamedTuple):
    """One validated row."""

    event_id: str
    capture: str
    bookmaker: str
    player_name: str
    market: str
    line: Decimal
    is_over: bool
    price: int
    commence_time: datetime
    game_date: date
    home_team: str
    away_team: str
    captured_at: datetime | None
    place: int


@dataclass(frozen=True, slots=True)
class _Line:
    latest: _Side
    over_price: int | None
    under_price: int | None


def read_prop_lines(path: Path, players: PlayerDirectory) -> PropLinesRead:
    """Read lines from a CSV, CSV.gz, Parquet or JSON file, or from a directory of them.

    JSON is The Odds API's own. Prices are American odds or decimal odds, the same in all of a file.
    ``game_date`` is the US Eastern date of ``commence_time``; a ``game_date_et`` column must agree. A row
    without ``captured_at``, a snapshot's ``timestamp`` or the books' ``last_update`` takes the date in its capture's
    name (``10_22_2024.csv``, ``2024-10-22``) at 00:00 UTC, else NULL. A file without a ``capture`` column is one
    capture, named after itself, if its name has a date; otherwise each moment is one.
    """
    wanted = [
        one
        for name in (*REQUIRED, CAPTURE, CAPTURED_AT, LAST_UPDATE, GAME_DATE)
        for one in _alternatives(name)
    ]
    sides: list[_Side] = []
    offered: list[SourceRows] = []
    markets: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    files, sources = read_files(path, wanted, dict.fromkeys(JSON_SUFFIXES, read_odds_json))
    for file, rows in zip(files, sources, strict=True):
        rows.require(REQUIRED)
        market = rows.parse("market", values.text, pa.string())
        markets.update(market.to_pylist())
        known = rows.where(
            pc.is_in(market, pa.array(sorted(name for name in markets if of_feed(name)), pa.string()))
        )
        known, others = _of_the_nba(known)
        left_out.update(others)
        if len(known):
            sides.extend(_parse(known, _capture_of(file), len(sides)))
            offered.append(known)
    if left_out and not sides:
        raise BadInput(
            path,
            f"no row is of a game between teams of the NBA; found: {', '.join(sorted(left_out)[:10])}",
            column="home_team",
            hint="write teams as the NBA does: Denver Nuggets, or DEN",
        )
    if markets and not sides:
        listed = ", ".join(sorted(markets)[:10])
        raise BadInput(
            path,
            "no row is of a market that is predicted",
            column="market",
            hint=f"found: {listed}; known are {', '.join(MARKETS)}, each with {ALTERNATE} too",
        )
    lines, duplicates, movements = _pivot(sides)
    table, unresolved, indices = _resolved(lines, players)
    return PropLinesRead(
        table=table,
        empty_files=without_rows(sources),
        rows_read=markets.total(),
        left_out=dict(left_out),
        other_market_rows=markets.total() - sum(count for name, count in markets.items() if of_feed(name)),
        duplicates_dropped=duplicates,
        price_movements=movements,
        one_sided=sum(None in (line.over_price, line.under_price) for line in lines),
        suspended=sum(abs(side.price) >= SUSPENDED_PRICE for side in sides),
        unresolved=unresolved,
        names=RowNames(Origins(tuple(offered)), np.array(indices, dtype=np.int64)),
    )


def _of_the_nba(rows: SourceRows) -> tuple[SourceRows, Counter[str]]:
    """Return the rows of games with a team of the NBA, and how many rows were left out, by their teams."""
    sides = [rows.parse(name, values.text, pa.string(), nullable=True).to_pylist() for name in _SIDES]
    others = [
        None if home is None or away is None or is_team(home) or is_team(away) else f"{away} at {home}"
        for home, away in zip(*sides, strict=True)
    ]
    return rows.without(others)


def _alternatives(name: Name) -> tuple[str, ...]:
    return (name,) if isinstance(name, str) else name


def _parse(rows: SourceRows, file_capture: str, first: int) -> Iterator[_Side]:
    def column(
        name: Name, parse: Callable[[Any], Any], arrow_type: pa.DataType, *, optional: bool = False
    ) -> list[Any]:
        if optional and rows.find(name) is None:
            return [None] * len(rows)
        parsed: list[Any] = rows.parse(name, parse, arrow_type, nullable=optional).to_pylist()
        return parsed

    moment = pa.timestamp("us", tz="UTC")
    commence = column("commence_time", values.instant, moment)
    captures = column(CAPTURE, values.text, pa.string(), optional=True)
    has_capture = rows.find(CAPTURE) is not None
    seen = column(CAPTURED_AT, values.instant, moment, optional=True)
    if rows.find(CAPTURED_AT) is None:
        updates = column(LAST_UPDATE, values.instant, moment, optional=True)
        offers = [column(name, values.text, pa.string()) for name in ("event_id", "bookmaker", "market")]
        seen = _snapshot_times(updates, list(zip(*offers, strict=True)))
    local_dates = {value: value.astimezone(GAME_TIME_ZONE).date() for value in set(commence)}
    given_dates = column(GAME_DATE, values.calendar_date, pa.date32(), optional=True)
    dated = {capture: _date_in(capture) for capture in {*captures, file_capture} if capture}
    cells = zip(
        column("event_id", values.text, pa.string()),
        column("bookmaker", values.text, pa.string()),
        column(PLAYER, values.name, pa.string()),
        map(of_feed, column("market", values.text, pa.string())),
        column(LINE, _line, pa.decimal128(6, 2)),
        column(SIDE, _is_over, pa.bool_()),
        american_odds(rows, "price").to_pylist(),
        column("home_team", abbreviation, pa.string()),
        column("away_team", abbreviation, pa.string()),
        strict=True,
    )
    for index, (event_id, bookmaker, player, market, line, is_over, price, home, away) in enumerate(cells):
        game_date = local_dates[commence[index]]
        if given_dates[index] not in (None, game_date):
            raise rows.bad(
                index,
                f"{given_dates[index]} is not the US Eastern date of tip-off, {game_date}",
                column=rows.find(GAME_DATE),
            )
        if home == away:
            raise rows.bad(index, f"{home} plays against itself", column=rows.find("away_team"))
        # Without a capture's name each moment is a capture, so that an older file can't replace a newer one's lines.
        moment_seen = seen[index]
        capture = (captures[index] or "") if has_capture else file_capture
        if not capture and moment_seen is not None:
            capture = moment_seen.isoformat()
        yield _Side(
            event_id, capture, bookmaker, player, str(market), line, is_over, price, commence[index], game_date, home,
            away, moment_seen or dated.get(capture), first + index,
        )  # fmt: skip


def _snapshot_times(
    updates: Sequence[datetime | None], markets: Sequence[tuple[str, ...]]
) -> list[datetime | None]:
    """Return when each row was seen, at the latest, by the update times of the books' markets.

    A snapshot has every market of a book as it was updated last, at a time of its own: the newest rows of each market
    are one offer, seen when the last of them was updated. A row that its market updated later is of an earlier
    snapshot.

    Args:
        updates: each row's update time.
        markets: each row's event, book and market.
    """
    newest: dict[tuple[str, ...], datetime] = {}
    for update, market in zip(updates, markets, strict=True):
        if update is not None:
            for key in (market, market[:2]):
                newest[key] = max(update, newest.get(key, update))
    return [
        newest[market[:2]] if update is not None and update == newest[market] else update
        for update, market in zip(updates, markets, strict=True)
    ]


def _line(value: Any) -> Decimal:
    line = values.exact_decimal(value)
    if not 0 <= line <= _LARGEST_LINE:
        raise ValueError(f"a line of {line} is not between 0 and {_LARGEST_LINE}")
    cents = line.quantize(_CENT)
    if cents != line:
        raise ValueError(f"a line of {line} has more than two decimals")
    return abs(cents)


def _is_over(value: Any) -> bool:
    side = str(value).strip().lower()
    if side not in {"over", "under"}:
        raise ValueError(f"{value!r} is neither Over nor Under")
    return side == "over"


def _capture_of(file: Path) -> str:
    # A compressed file is the same capture.
    name = re.sub(r"\.gz\Z", "", file.name, flags=re.IGNORECASE)
    return name if _date_in(name) else ""


def _date_in(capture: str) -> datetime | None:
    match = _US_DATE.search(capture) or _ISO_DATE.search(capture)
    if not match:
        return None
    try:
        day = date(*(int(match[part]) for part in ("year", "month", "day")))
    except ValueError:
        return None
    return datetime.combine(day, time(0), UTC)


def _recency(side: _Side) -> tuple[bool, float, int, datetime]:
    """Return what orders the offers of one side of one line in its capture; the highest holds."""
    seen = side.captured_at
    return seen is None, seen.timestamp() if seen is not None else 0.0, -side.price, side.commence_time


def _pivot(sides: Sequence[_Side]) -> tuple[list[_Line], int, int]:
    """Return the lines, and how many rows repeated or moved a price."""
    prices: dict[tuple[Any, ...], dict[bool, list[_Side]]] = {}
    for side in sides:
        prices.setdefault(side[:6], {}).setdefault(side.is_over, []).append(side)
    lines = []
    duplicates = movements = 0
    for offered in prices.values():
        newest = {is_over: max(rows, key=_recency) for is_over, rows in offered.items()}
        for rows in offered.values():
            distinct = len({side.price for side in rows})
            duplicates += len(rows) - distinct
            movements += distinct - 1
        over, under = newest.get(True), newest.get(False)
        lines.append(
            _Line(
                max(newest.values(), key=lambda side: (*_recency(side)[:2], side.is_over)),
                None if over is None else over.price,
                None if under is None else under.price,
            )
        )
    return lines, duplicates, movements


def _resolved(
    lines: Sequence[_Line], players: PlayerDirectory
) -> tuple[pa.Table, tuple[UnresolvedName, ...], list[int]]:
    found: dict[tuple[str, str, str, date], Any] = {}
    unresolved: Counter[tuple[str, str]] = Counter()
    rows = []
    for line in lines:
        side = line.latest
        asked = (side.player_name, side.home_team, side.away_team, side.game_date)
        if asked not in found:
            found[asked] = players.resolve(
                side.player_name, frozenset({side.home_team, side.away_team}), side.game_date
            )
        answer = found[asked]
        if not isinstance(answer, Resolved):
            unresolved[side.player_name, answer.reason] += 1
        rows.append(
            {
                **side._asdict(),
                "league": NBA_LEAGUE,
                "player_id": answer.player_id if isinstance(answer, Resolved) else None,
                "over_price": line.over_price,
                "under_price": line.under_price,
            }
        )
    rows.sort(key=lambda row: (row["game_date"], *(row[name] for name in PROP_LINES.key)))
    report = sorted(UnresolvedName(name, count, reason) for (name, reason), count in unresolved.items())
    return PROP_LINES.arrow_table(rows), tuple(report), [row["place"] for row in rows]

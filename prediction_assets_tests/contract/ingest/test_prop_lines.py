"""Prop lines: two sides become one line, nothing offered is lost, and the traps of the real feed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_logs import GameLogsRead
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.prop_lines import PropLinesRead, UnresolvedName, read_prop_lines
from prediction_assets.slate.markets import MARKETS
from prediction_assets.stores.sql.tables import PROP_LINES

Write = Callable[..., Path]

PLAYERS = PlayerDirectory.from_rows(
    [
        (901, "Zoran Brežina", "SAS", date(2025, 1, 2)),
        (902, "Sam Stone", "LAC", date(2025, 1, 2)),
        (903, "Sam Stone", "BOS", date(2025, 1, 2)),
    ]
)


def side(**cells: Any) -> dict[str, Any]:
    """Make one row of the feed: the over of an invented player, at 19:10 Eastern on New Year's Eve."""
    return {
        "source_file": "01_01_2025.csv", "event_id": "e1", "commence_time": "2025-01-01T00:10:00Z",
        "home_team": "San Antonio Spurs", "away_team": "Los Angeles Clippers", "player": "Zoran Brezina",
        "market": "player_points", "bookmaker": "Underdog", "side": "Over", "line": "25.5",
        "price": "-137.0", "game_date_et": "2024-12-31",
    } | cells  # fmt: skip


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a row without some columns."""
    return {name: cell for name, cell in row.items() if name not in names}


def test_two_sides_become_one_line(write_csv: Write) -> None:
    read = read_prop_lines(write_csv([side(), side(side="Under", price=-110)]), PLAYERS)
    assert read.table.schema.equals(PROP_LINES.arrow_schema)
    assert read.table.to_pylist() == [
        {
            "league": "NBA", "event_id": "e1", "capture": "01_01_2025.csv",
            "market": "player_points", "bookmaker": "Underdog",
            "player_name": "Zoran Brezina", "line": Decimal("25.50"), "player_id": 901,
            "game_date": date(2024, 12, 31), "commence_time": datetime(2025, 1, 1, 0, 10, tzinfo=UTC),
            "home_team": "SAS", "away_team": "LAC", "over_price": -137, "under_price": -110,
            "captured_at": datetime(2025, 1, 1, tzinfo=UTC),
        }
    ]  # fmt: skip
    assert (read.rows_read, read.one_sided, read.unresolved) == (2, 0, ())


def test_the_odds_apis_own_names_are_understood(write_csv: Write) -> None:
    renamed = {"player": "description", "side": "name", "line": "point"}
    row = {renamed.get(name, name): cell for name, cell in without(side(), "source_file").items()}
    row["last_update"] = "2024-12-31T23:00:00Z"
    line = read_prop_lines(write_csv([row]), PLAYERS).table.to_pylist()[0]
    assert (line["player_id"], line["line"], line["over_price"]) == (901, Decimal("25.5"), -137)
    assert (line["capture"], line["captured_at"]) == (
        "2024-12-31T23:00:00+00:00",
        datetime(2024, 12, 31, 23, tzinfo=UTC),
    )


def updated(market: str, line: float, at: str, **cells: Any) -> dict[str, Any]:
    """Make one row of an answer of The Odds API that was saved as CSV."""
    row = without(side(market=market, line=line, **cells), "source_file")
    return row | {"last_update": f"2024-12-31T{at}:00Z"}


LADDER = [
    updated("player_points", 25.5, "22:58"),
    *(updated("player_points_alternate", line, "23:01") for line in (20.5, 22.5, 28.5)),
]
OLDER = [
    updated("player_points", 24.5, "20:00"),
    *(updated("player_points_alternate", line, "20:03") for line in (21.5, 23.5)),
]


@pytest.mark.parametrize("turn", [1, -1], ids=["as written", "in another order"])
@pytest.mark.parametrize(
    ("rows", "newest"),
    [
        (LADDER, [20.5, 22.5, 25.5, 28.5]),
        (LADDER[:1], [25.5]),
        ([*OLDER, *LADDER], [20.5, 22.5, 25.5, 28.5]),
        ([*LADDER, *(row | {"bookmaker": "Other", "line": 9.5} for row in OLDER[:1])], [20.5, 22.5, 25.5, 28.5]),
        ([*LADDER, *(row | {"event_id": "e2", "line": 9.5} for row in OLDER[:1])], [20.5, 22.5, 25.5, 28.5]),
        ([row | {"timestamp": "2024-12-31T23:05:00Z"} for row in LADDER], [20.5, 22.5, 25.5, 28.5]),
    ],
    ids=["a snapshot", "one market", "two snapshots", "two books", "two games", "its time"],
)  # fmt: skip
def test_the_markets_of_a_snapshot_are_one_capture_whenever_the_book_updated_them(
    rows: list[dict[str, Any]], newest: list[float], turn: int, write_csv: Write
) -> None:
    read = read_prop_lines(write_csv(rows[::turn]), PLAYERS).table.to_pylist()
    his = [row for row in read if (row["event_id"], row["bookmaker"]) == ("e1", "Underdog")]
    last = max(row["captured_at"] for row in his)
    assert [float(row["line"]) for row in his if row["captured_at"] == last] == newest
    assert len({row["capture"] for row in his if row["captured_at"] == last}) == 1


@pytest.mark.parametrize(
    ("capture", "seen"),
    [
        ("10_22_2024.csv", datetime(2024, 10, 22, tzinfo=UTC)),
        ("odds-2024-10-22-morning", datetime(2024, 10, 22, tzinfo=UTC)),
        ("13_45_2024.csv", None),
        ("morning", None),
        ("", None),
    ],
)
def test_a_captures_name_may_say_when_it_was_taken(
    capture: str, seen: datetime | None, write_csv: Write
) -> None:
    line = read_prop_lines(write_csv([side(source_file=capture)]), PLAYERS).table.to_pylist()[0]
    assert (line["capture"], line["captured_at"]) == (capture, seen)


@pytest.mark.parametrize(
    ("name", "capture"),
    [("12_31_2024.csv", "12_31_2024.csv"), ("12_31_2024.csv.gz", "12_31_2024.csv"), ("lines.csv", "")],
)
def test_a_file_without_captures_is_one_capture(name: str, capture: str, write_csv: Write) -> None:
    read = read_prop_lines(write_csv([without(side(), "source_file")], name), PLAYERS)
    assert read.table["capture"].to_pylist() == [capture]


@pytest.mark.parametrize(
    ("tip_off", "eastern"),
    [
        ("2025-01-01T00:10:00Z", date(2024, 12, 31)),
        ("2025-01-01T05:00:00Z", date(2025, 1, 1)),
        ("2025-01-01T04:59:59Z", date(2024, 12, 31)),
        ("2025-04-06T03:59:00Z", date(2025, 4, 5)),  # daylight saving: four hours, not five
        ("2025-04-06T04:00:00Z", date(2025, 4, 6)),
    ],
)
def test_a_game_belongs_to_the_eastern_date_of_its_tip_off(
    tip_off: str, eastern: date, write_csv: Write
) -> None:
    row = without(side(commence_time=tip_off), "game_date_et")
    assert read_prop_lines(write_csv([row]), PLAYERS).table["game_date"].to_pylist() == [eastern]


@pytest.mark.parametrize("line", ["24.5", "25", "25.0", "0.5", "10.25", "9999"])
def test_lines_are_exact(line: str, write_csv: Write) -> None:
    read = read_prop_lines(write_csv([side(line=line)]), PLAYERS)
    assert read.table["line"].to_pylist() == [Decimal(line)]


def test_neighbouring_lines_stay_apart_in_parquet_floats(tmp_path: Path) -> None:
    rows = [side(line=line, price=-137.0) for line in (24.5, 25.0, 25.5)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    read = read_prop_lines(tmp_path, PLAYERS)
    assert read.table["line"].to_pylist() == [Decimal("24.5"), Decimal(25), Decimal("25.5")]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"line": "nan"}, "row 3, column line: 'nan' is not a finite decimal number"),
        ({"line": "inf"}, "row 3, column line: 'inf' is not a finite decimal number"),
        ({"line": "-0.5"}, "row 3, column line: a line of -0.5 is not between 0 and 9999"),
        ({"line": "9999.5"}, "row 3, column line: a line of 9999.5 is not between 0 and 9999"),
        ({"line": "24.505"}, "row 3, column line: a line of 24.505 has more than two decimals"),
        ({"line": None}, "row 3, column line: the value is empty"),
        (
            {"price": "1.91"},
            r"row 3, column price: '1.91' is not a price in American odds, .* \(request oddsFormat=american\)",
        ),
        ({"price": "50"}, "row 3, column price: 50 is not a price in American odds, .* which are"),
        ({"side": "Yes"}, "row 3, column side: 'Yes' is neither Over nor Under"),
        ({"player": " "}, "row 3, column player: the value is empty"),
        (
            {"home_team": "San Antonio Spur"},
            r"column home_team: unknown team .* \(is it 'San Antonio Spurs'\?\)",
        ),
        ({"away_team": "Seattle"}, "row 3, column away_team: unknown team 'Seattle'"),
        ({"away_team": "SAS"}, "row 3, column away_team: SAS plays against itself"),
        ({"commence_time": "2025-01-01T00:10:00"}, "row 3, column commence_time: .* has no time zone"),
        (
            {"game_date_et": "2025-01-01"},
            "row 3, column game_date_et: 2025-01-01 is not the US Eastern date of",
        ),
    ],
)
def test_a_bad_row_is_named(cells: dict[str, Any], problem: str, write_csv: Write) -> None:
    sound = [side(line="30.5"), side(line="31.5")]
    rows = [side(market="player_blocks", side="?"), side(**cells), *sound]
    with pytest.raises(BadInput, match=problem) as refused:
        read_prop_lines(write_csv(rows), PLAYERS)
    assert "\n" not in str(refused.value)


def test_missing_columns_are_named_with_their_other_names(write_csv: Write) -> None:
    with pytest.raises(BadInput, match=r"missing columns player \(or description\), price"):
        read_prop_lines(write_csv([without(side(), "player", "price")]), PLAYERS)


def test_other_markets_are_counted_and_not_looked_at(write_csv: Write) -> None:
    first_basket = side(market="player_first_basket", home_team="?", line="x")
    read = read_prop_lines(write_csv([first_basket, side(), first_basket]), PLAYERS)
    assert (read.rows_read, read.other_market_rows, read.table.num_rows) == (3, 2, 1)


def test_lines_of_no_game_of_the_nba_hold_up_no_others_and_are_counted(write_csv: Write) -> None:
    all_star = side(event_id="as", home_team="Team Stripes", away_team="Team Stars")
    other = side(event_id="w", home_team="Las Vegas Aces", away_team="New York Liberty")
    path = write_csv([all_star, side(), other, all_star], "lines/one.csv")
    write_csv([all_star], "lines/two.csv")
    read = read_prop_lines(path.parent, PLAYERS)
    assert (read.rows_read, read.table.num_rows) == (5, 1)
    assert read.left_out == {"Team Stars at Team Stripes": 3, "New York Liberty at Las Vegas Aces": 1}
    assert "row 3" in read.names[0]
    with pytest.raises(
        BadInput, match="no row is of a game between teams of the NBA; found: Team Stars at Team Str"
    ):
        read_prop_lines(path.parent / "two.csv", PLAYERS)


def test_a_file_without_lines_of_a_known_market_is_refused(write_csv: Write) -> None:
    with pytest.raises(
        BadInput,
        match="no row is of a market that is predicted; found: player_blocks; known are player_points, ",
    ):
        read_prop_lines(write_csv([side(market="player_blocks")]), PLAYERS)


def test_lines_of_each_known_market_are_kept_apart(write_csv: Write) -> None:
    rows = [side(market=name + end, line="25.5") for name in MARKETS for end in ("", "_alternate")]
    read = read_prop_lines(write_csv([*rows, side(market="player_assists", side="Under")]), PLAYERS)
    assert sorted(read.table["market"].to_pylist()) == sorted(MARKETS)
    assert (read.other_market_rows, read.one_sided) == (0, len(MARKETS) - 1)


def test_a_repeated_row_is_dropped(write_csv: Write) -> None:
    read = read_prop_lines(write_csv([side(), side(line="26.5"), side()]), PLAYERS)
    assert (read.duplicates_dropped, read.price_movements, read.table.num_rows) == (1, 0, 2)


@pytest.mark.parametrize(
    ("prices", "final", "moves"),
    [
        ((-110, -120), -120, 1),
        ((-120, -110), -120, 1),
        ((-110, -120, -110), -120, 1),
        ((105, -105), -105, 1),
        ((100, 130, -110), -110, 2),
    ],
)
def test_of_a_captures_prices_without_a_time_the_lowest_holds_in_any_order(
    prices: tuple[int, ...], final: int, moves: int, write_csv: Write
) -> None:
    read = read_prop_lines(write_csv([side(price=price) for price in prices]), PLAYERS)
    assert (read.table["over_price"].to_pylist(), read.price_movements) == ([final], moves)


@pytest.mark.parametrize("turn", [1, -1], ids=["newest first", "newest last"])
def test_later_is_by_the_clock(turn: int, write_csv: Write) -> None:
    newest_first = [
        side(price=-120, captured_at="2024-12-31T22:00:00Z"),
        side(price=-130, captured_at="2024-12-31T21:00:00Z"),
    ]
    line = read_prop_lines(write_csv(newest_first[::turn]), PLAYERS).table.to_pylist()[0]
    assert (line["over_price"], line["captured_at"].hour) == (-120, 22)


def test_captures_are_kept_apart(write_csv: Write, tmp_path: Path) -> None:
    write_csv([side(), side(side="Under")], "lines/a.csv")
    write_csv([side(source_file="12_31_2024.csv", price=-120)], "lines/b.csv")
    read = read_prop_lines(tmp_path / "lines", PLAYERS)
    kept = read.table.select(["capture", "over_price"]).to_pylist()
    assert kept == [
        {"capture": "01_01_2025.csv", "over_price": -137},
        {"capture": "12_31_2024.csv", "over_price": -120},
    ]


def test_one_sided_and_suspended_lines_are_kept_and_counted(write_csv: Write) -> None:
    rows = [side(price=-10000), side(side="Under", price=10000), side(line="3.5")]
    read = read_prop_lines(write_csv(rows), PLAYERS)
    assert (read.one_sided, read.suspended, read.table.num_rows) == (1, 2, 2)
    assert read.table.select(["over_price", "under_price"]).to_pylist() == [
        {"over_price": -137, "under_price": None},
        {"over_price": -10000, "under_price": 10000},
    ]


def test_unresolved_names_keep_their_lines_and_are_reported(write_csv: Write) -> None:
    rows = [
        side(player="Nobody"),
        side(player="Nobody", side="Under"),
        side(player="Nobody", line="3"),
        side(),
    ]
    read = read_prop_lines(write_csv(rows), PLAYERS)
    assert read.unresolved == (UnresolvedName("Nobody", 2, "unknown: no game log has this name"),)
    assert sorted(read.table["player_id"].to_pylist(), key=str) == [901, None, None]


def test_the_events_teams_tell_namesakes_apart(write_csv: Write) -> None:
    read = read_prop_lines(write_csv([side(player="Sam Stone")]), PLAYERS)
    assert read.table["player_id"].to_pylist() == [902]


SIDES = st.builds(
    side,
    source_file=st.sampled_from(["a", "b"]),
    bookmaker=st.sampled_from(["Underdog", "PrizePicks"]),
    line=st.sampled_from(["24.5", "25.0", "25"]),
    side=st.sampled_from(["Over", "under"]),
    price=st.sampled_from([-137, 100, -10000]),
    market=st.sampled_from(["player_points", "player_points", "player_blocks"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(SIDES, max_size=12))
def test_every_row_is_accounted_for(rows: list[dict[str, Any]], write_csv: Write) -> None:
    rows = [*rows, side(price=-137)]
    read = read_prop_lines(write_csv(rows), PLAYERS)
    two_sided = read.table.num_rows - read.one_sided
    dropped = read.other_market_rows + read.duplicates_dropped + read.price_movements
    assert read.rows_read == len(rows) == dropped + read.one_sided + 2 * two_sided
    lines = read.table.to_pylist()
    assert len({tuple(line[name] for name in PROP_LINES.key) for line in lines}) == len(lines)
    lowest: dict[tuple[Any, ...], int] = {}
    for row in rows:
        if row["market"] == "player_points":
            key = (row["source_file"], Decimal(row["line"]), row["bookmaker"], row["side"].lower())
            lowest[key] = min(row["price"], lowest.get(key, row["price"]))
    for line in lines:
        of_line = (line["capture"], line["line"], line["bookmaker"])
        assert (line["over_price"], line["under_price"]) == (
            lowest.get((*of_line, "over")),
            lowest.get((*of_line, "under")),
        )
    assert read_prop_lines(write_csv(rows[::-1]), PLAYERS).table.equals(read.table)


@pytest.fixture(scope="session")
def real_lines(real_data: Path, real_players: PlayerDirectory) -> PropLinesRead:
    """Return the real lines, resolved against the logs of two seasons."""
    return read_prop_lines(real_data / "prop_lines_2024_25.csv.gz", real_players)


def test_the_real_feed_is_read_with_its_flaws_counted(real_lines: PropLinesRead) -> None:
    assert (real_lines.rows_read, real_lines.table.num_rows) == (24_154, 12_078)
    assert (real_lines.duplicates_dropped, real_lines.price_movements) == (14, 0)
    assert (real_lines.other_market_rows, real_lines.suspended) == (0, 28)


def test_fifteen_real_lines_have_one_side_one_of_them_in_two_captures(real_lines: PropLinesRead) -> None:
    table = real_lines.table
    lone = table.filter(pc.or_(pc.is_null(table["over_price"]), pc.is_null(table["under_price"])))
    assert lone.num_rows == real_lines.one_sided == 16
    assert (
        len({tuple(row.values()) for row in lone.select(["event_id", "player_name", "line"]).to_pylist()})
        == 15
    )


def test_every_real_name_resolves(real_lines: PropLinesRead) -> None:
    assert real_lines.unresolved == ()
    assert real_lines.table["player_id"].null_count == 0
    assert len(pc.unique(real_lines.table["player_name"])) == 341


@pytest.mark.parametrize(
    ("book", "player_id"),
    [
        ("C.J. McCollum", 203468),
        ("Jimmy Butler", 202710),
        ("Gary Trent Jr", 1629018),
        ("Nicolas Claxton", 1629651),
        ("Herb Jones", 1630529),
        ("Carlton Carrington", 1642267),
        ("Luka Doncic", 1629029),
    ],
)
def test_real_names_that_the_books_write_differently_resolve(
    book: str, player_id: int, real_lines: PropLinesRead
) -> None:
    lines = real_lines.table.filter(pc.field("player_name") == book)
    assert pc.unique(lines["player_id"]).to_pylist() == [player_id]


def test_real_lines_are_on_a_game_of_the_players_team_or_void(
    real_lines: PropLinesRead, real_logs: GameLogsRead
) -> None:
    logs = real_logs.table.select(["player_id", "game_date", "team", "opponent"]).to_pylist()
    played = {(row["player_id"], row["game_date"]): {row["team"], row["opponent"]} for row in logs}
    offered = {
        (row["player_id"], row["game_date"]): {row["home_team"], row["away_team"]}
        for row in real_lines.table.to_pylist()
    }
    assert len(offered) == 6_372
    assert sum(key not in played for key in offered) == 227
    assert all(teams == played[key] for key, teams in offered.items() if key in played)


def test_the_utc_date_would_misplace_most_real_lines(
    real_lines: PropLinesRead, real_logs: GameLogsRead
) -> None:
    lines = real_lines.table.select(["player_id", "game_date", "commence_time"]).to_pylist()
    logs = real_logs.table.select(["player_id", "game_date", "game_id"]).to_pylist()
    games = {(row["player_id"], row["game_date"]): row["game_id"] for row in logs}
    other_date = [line["commence_time"].date() != line["game_date"] for line in lines]
    misplaced = [
        game != games.get((line["player_id"], line["commence_time"].date()))
        for line in lines
        if (game := games.get((line["player_id"], line["game_date"])))
    ]
    assert sum(other_date) / len(lines) == pytest.approx(0.838, abs=0.001)
    assert sum(misplaced) / len(lines) == pytest.approx(0.807, abs=0.001)


def test_real_clippers_are_the_clippers_of_the_logs(real_lines: PropLinesRead) -> None:
    teams = set(pc.unique(real_lines.table["home_team"]).to_pylist())
    assert "LAC" in teams
    assert len(teams) == 30


def test_files_give_the_same_lines_in_any_order(write_csv: Write, tmp_path: Path) -> None:
    early = side(price=-130, captured_at="2024-12-31T21:00:00Z")
    late = side(price=-120, line="26.5", captured_at="2024-12-31T22:00:00Z")
    tables = []
    for names in (("a.csv", "b.csv"), ("b.csv", "a.csv")):
        for row, name in zip((early, late), names, strict=True):
            write_csv([without(row, "source_file")], f"lines/{name}")
        tables.append(read_prop_lines(tmp_path / "lines", PLAYERS).table)
    assert tables[0].equals(tables[1])
    assert len(set(tables[0]["capture"].to_pylist())) == 2  # a later moment removes nothing of an earlier one

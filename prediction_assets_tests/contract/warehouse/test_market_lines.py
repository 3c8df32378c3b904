"""The main line of each player: one query over the books' offers, whatever the order in which they came."""

from __future__ import annotations

import random
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.nba.forecast import market_lines
from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.forecasting.prices import Offer
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql.tables import PROP_LINES, SCHEDULE
from prediction_assets_tests.contract.warehouse.conftest import BY_DIALECT, opened
from prediction_assets_tests.in_memory import InMemoryWarehouse

SLATE = date(2024, 12, 31)
TIP_OFF = datetime(2025, 1, 1, 0, 10, tzinfo=UTC)  # 31 December, US Eastern


@pytest.fixture(params=BY_DIALECT)
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    return opened(request)


def offers(*rows: dict[str, Any]) -> pa.Table:
    """Return offers; a row's defaults are a two-sided 20.5 of one book, seen an hour and a half before tip-off."""
    default = {
        "league": "NBA", "event_id": "e1", "capture": "",
        "market": "player_points", "bookmaker": "Book A", "line": 20.5, "player_id": 1,
        "game_date": SLATE, "commence_time": TIP_OFF, "home_team": "SAS", "away_team": "LAC",
        "over_price": -110, "under_price": -110,
        "captured_at": datetime(2024, 12, 31, 22, 40, tzinfo=UTC),
    }  # fmt: skip
    made = []
    for row in rows:
        offer = default | row
        offer["player_name"] = f"Player {offer['player_id']}"
        # Ingestion gives each moment a capture; here each row has its own, so that no two share a key.
        capture = f"{offer['captured_at']}{offer['over_price']}{offer['under_price']}"
        made.append({**offer, "capture": capture, "line": Decimal(str(offer["line"]))})
    distinct = {tuple(row[name] for name in PROP_LINES.key): row for row in made}
    return PROP_LINES.arrow_table([*distinct.values()])


def at(hour: int, minute: int = 0, day: int = 31, month: int = 12, year: int = 2024) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def ladder(*lines: float, fair: float, **more: Any) -> list[dict[str, Any]]:
    """Return a book's lines at one moment; the over of a line below the fair one costs more."""
    rows = []
    for line in lines:
        over = -110 - round(40 * (fair - line))
        over, under = (over, -220 - over) if line != fair else (-112, -108)
        odds = [price if price <= -100 else price + 200 for price in (over, under)]
        rows.append({"line": line, "over_price": odds[0], "under_price": odds[1], **more})
    return rows


CASES: list[tuple[str, list[dict[str, Any]], float | None]] = [
    ("a single offer stands", [{}], 20.5),
    ("an integer line is legal", [{"line": 20}], 20.0),
    ("a line that nobody has reached doesn't count", [{"line": 9998.5}], None),
    ("the highest that somebody has does", [{"line": 100}], 100.0),
    ("a slip leaves the book's older line", [{}, {"line": 205}], 20.5),
    ("and another book's", [{"line": 250}, {"bookmaker": "Book B", "line": 21.5}], 21.5),
    ("a suspended offer doesn't count", [{"over_price": -10000}], None),
    ("nor one suspended on the under", [{"under_price": 15000}], None),
    (
        "a suspension leaves the book's older line",
        [{}, {"line": 22.5, "over_price": -10000}],
        20.5,
    ),
    ("an offer seen after tip-off is late", [{"captured_at": at(0, 11, 1, 1, 2025)}], None),
    ("one seen at tip-off isn't", [{"captured_at": TIP_OFF}], 20.5),
    ("midnight is a date: that of tip-off isn't late", [{"captured_at": at(0, 0, 1, 1, 2025)}], 20.5),
    ("the day after tip-off's is", [{"captured_at": at(0, 0, 2, 1, 2025)}], None),
    ("the latest capture wins", [{"line": 21.5, "captured_at": at(23)}, {}], 21.5),
    (
        "an unknown capture time is newest",
        [{"captured_at": at(23)}, {"line": 19.5, "captured_at": None}],
        19.5,
    ),
    ("a one-sided line will do alone", [{"under_price": None}], 20.5),
    ("not beside a two-sided one", [{"line": 21.5, "under_price": None, "captured_at": None}, {}], 20.5),
    ("nor another book's", [{"line": 21.5, "under_price": None}, {"bookmaker": "Book B"}], 20.5),
    (
        "the line that most books show",
        [{"line": 22.5}, {"bookmaker": "Book B", "over_price": -125}, {"bookmaker": "Book C"}],
        20.5,
    ),
    (
        "a tie goes to the balanced price",
        [{"over_price": -137, "under_price": 105}, {"bookmaker": "Book B", "line": 21.5}],
        21.5,
    ),
    ("then to the lower", [{"line": 21.5}, {"bookmaker": "Book B"}], 20.5),
    (
        "then to the one nearest the median",
        [{"line": 18.5}, {"bookmaker": "Book B", "line": 24.5}, {"bookmaker": "Book C", "line": 21.5}],
        21.5,
    ),
    (
        "a game that isn't scheduled",
        [{"home_team": "BOS", "line": 30.5}, {"bookmaker": "B", "line": 20.5}],
        20.5,
    ),
    ("teams the other way round", [{"home_team": "LAC", "away_team": "SAS"}], 20.5),
    ("an unresolved name isn't anybody's", [{"player_id": None}], None),
    # A ladder: several lines of one book at one moment.
    ("of a ladder the balanced line", ladder(16.5, 18.5, 20.5, 22.5, 24.5, fair=20.5), 20.5),
    ("its place in the ladder doesn't matter", ladder(20.5, 22.5, 24.5, fair=20.5), 20.5),
    ("nor that it is the highest", ladder(16.5, 18.5, 20.5, fair=20.5), 20.5),
    ("of equally balanced ones the one nearest their mean", [{"line": x} for x in (17.5, 19.5, 20.5)], 19.5),
    ("then the lower", [{"line": 21.5}, {"line": 19.5}], 19.5),
    (
        "an older moment of the ladder doesn't count",
        [
            {"line": 19.5, "captured_at": at(20)},
            *ladder(20.5, 22.5, 24.5, fair=24.5, captured_at=at(21)),
        ],
        24.5,
    ),
    (
        "a ladder counts as one book",
        [
            *ladder(16.5, 18.5, 20.5, 22.5, fair=18.5),
            {"bookmaker": "Book B", "line": 22.5},
            {"bookmaker": "Book C", "line": 22.5, "over_price": -130, "under_price": 104},
        ],
        22.5,
    ),
    (
        "of a one-sided ladder the line nearest to even money",
        [
            {"line": line, "over_price": price, "under_price": None}
            for line, price in ((39.5, 2500), (19.5, -105), (24.5, 240), (29.5, 600), (34.5, 1300))
        ],
        19.5,
    ),
    (
        "a suspended rung isn't the balanced one",
        [{"line": 18.5, "over_price": -10000, "under_price": -10000}, {"line": 20.5, "over_price": -125}],
        20.5,
    ),
]


def with_the_game(warehouse: Warehouse) -> Warehouse:
    """Return a warehouse whose schedule has the game of the offers."""
    game = {"league": "NBA", "season_id": 22024, "game_id": "0022400900", "game_date": SLATE, "team_a": "LAC"}
    warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([{**game, "team_b": "SAS"}]))
    return warehouse


def chosen(warehouse: Warehouse, *rows: dict[str, Any]) -> dict[int, MarketLine]:
    with_the_game(warehouse).upsert(PROP_LINES, offers(*rows))
    return market_lines(warehouse, "NBA", SLATE)


@pytest.mark.parametrize("shuffled", [False, True], ids=["as written", "in another order"])
def test_the_main_line_of_every_case_is_found_in_one_query(warehouse: Warehouse, shuffled: bool) -> None:
    rows = [
        {"player_id": number, "event_id": f"e{number}"} | row
        for number, (_, each, _) in enumerate(CASES)
        for row in each
    ]
    if shuffled:
        random.Random(11).shuffle(rows)
    found = chosen(warehouse, *rows)
    assert {CASES[number][0]: float(line.line) for number, line in found.items()} == {
        case: line for case, _, line in CASES if line is not None
    }


def test_the_main_line_names_its_book_and_prices() -> None:
    rows = [{"bookmaker": "Book B", "over_price": -120, "under_price": 100}, {"bookmaker": "Book A"}]
    other = Offer(Decimal("20.50"), "Book B", -120, 100)
    assert chosen(InMemoryWarehouse(), *rows) == {
        1: MarketLine(Decimal("20.50"), "Book A", -110, -110, (other,))
    }


def test_beside_the_main_line_come_all_offers_of_each_book_s_newest_moment(warehouse: Warehouse) -> None:
    rows = [
        {},
        {"bookmaker": "Book B", "line": 21.5, "captured_at": at(20)},  # an older moment
        {"bookmaker": "Book B", "line": 22.5, "over_price": 105, "under_price": -130},
        {"bookmaker": "Book B", "line": 19.5, "over_price": -150, "under_price": 120},
        {"bookmaker": "Book C", "over_price": -10000},  # suspended
        {"bookmaker": "Book D", "under_price": None},  # one side only, and others have both
        {"bookmaker": "Book E", "captured_at": at(1, 0, 1, 1, 2025)},  # after tip-off
    ]
    (main,) = chosen(warehouse, *rows).values()
    assert (float(main.line), main.bookmaker) == (20.5, "Book A")
    assert [(float(o.line), o.bookmaker, o.over_price, o.under_price) for o in main.others] == [
        (19.5, "Book B", -150, 120),
        (22.5, "Book B", 105, -130),
    ]


OFFERS = st.fixed_dictionaries(
    {
        "player_id": st.integers(1, 3),
        "bookmaker": st.sampled_from(["Book 1", "Book 2", "Book 3"]),
        "line": st.sampled_from([19.5, 20, 20.5, 21.5]),
        "over_price": st.sampled_from([-110, -137, -10000, None]),
        "under_price": st.sampled_from([-110, 105, None]),
        "captured_at": st.sampled_from([None, at(20), at(22)]),
    }
)


@settings(max_examples=8)
@given(rows=st.lists(OFFERS, min_size=1, max_size=12), seed=st.integers(0, 5))
def test_the_order_in_which_offers_come_does_not_matter(rows: list[dict[str, Any]], seed: int) -> None:
    once = chosen(InMemoryWarehouse(), *rows)
    other = list(rows)
    random.Random(seed).shuffle(other)
    in_parts = with_the_game(InMemoryWarehouse())
    for part in (other[::2], other[1::2]):
        in_parts.upsert(PROP_LINES, offers(*part))
    assert market_lines(in_parts, "NBA", SLATE) == once
    assert list(once) == sorted(once)


def test_a_day_without_offers_has_no_lines() -> None:
    assert market_lines(InMemoryWarehouse(), "NBA", SLATE) == {}


def test_twenty_thousand_rungs_of_eight_books_are_one_fast_query(open_duckdb: Any) -> None:
    fair = {player: 8.5 + player % 20 for player in range(1, 84)}
    rungs = {
        player: [ladder(*(line + step for step in range(-7, 8)), fair=line)[i] for i in range(15)]
        for player, line in fair.items()
    }
    rows = [
        {"player_id": player, "bookmaker": f"Book {book}", **rung,
         "captured_at": at(22) - timedelta(hours=moment)}
        for player, each in rungs.items()
        for book in range(8)
        for moment in (0, 5)
        for rung in each
    ]  # fmt: skip
    random.Random(3).shuffle(rows)
    table = offers(*rows)
    assert table.num_rows == 19_920
    warehouse = with_the_game(open_duckdb())
    warehouse.upsert(PROP_LINES, table)
    started = time.perf_counter()
    found = market_lines(warehouse, "NBA", SLATE)
    assert time.perf_counter() - started < 3  # 0.1 s on two idle cores
    assert {player: float(line.line) for player, line in found.items()} == fair

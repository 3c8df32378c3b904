"""The Odds API's JSON: each documented shape gives the rows that a CSV of it gives."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.prop_lines import read_prop_lines
from prediction_assets_tests.made_up_feeds import book, market, odds_event, outcome, snapshot

PLAYERS = PlayerDirectory.from_rows([(901, "Zoran Brežina", "SAS", date(2025, 1, 2))])
BOTH = (outcome("Over", 25.5, -137), outcome("Under", 25.5, 105))


def lines(path: Path) -> list[dict[str, Any]]:
    return read_prop_lines(path, PLAYERS).table.to_pylist()


def test_one_event_s_odds_are_read_as_the_api_gives_them(write_json):
    assert lines(write_json(odds_event(book(market(*BOTH))))) == [
        {
            "league": "NBA", "event_id": "e1", "capture": "2024-12-31T23:00:00Z",
            "market": "player_points", "bookmaker": "bookone",
            "player_name": "Zoran Brezina", "line": Decimal("25.50"), "player_id": 901,
            "game_date": date(2024, 12, 31), "commence_time": datetime(2025, 1, 1, 0, 10, tzinfo=UTC),
            "home_team": "SAS", "away_team": "LAC", "over_price": -137, "under_price": 105,
            "captured_at": datetime(2024, 12, 31, 23, tzinfo=UTC),
        }
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["odds.json", "odds.json.gz", "ODDS.JSON"])
@pytest.mark.parametrize(
    ("wrap", "seen"),
    [
        (lambda event: event, "2024-12-31T23:00:00Z"),
        (lambda event: [event], "2024-12-31T23:00:00Z"),
        (snapshot, "2024-12-31T22:55:00Z"),
        (lambda event: snapshot([event]), "2024-12-31T22:55:00Z"),
    ],
    ids=["event", "list", "historical event", "historical list"],
)
def test_every_documented_shape_gives_the_same_line_seen_when_it_was_taken(write_json, wrap, seen, name):
    [line] = lines(write_json(wrap(odds_event(book(market(*BOTH)))), name))
    assert (line["line"], line["over_price"], line["under_price"]) == (Decimal("25.5"), -137, 105)
    assert (line["capture"], line["captured_at"]) == (seen, datetime.fromisoformat(seen))


def test_a_folder_of_events_is_read_beside_csv_files(write_json, write_csv):
    write_json(odds_event(book(market(*BOTH))), "day/one.json")
    write_json(odds_event(book(market(*BOTH)), id="e2"), "day/two.json.gz")
    event, price = odds_event(), BOTH[0]
    row = {name: event[name] for name in ("commence_time", "home_team", "away_team")} | price
    path = write_csv([row | {"event_id": "e3", "market": "player_points", "bookmaker": "b"}], "day/three.csv")
    assert [line["event_id"] for line in lines(path.parent)] == ["e1", "e2", "e3"]


def test_main_and_alternative_lines_of_a_book_are_one_capture(write_json):
    ladder = market(
        outcome("Over", 20.5, -300), outcome("Over", 30.5, 240),
        key="player_points_alternate", last_update="2024-12-31T22:58:00Z",
    )  # fmt: skip
    other = market(outcome("Over", 8.5, -110), key="player_blocks")
    read = read_prop_lines(write_json(odds_event(book(market(*BOTH), ladder, other))), PLAYERS)
    assert {row["capture"] for row in read.table.to_pylist()} == {"2024-12-31T23:00:00Z"}
    assert sorted(float(line) for line in read.table["line"].to_pylist()) == [20.5, 25.5, 30.5]
    assert (read.rows_read, read.other_market_rows) == (5, 1)


def test_a_market_of_teams_is_ignored_though_it_has_no_line(write_json):
    winner = market({"name": "San Antonio Spurs", "price": 240}, key="h2h")
    assert len(lines(write_json(odds_event(book(winner, market(*BOTH)))))) == 1


@pytest.mark.parametrize("empty", [[], None])
def test_a_book_that_took_its_offers_back_hides_no_other_book(write_json, empty):
    gone = {"key": "booktwo", "title": "Book Two", "markets": empty}
    assert len(lines(write_json(odds_event(gone, book(market(*BOTH)))))) == 1


def test_an_event_without_an_offer_is_an_empty_file(write_json):
    read = read_prop_lines(path := write_json(odds_event()), PLAYERS)
    assert (read.table.num_rows, read.empty_files) == (0, (str(path),))


def test_decimal_odds_of_an_answer_become_american_odds(write_json):
    prices = [(1.91, -110), (2.0, 100), (2.5, 150), (1.5, -200), (101.0, 10000), (1.01, -10000), (1, -10000)]
    sides = [outcome("Over", 10.5 + i, price) for i, (price, _) in enumerate(prices)]
    read = lines(write_json(odds_event(book(market(*sides)))))
    assert {line["over_price"] for line in read} == {american for _, american in prices}
    assert [line["over_price"] for line in sorted(read, key=lambda line: line["line"])] == [
        american for _, american in prices
    ]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"message": "Invalid api key", "error_code": "INVALID_KEY"}, "answered with an error: Invalid api key"),
        ([{"id": "e1", "commence_time": "2025-01-01T00:10:00Z"}], "lists events without their odds; expected"),
        ({"games": []}, "is not The Odds API's JSON: there is no bookmakers; expected .*/events/"),
        ([1, 2], "is not The Odds API's JSON"),
        ("text", "is not The Odds API's JSON"),
        (odds_event(sport_key="basketball_wnba"), "event e1 is of basketball_wnba; save .* basketball_nba only"),
        (odds_event(sport_key="basketball_nba_preseason"), "is of basketball_nba_preseason"),
        (odds_event(id=""), "the event has no id"),
        ([odds_event(), odds_event(commence_time=None)], r"\[1\] has no commence_time"),
        (odds_event({"markets": []}), r"bookmakers\[0\] has no key"),
        (odds_event(bookmakers="none"), "bookmakers of the event is not a list of objects"),
        (odds_event(book(market({"name": "Over"}, key="h2h"))), "no row is of a market that is predicted; found: h2h"),
        (odds_event(book(market(outcome("Over", 25.5, 50), *BOTH))), "row 1, column price: 50 is not a price in Am"),
        (odds_event(book(market(*BOTH, outcome("Both", 25.5, -110)))), "row 3, column side: 'Both' is neither"),
        (odds_event(book(market(outcome("Over", 1e300, -110)))), "row 1, column line: '1e[+]300' is not a finite"),
        (odds_event(book(market({"name": "Over", "point": 2.5, "price": -110}))), "row 1, column player: .*empty"),
    ],
)  # fmt: skip
def test_what_is_refused_says_where_and_how_to_get_what_is_read(write_json, document, problem):
    with pytest.raises(BadInput, match=problem):
        lines(write_json(document))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"  \n", "the file is blank"),
        (b'{"id": "e1",', "row 1: not readable as JSON: .*; is the file cut off?"),
        (b"<html>", "row 1: not readable as JSON"),
        (b"\xff\xfe\x00", "not readable as JSON"),
        (b"[" * 200_000, "not readable as JSON"),
    ],
)
def test_a_file_that_is_no_json_is_refused(tmp_path, content, problem):
    path = tmp_path / "odds.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=problem):
        lines(path)


def test_a_small_gzip_file_that_unpacks_to_gigabytes_is_refused_early(tmp_path, monkeypatch):
    monkeypatch.setattr("prediction_assets.ingest.files._LARGEST_JSON", 1024 * 1024)
    path = tmp_path / "odds.json.gz"
    path.write_bytes(gzip.compress(b"[" + b" " * 5_000_000 + b"]"))
    with pytest.raises(BadInput, match="the document is larger than 1 MB"):
        lines(path)

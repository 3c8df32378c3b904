"""Predictions as text: names from facts are neither a formula, nor markup, nor a terminal's command."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from decimal import Decimal

import pyarrow as pa
import pytest

from prediction_assets.cli.prediction_rows import bets_of, bets_text, csv_text, json_text, table_text
from prediction_assets_tests.made_up import bet, player, rows_of


def rows(*changes: dict[str, object]) -> pa.Table:
    made = rows_of(player(1), {"24.5": 20.0})
    return pa.Table.from_pylist([made.to_pylist()[0] | each for each in changes], schema=made.schema)


HOSTILE = [
    "=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\x1b]0;x\x07", "\u202eabc",
    "a\x1b[31mred", "x\x00y", "\x9b31m", "＝1", "\ufeff＋1", "a;=1", "a;b; ＠SUM(A1)",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("column", ["player_name", "team", "opponent", "bookmaker"])
def test_no_text_of_a_csv_is_a_formula_or_controls_a_terminal(text, column):
    written = csv_text(rows({column: text}))
    (row,) = csv.DictReader(io.StringIO(written))
    assert [cell for cell in row[column].split(";") if cell.lstrip().startswith(tuple("=+-@＝＋－＠"))] == []
    assert [each for each in written if unicodedata.category(each).startswith("C") and each != "\n"] == []
    assert row["line"] == "24.5"


@pytest.mark.parametrize(
    "text", ["De'Varro Ostrelić", "J.R. Smith-Jones", "Nikola Jokić", "'= quoted", "a; b", ""]
)
def test_an_ordinary_name_stays_as_it_is_in_a_csv(text):
    (row,) = csv.DictReader(io.StringIO(csv_text(rows({"player_name": text}))))
    assert row["player_name"] == text


def test_numbers_stay_numbers_in_a_csv_and_null_is_empty():
    (row,) = csv.DictReader(io.StringIO(csv_text(rows({"line_offset": Decimal("-2.00"), "bookmaker": None}))))
    assert (row["line_offset"], row["bookmaker"], row["game_date"]) == ("-2.0", "", "2026-01-02")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_json_keeps_every_text_and_escapes_what_controls_a_terminal(text):
    written = json_text(rows({"player_name": text}))
    assert json.loads(written)[0]["player_name"] == text
    assert [each for each in written if unicodedata.category(each).startswith("C") and each != "\n"] == []


@pytest.mark.parametrize("text", [*HOSTILE, "[bold]x[/bold]", ":smile:", "x" * 300, "王" * 60], ids=ascii)
def test_the_table_fits_100_columns_and_shows_a_text_as_it_is(text):
    hostile = {"player_name": text, "bookmaker": text, "team": text, "system": "gradient_boosting"}
    written = table_text(rows(hostile, {"system": "ensemble"}), "slate of today")
    widths = [
        sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in line) for line in written.splitlines()
    ]
    assert max(widths) <= 100
    assert [each for each in written if unicodedata.category(each).startswith("C") and each != "\n"] == []
    header, first, second = written.splitlines()[1:]
    assert header.split() == [
        "player",
        "game",
        "system",
        "line",
        "book",
        "points",
        "P(over)",
        "recommendation",
    ]
    assert first.endswith("PASS")
    assert second.startswith("Player 1")
    if text.startswith("["):
        assert "[bold]x[/bold]" in first


def test_a_long_name_fits_100_columns_without_the_system_too():
    written = table_text(
        rows({"player_name": "x" * 300, "bookmaker": "y" * 300, "line": Decimal("100.25")}), "t"
    )
    assert max(map(len, written.splitlines())) <= 100
    assert written.count("…") == 2


def test_the_system_has_no_column_where_there_is_one_only_and_the_side_is_said():
    sides = ({"is_home": True}, {"is_home": False}, {"is_home": None})
    _, header, *lines = table_text(rows(*sides), "t").splitlines()
    assert "system" not in header
    assert [line.split()[2:5] for line in lines] == [
        ["S01", "vs", "S02"],
        ["S01", "@", "S02"],
        ["S01", "-", "S02"],
    ]


def test_bets_are_over_and_under_the_most_valuable_first():
    found = bets_of(
        rows(
            {"recommendation": "OVER", "expected_value": 0.03, "player_slug": "b"},
            {"recommendation": "UNDER", "expected_value": 0.1, "player_slug": "a"},
            {"recommendation": "OVER", "expected_value": 0.03, "player_slug": "a"},
            {"recommendation": "PASS", "expected_value": 0.01},
            {"recommendation": "NO_LINE", "expected_value": None, "line_source": "estimated"},
            {"recommendation": "OVER", "expected_value": 0.05, "line_offset": Decimal("-2.00")},
        )
    )
    pairs = zip(found["player_slug"].to_pylist(), found["expected_value"].to_pylist(), strict=True)
    assert [*pairs] == [("a", 0.1), ("player-1", 0.05), ("a", 0.03), ("b", 0.03)]


@pytest.mark.parametrize("systems", [1, 2])
def test_a_bet_says_what_it_pays_and_what_would_be_fair(systems):
    long = {
        "player_name": "x" * 300,
        "bet_bookmaker": "y" * 300,
        **bet(0.6),
        "bet_price": 130,
        "bet_odds": 2.3,
    }
    made = rows(long, {**bet(0.3), **({"system": "gradient_boosting"} if systems == 2 else {})})
    written = bets_text(made, "t")
    assert max(map(len, written.splitlines())) <= 100
    _, header, first, second = written.splitlines()
    assert header.split()[-6:] == ["bet", "book", "price", "odds", "fair", "value"]
    assert first.split()[-4:] == ["+130", "2.30", "1.67", "0.145"]
    assert "UNDER" in second
    assert second.split()[-4:] == ["-110", "1.91", "1.43", "0.336"]

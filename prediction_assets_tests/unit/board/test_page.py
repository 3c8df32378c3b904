"""The board as a page: any values become one whole file that loads nothing and that a screen reader can read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pytest

from prediction_assets.board.page import board_page
from prediction_assets.board.record import Record, Tenth
from prediction_assets.board.values import Board, Change, board_of
from prediction_assets.nba.forecasting.by_game import Interval
from prediction_assets.slate.row_diff import MainLine, PlayerDiff
from prediction_assets.stores.sql.tables import PREDICTIONS
from prediction_assets_tests.board_reader import ReadBoard
from prediction_assets_tests.made_up import NOW, bet, player, receipt, rows_of

HOSTILE = "</script><script>alert(1)</script>{{ 7*7 }}{% x %}<img src=x onerror=alert(1)> \"' ![x](http://e.example)\x1b[2J\u202e"
QUANTILES = {"5": 4.1, "10": 6.0, "25": 9.5, "50": 14.2, "75": 19.0, "90": 24.4, "95": 28.0}
RECORD = Record(
    "ensemble", 12, 1400, 300, 160, Interval(4.9, 4.7, 5.1), Interval(0.1, -0.2, 0.4), Interval(0.533, 0.477, 0.589),
    Interval(-0.01), None, Interval(0.249, 0.24, 0.258), (Tenth(40, 0.45, Interval(0.5, 0.35, 0.65)),),
)  # fmt: skip


def rows(names: Sequence[str], chances: Sequence[float] = (0.5,), **values: object) -> pa.Table:
    """Return one row per name at its main line; the chances of an over follow one another."""
    made = []
    for number, name in enumerate(names):
        (row,) = rows_of(player(number), {"24.5": 20.0}).to_pylist()
        chance = bet(chances[number % len(chances)])
        extra = {"is_active": True, "receipt_id": "r1", "created_at": NOW}
        made.append({**row, **extra, **chance, "player_name": name, **values})
    return PREDICTIONS.arrow_table(made)


def board(names: Sequence[str] = ("A", "B"), **values: object) -> Board:
    found = rows(
        names,
        (0.7, 0.5, 0.35),
        quantiles=json.dumps(QUANTILES),
        contributions=json.dumps({"usual": 18.0, "minutes": 2.0}),
        **values,
    )
    return board_of(receipt(), found, form={(100, "player_points"): (3, 30, 12)})


def test_the_page_has_every_bet_the_most_valuable_first_and_every_player_by_name():
    page = ReadBoard(board_page(board(("Zed", "Mid", "Abe"))))
    (bets,), (players,) = page.tables["bets"], page.tables["players"]
    assert [(row["Player"].text, row["Bet"].text) for row in bets.by_name()] == [
        ("Zed", "OVER"),
        ("Abe", "UNDER"),
    ]
    assert [row["Player"].text for row in players.by_name()] == ["Abe", "Mid", "Zed"]
    zed = players.by_name()[-1]
    assert zed["Line"].text == "24.5"
    assert zed["Offered"].text == "OVER 1.91 (-110) Simulated Book A"
    assert (zed["P(over)"].text, zed["Fair odds"].text) == ("70.0 %", "1.43")
    drawn = [svg["aria-label"] for svg in page.all("svg")]
    assert (
        "5 %: 4.1, 10 %: 6.0, 25 %: 9.5, 50 %: 14.2, 75 %: 19.0, 90 %: 24.4, 95 %: 28.0; line 24.5" in drawn
    )
    assert "last 3 games, newest last: 3, 30, 12 points" in drawn


def board_of_changes() -> Board:
    no_bet = dict.fromkeys(("bookmaker", "bet_side", "bet_odds", "edge", "expected_value", "is_home"))
    changes = (
        Change("A", PlayerDiff("a", "changed", 2, {"ensemble": (1.0, None)}, {}, None), ()),
        Change(
            "B",
            PlayerDiff("b", "added", 2, {}, {}, (None, MainLine(Decimal("2.25"), None))),
            ("back in",),
        ),
    )
    return board_of(
        receipt(), rows(("A",), **no_bet), form={}, since=1, changes=changes, record=(RECORD,)
    )  # fmt: skip


ACCEPTED = ({"name": "values_in_range", "because": "a test"},)
BOARDS = {
    "bets": board,
    "retracted": lambda: board_of(receipt(rows=0, missing=()), rows(()), form={}),
    "accepted": lambda: board_of(receipt(league="NBA", accepted=ACCEPTED), rows(("A",)), form={}),
    "pruned": lambda: board_of(receipt(), rows(("A",)), form={}, since=1, changes=None, record=(RECORD,)),
    "changes": board_of_changes,
}
"""What makes each kind of board."""


@pytest.mark.parametrize("kind", BOARDS)
def test_any_board_is_one_whole_accessible_file_that_loads_nothing(kind):
    made = BOARDS[kind]()
    text = board_page(made)
    assert board_page(made) == text
    page = ReadBoard(text)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(head.get("scope") in {"col", "row"} for head in page.all("th"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    named = [given["aria-labelledby"] for _, given in page.tags if "aria-labelledby" in given]
    assert len(named) == len(set(named))  # no two regions have the same name
    assert {*named, *(link["href"].removeprefix("#") for link in page.all("a"))} <= {*ids}
    # A region that scrolls can be reached with the keyboard, and has a name.
    assert all(given["tabindex"] == "0" and given["aria-labelledby"] for given in page.all("div"))
    assert not re.search(r"src=|https?:|url\(|@import|<link|<iframe", text)
    (script,) = page.all("script")
    assert script == {}
    assert "default-src 'none'" in text


def test_a_text_from_facts_is_text_wherever_it_stands():
    hostile = rows(
        (HOSTILE,),
        (0.7,),
        player_slug=HOSTILE,
        team=HOSTILE,
        opponent=HOSTILE,
        bookmaker=HOSTILE,
        bet_bookmaker=HOSTILE,
        quantiles=json.dumps(QUANTILES),
        contributions=json.dumps({HOSTILE: 1.0}),
    )
    other = rows((HOSTILE,), system=HOSTILE, player_slug=HOSTILE)
    change = PlayerDiff(HOSTILE, "changed", 1, {}, {}, None)
    text = board_page(
        board_of(
            receipt(missing=({"player_slug": HOSTILE, "outcome": "failed", "reason": HOSTILE},)),
            pa.concat_tables([hostile, other]),
            form={},
            since=1,
            changes=(Change(HOSTILE, change, (HOSTILE,)),),
        )
    )
    page = ReadBoard(text)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, given in page.tags for name in given)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    # Bet: name, game, book; change: name, cause; player: name, more, game, book, offered; missing: name, reason.
    assert sum(each.count(shown) for each in page.texts) >= 12


@pytest.fixture(scope="module")
def page_of_450() -> str:
    return board_page(board([f"Player {number}" for number in range(450)]))


def test_450_players_are_a_small_file(page_of_450):
    assert len(ReadBoard(page_of_450).tables["players"][0].rows) == 450
    assert len(page_of_450) < 2_000_000

"""Markets: what each counts, and how a feed and a person name it."""

from __future__ import annotations

import pytest

from prediction_assets.slate.markets import MARKETS, counted, labelled, of_feed


@pytest.mark.parametrize(
    ("market", "after_a_number", "before_a_system"),
    [
        ("player_points", "", "ensemble"),
        ("player_threes", " threes", "threes: ensemble"),
        ("player_rebounds_assists", " rebounds + assists", "rebounds + assists: ensemble"),
    ],
)
def test_points_go_without_saying_and_any_other_market_is_named(market, after_a_number, before_a_system):
    assert counted(market) == after_a_number
    assert labelled(market, "ensemble") == before_a_system


@pytest.mark.parametrize(
    ("name", "market"),
    [
        ("player_points", "player_points"),
        ("player_points_alternate", "player_points"),
        ("player_rebounds_assists_alternate", "player_rebounds_assists"),
        ("player_steals", None),
        ("alternate", None),
        ("", None),
    ],
)
def test_a_ladder_belongs_to_the_market_around_whose_line_it_is(name, market):
    assert of_feed(name) == market


def test_the_most_of_a_sum_is_the_sum_of_the_most_of_each_stat():
    assert MARKETS["player_points_rebounds_assists"].most == 100 + 55 + 30
    assert MARKETS["player_points"].most_predicted == 120

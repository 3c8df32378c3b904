"""Means with their errors by game, each computed by hand."""

from __future__ import annotations

from datetime import date
from math import nan, sqrt

import numpy as np
import pytest

from prediction_assets.nba.forecasting.by_game import (
    ByGame,
    Interval,
    add_up,
    by_game,
    groups_of,
    measured,
    share_of,
)


@pytest.mark.parametrize(
    ("values", "games", "count", "mean", "error"),
    [
        ([], "", 0, None, None),
        ([nan], "a", 0, None, None),
        ([1.0, 3.0], "aa", 2, 2.0, None),
        # One player a game: the usual standard error, sqrt(2) / sqrt(2).
        ([1.0, 3.0], "ab", 2, 2.0, 1.0),
        ([1.0, 3.0, nan], "abc", 2, 2.0, 1.0),
        # Residuals 1 - 3, 3 - 3, 5 - 3: sample variance 4, over 3 games.
        ([1.0, 3.0, 5.0], "abc", 3, 3.0, sqrt(4 / 3)),
        # Totals less the mean of 2 for each player: (4 - 4) and (2 - 2): no spread between games.
        ([1.0, 3.0, 2.0], "aab", 3, 2.0, 0.0),
        # (2 - 2 * 2) and (6 - 2 * 2) are -2 and 2: sqrt((4 + 4) * 2 / 1) / 4. Players alone would say 0.577.
        ([1.0, 1.0, 3.0, 3.0], "aabb", 4, 2.0, 1.0),
    ],
)
def test_a_mean_s_error_counts_games_and_not_players(values, games, count, mean, error):
    found = by_game(np.array(values, dtype=np.float64), list(games))
    assert (found.count, found.mean) == (count, mean)
    assert found.standard_error == (None if error is None else pytest.approx(error))


@pytest.mark.parametrize(
    ("values", "games", "expected"),
    [
        ([], "", None),
        ([4.0, 4.0], "aa", Interval(4.0)),
        ([4.0, 4.0], "ab", Interval(4.0, 4.0, 4.0)),
        # Mean 5, standard error 1, and Student's 12.706 with one degree of freedom.
        ([4.0, 6.0], "ab", Interval(5.0, 5.0 - 12.7062, 5.0 + 12.7062)),
    ],
)
def test_a_mean_has_student_s_interval_and_none_of_one_game(values, games, expected):
    found = by_game(np.array(values, dtype=np.float64), list(games)).interval
    if expected is None or expected.low is None:
        assert found == expected
    else:
        assert (found.value, found.low, found.high) == pytest.approx(
            (expected.value, expected.low, expected.high), abs=1e-3
        )
        assert found.shifted(1.0).low == pytest.approx(expected.low + 1, abs=1e-3)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (533, 1000, 0.5020, 0.5637)],
)
def test_a_share_has_wilsons_interval(hits, trials, low, high):
    found = share_of(hits, trials)
    assert found.value == hits / trials
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_slates_add_up_to_what_they_are_together():
    values, players = {"error": np.array([1.0, 4.0, 2.0, 8.0])}, [1, 2, 3, 4]
    games, groups = ["a", "a", "b", "c"], {"starters": {1, 3}, "bench": {9}}
    whole = measured(values, games, players, groups)
    parts = [
        measured({"error": values["error"][part]}, games[part], players[part], groups)
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert add_up(parts) == whole
    assert {group: by_name["error"].mean for group, by_name in whole.items()} == {
        "all": 3.75,
        "starters": 1.5,
    }
    assert add_up([]) == {}
    assert (
        add_up([{"all": {}}, {"all": {"error": ByGame(1, 1, 2.0, 4.0, 2.0, 1)}}])["all"]["error"].mean == 2.0
    )


def test_a_player_s_groups_follow_from_his_games_before():
    candidates = [
        {
            "player_id": 1,
            "average_minutes": 24.0,
            "last_game": date(2025, 10, 2),
            "is_rookie": True,
            "has_moved": False,
        },
        {
            "player_id": 2,
            "average_minutes": 23.9,
            "last_game": date(2025, 10, 1),
            "is_rookie": False,
            "has_moved": True,
        },
        {"player_id": 3},
    ]
    # away for 29 and 30 days
    known = {"starters": {1}, "bench": {2}, "rookies": {1}, "moved": {2}, "returning": {2}}
    slate = date(2025, 10, 31)
    assert groups_of(candidates, slate, is_first_days=False) == {**known, "first_14_days": set()}
    assert groups_of(candidates, slate, is_first_days=True) == {**known, "first_14_days": {1, 2, 3}}

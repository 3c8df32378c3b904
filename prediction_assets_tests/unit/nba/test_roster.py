"""Who is expected on a slate."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.roster import expected_players, is_expected

SLATE = date(2026, 1, 20)


def candidate(
    last: int = 2, team_last: int = 2, minutes: float = 25.0, player_id: int = 1, name: str = "A Player"
) -> dict[str, object]:
    """Return a candidate whose last game, and whose team's last game, are so many days before the slate."""
    return {
        "player_id": player_id, "player_name": name, "team": "S01", "opponent": "S02", "is_home": None,
        "game_id": "9000000001", "last_game": SLATE - timedelta(last),
        "team_last_game": SLATE - timedelta(team_last), "average_minutes": minutes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (candidate(), True),
        (candidate(minutes=15.0), True),
        (candidate(minutes=14.99), False),
        (candidate(last=15), True),
        (candidate(last=16), False),
        (candidate(last=100, team_last=90), True),  # opening night: counted from the team's last game
        (candidate(last=106, team_last=90), False),
        (candidate(last=20, team_last=16), True),  # a long break
        (candidate(last=20, team_last=15), False),
    ],
)
def test_expected_are_those_who_appeared_lately_and_play_enough(who, expected):
    assert is_expected(who, SLATE) is expected


def test_expected_players_are_sorted_by_a_slug_that_namesakes_do_not_share():
    players = expected_players(
        [
            candidate(name="Zed Last"),
            candidate(player_id=3, name="Al First"),
            candidate(player_id=2, name="Al First"),
        ],
        SLATE,
        {},
    )
    assert [p.slug for p in players] == ["al-first-2", "al-first-3", "zed-last"]
    assert players[0].is_home is None


@pytest.mark.parametrize(
    ("who", "line", "expected"),
    [
        (candidate(minutes=9.0), {1: ("S01", "S02")}, True),
        (candidate(last=200), {1: ("S02", "S01")}, True),
        (candidate(minutes=9.0), {}, False),
        (candidate(minutes=9.0), {2: ("S01", "S02")}, False),  # another player's
        (candidate(minutes=9.0), {1: ("S03", "S04")}, False),  # in a game of another team
        (candidate(), {1: ("S03", "S04")}, True),  # his games are enough
    ],
)
def test_a_player_with_a_line_on_his_team_s_game_is_expected_whatever_his_games_say(who, line, expected):
    lines = {
        number: MarketLine(Decimal("6.5"), "Book A", teams=frozenset(teams)) for number, teams in line.items()
    }
    assert [p.player_id for p in expected_players([who], SLATE, lines)] == ([1] if expected else [])

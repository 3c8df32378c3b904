"""The league's players before any game is drawn: their teams, playing time and talent.

A roster has 15 places in order of playing time. On the slate's teams the first places are the expected players; the
others play too little, or have been out for weeks. Talent follows the real 2024-25 players at the same place in their
teams' playing time. The games themselves are drawn in :mod:`.minutes` and :mod:`.box_scores`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.simulation.draws import Bools, Draws, Floats, Ints

PLACES = 15

# Mean minutes by place in the team's playing time, 2024-25 up to mid-January: 34.7, 33.3, 31.9, 29.8, 27.6,
# 25.4, 23.3, 20.7, 17.9, 16.6, 14.3, 12.4, 10.7, 9.1, 7.3. On a slate team the rotation's last places are
# higher and the bench lower, so that everybody is clearly on one side of the roster rule's 15.
_MINUTES = (36.3, 35.0, 33.4, 31.2, 28.4, 25.4, 22.6, 19.8, 17.2, 15.0, 12.0, 9.7, 8.0, 6.5, 5.5)
_ROTATION_MINUTES = (36.8, 35.5, 33.8, 31.2, 28.0, 25.0, 22.2, 20.2, 19.0, 18.2)
_BENCH_MINUTES = (10.5, 8.5, 7.0, 6.0, 5.5, 5.5, 5.5, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0)

# Points per 100 minutes at the same places: 66, 60, 51, 44, 46, 44, 37, 43, 38, 35, 37, 39, 32, 35, 34.
_POINTS_PER_100_MINUTES = (70, 63, 53, 45, 45, 42, 37, 38, 37, 35, 35, 34, 33, 32, 32)
_POINTS_PER_MINUTE_SPREAD = 0.125

# Share of his team's games that the player at each place appears in: 83 % of them for the first, 36 % for the
# 15th. Part of it is in the spells of injury; this is the rest.
_BENCH_APPEARANCES = (0.9, 0.9, 0.9, 0.9, 0.9, 0.85, 0.85, 0.85, 0.85, 0.8, 0.65, 0.55, 0.5, 0.45, 0.4)

_TRADE_DAYS_BEFORE_SLATE = 30
_LONG_ABSENCE_SHARE = 0.3
_LONG_ABSENCE_MINUTES = 29.0
_TRADED_PLACE = 5


@dataclass(frozen=True)
class Rosters:
    """The league's players; arrays have the shape (teams, 15) unless said otherwise."""

    player: Ints  # position of the player among the league's; the traded player has two places
    expected: Bools  # the roster rule must find this player for the slate
    kept_below: Bools  # plays, but must average under 15 minutes: on a slate team and not expected
    minutes: Floats  # usual minutes when he plays and everybody is fit
    appearances: Floats  # chance to play a game he is fit for
    from_day: Ints  # first day with the team
    until_day: Ints  # first day no longer with the team, or out to the end
    always_fit: Bools  # never out: the traded player, who needs games with both of his teams
    points_per_minute: Floats  # scoring talent
    three_share: Floats  # share of his shots taken from three
    three_accuracy: Floats  # share of threes made
    two_accuracy: Floats  # share of twos made
    free_throw_rate: Floats  # free throws per shot
    free_throw_accuracy: Floats  # share of free throws made
    inside: Floats  # 0 a guard to 1 a centre: rebounds and blocks against assists and steals
    pace: Floats  # number of possessions as a ratio to the league's, shape (teams,)
    defence: Floats  # opponents' accuracy as a ratio to the usual, shape (teams,)


def slate_rotations(expected_players: int) -> Ints:
    """Return how many expected players each slate team has: at most 10, in an even number of teams.

    The real rule finds 9.7 players a team (291 on 30 teams on 2025-01-14).
    """
    teams = 2 * -(-expected_players // 20)
    sizes = np.full(teams, expected_players // teams, dtype=np.int64)
    sizes[: expected_players % teams] += 1
    return sizes


def draw_rosters(
    draws: Draws, teams: int, slate_teams: Ints, expected_players: int, slate_day: int
) -> Rosters:
    """Draw the league's players.

    Args:
        slate_teams: positions of the teams that play on the slate.
        expected_players: number of players that the roster rule must find.
        slate_day: the slate, in days since the season's first day.
    """
    shape = (teams, PLACES)
    place = np.broadcast_to(np.arange(PLACES), shape)
    rotation = np.full(teams, 10, dtype=np.int64)
    rotation[slate_teams] = slate_rotations(expected_players)
    in_rotation = place < rotation[:, None]
    on_slate = np.zeros(teams, dtype=np.bool_)
    on_slate[slate_teams] = True

    rotation_minutes = np.array(_ROTATION_MINUTES + _BENCH_MINUTES[:5])[place]
    bench_minutes = np.array(_BENCH_MINUTES)[np.maximum(place - rotation[:, None], 0)]
    minutes = np.where(in_rotation, rotation_minutes, bench_minutes)
    minutes = np.where(on_slate[:, None], minutes, np.array(_MINUTES)[place])
    minutes = minutes * (1.0 + 0.04 * draws.normal(shape))
    spread = _POINTS_PER_MINUTE_SPREAD * draws.normal(shape)
    points_per_minute = np.clip(np.array(_POINTS_PER_100_MINUTES)[place] / 100.0 + spread, 0.14, 0.90)
    appearances = np.where(in_rotation, 1.0, np.array(_BENCH_APPEARANCES)[place])

    player = np.arange(teams * PLACES, dtype=np.int64).reshape(shape)
    from_day = np.zeros(shape, dtype=np.int64)
    until_day = np.full(shape, 10_000, dtype=np.int64)
    kept_below = on_slate[:, None] & ~in_rotation

    # A regular who has been out for more than the rule's 15 days: he must not be found.
    out_since = slate_day - 17 - draws.below(14, teams)
    absent = np.zeros(shape, dtype=np.bool_)
    absent[:, -1] = draws.uniform(teams) < _LONG_ABSENCE_SHARE
    # Five must play; where fewer are expected (N below 10), the others of the five got hurt weeks ago.
    absent |= (on_slate & (rotation < 5))[:, None] & (place < 5) & ~in_rotation
    minutes = np.where(absent, _LONG_ABSENCE_MINUTES, minutes)
    appearances = np.where(absent, 1.0, appearances)
    until_day = np.where(absent, out_since[:, None], until_day)
    kept_below &= ~absent

    # The traded player: one place with the team he left, one with the team he joined.
    old_team, new_team = teams - 1 - int(slate_teams[1] == teams - 1), int(slate_teams[1])
    trade = slate_day - _TRADE_DAYS_BEFORE_SLATE
    until_day[old_team, -1] = trade
    until_day[new_team, _TRADED_PLACE] = 10_000
    from_day[new_team, _TRADED_PLACE] = trade
    appearances[old_team, -1] = 1.0
    kept_below[old_team, -1] = False
    always_fit = np.zeros(shape, dtype=np.bool_)
    always_fit[new_team, _TRADED_PLACE] = always_fit[old_team, -1] = True

    habits = _draw_habits(draws, points_per_minute)
    for attribute in (minutes, points_per_minute, player, *habits.values()):
        attribute[old_team, -1] = attribute[new_team, _TRADED_PLACE]

    # Between the teams of 2024-25, points allowed spread by 4.7 (4.2 without chance), possessions by 2.1 %.
    pace = 1.0 + 0.018 * draws.normal(teams)
    defence = 1.0 + 0.027 * draws.normal(teams)
    return Rosters(
        player=player,
        expected=in_rotation & on_slate[:, None],
        kept_below=kept_below,
        minutes=minutes,
        appearances=appearances,
        from_day=from_day,
        until_day=until_day,
        always_fit=always_fit,
        points_per_minute=points_per_minute,
        **habits,
        pace=pace,
        defence=defence,
    )


def _draw_habits(draws: Draws, points_per_minute: Floats) -> dict[str, Floats]:
    """Draw how each player shoots, and where: fields of :class:`Rosters`."""
    shape = points_per_minute.shape
    inside = draws.uniform(shape)
    three_share = np.clip(0.60 - 0.40 * inside + 0.12 * draws.normal(shape), 0.03, 0.80)
    three_accuracy = np.clip(0.361 + 0.022 * draws.normal(shape), 0.28, 0.43)
    finishing = (
        0.535 + 0.10 * (inside - 0.5) + 0.12 * (points_per_minute - 0.45) + 0.025 * draws.normal(shape)
    )
    free_throw_rate = 0.225 + 0.12 * (points_per_minute - 0.45) + 0.07 * draws.normal(shape)
    free_throw_accuracy = 0.78 - 0.14 * (inside - 0.5) + 0.05 * draws.normal(shape)
    return {
        "inside": inside,
        "three_share": three_share,
        "three_accuracy": three_accuracy,
        "two_accuracy": np.clip(finishing, 0.40, 0.68),
        "free_throw_rate": np.clip(free_throw_rate, 0.05, 0.50),
        "free_throw_accuracy": np.clip(free_throw_accuracy, 0.55, 0.93),
    }

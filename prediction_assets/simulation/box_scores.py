"""The box scores of each game: shots, free throws and the rest.

A player's shots follow his minutes and talent, the two teams' pace and the number of absent team-mates. The share of
shots that he makes also depends on the opponent's defence, the site and rest. There are no hot hands: except for
minutes, games are independent. Every row keeps the sport's arithmetic: ``points = 2*FGM + FG3M + FTM``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.simulation.draws import Bools, Draws, Floats, Ints, total
from prediction_assets.simulation.fixtures import TeamGames
from prediction_assets.simulation.rosters import Rosters

_TEAM_POINTS = 112.9  # a team's mean points, 2024-25 up to mid-January; the standard deviation was 12.4
_SHARED_PACE_SPREAD = 0.045  # two opponents' points in a game correlate by 0.26
_HOME_EDGE = 0.0075  # home teams score 1.5 points more than away teams
_TIRED = 0.985  # accuracy on the second of two days


@dataclass(frozen=True)
class BoxScores:
    """One element per player and game; ``team``, ``game`` and ``place`` index rosters and games."""

    team: Ints
    game: Ints
    place: Ints
    minutes: Ints
    points: Ints
    field_goals_made: Ints
    field_goals_attempted: Ints
    three_pointers_made: Ints
    three_pointers_attempted: Ints
    free_throws_made: Ints
    free_throws_attempted: Ints
    offensive_rebounds: Ints
    defensive_rebounds: Ints
    assists: Ints
    steals: Ints
    blocks: Ints
    turnovers: Ints
    personal_fouls: Ints
    plus_minus: Ints
    is_win: Bools


def expected_points(rosters: Rosters, games: TeamGames, minutes: Ints) -> Floats:
    """Return the points that a player's minutes are worth against an average team: shape (teams, games, 15).

    When regulars are out, the others shoot more: they make 80 % of the missing points.
    """
    worth = minutes * rosters.points_per_minute[:, None, :]
    lineup = total(worth)
    usual = total(lineup) / np.maximum(games.count, 1)
    # Teams' means spread by 4.7 points; the sum of their players' talents alone would spread by 9.
    level = (_TEAM_POINTS + 0.4 * (usual - _TEAM_POINTS)) / np.maximum(usual, 1.0)
    ratio = level[:, None] * (1.0 + 0.8 * (usual[:, None] / np.maximum(lineup, 1.0) - 1.0))
    return worth * ratio[:, :, None]


def draw_box_scores(
    draws: Draws, rosters: Rosters, games: TeamGames, plays: Bools, minutes: Ints, worth: Floats
) -> BoxScores:
    """Draw every box score."""
    team, game, place = np.nonzero(plays)
    cell = (team, place)
    opponent = games.opponent[team, game]
    fixture = games.fixture[team, game]
    played = minutes[plays]
    # Real box scores have players with points in 0 minutes. At least one is here; he is not an expected player.
    unnoticed = int(np.argmin(np.where(rosters.expected[cell], 99, played)))
    played[unnoticed] = 0
    usual_points = worth[plays]

    fixtures = int(fixture.max()) + 1
    shared_pace = (1.0 + _SHARED_PACE_SPREAD * draws.normal(fixtures))[fixture]
    tempo = rosters.pace[team] * rosters.pace[opponent] * shared_pace
    rested = np.where(games.played_yesterday[team, game], _TIRED, 1.0)
    site = 1.0 + _HOME_EDGE * games.site[team, game]
    accuracy = rosters.defence[opponent] * rested * site

    three_share, three_accuracy = rosters.three_share[cell], rosters.three_accuracy[cell]
    two_accuracy, free_rate = rosters.two_accuracy[cell], rosters.free_throw_rate[cell]
    free_accuracy = rosters.free_throw_accuracy[cell]
    points_per_shot = 2.0 * (1.0 - three_share) * two_accuracy + 3.0 * three_share * three_accuracy
    points_per_shot = points_per_shot + free_rate * free_accuracy
    side = team * games.fixture.shape[1] + game
    shots = _draw_shots(draws, usual_points / points_per_shot, side) * tempo
    trials = np.rint(1.3 * shots).astype(np.int64) + 1

    attempted = draws.binomial(trials, shots / trials)
    three_attempted = draws.binomial(attempted, three_share)
    # A miss is rebounded and shot again, so team-mates' luck evens out: otherwise teams' points would spread by 16
    # instead of 12.
    three_made = draws.binomial(three_attempted, three_accuracy * accuracy, draws.spread_out(side))
    two_made = draws.binomial(attempted - three_attempted, two_accuracy * accuracy, draws.spread_out(side))
    made = three_made + two_made
    and_ones = draws.binomial(two_made, np.full(team.size, 0.06))
    trips = draws.count(np.maximum(shots * free_rate - 0.06 * two_made, 0.0) / 2.0)
    free_attempted = 2 * trips + and_ones
    free_made = draws.binomial(free_attempted, free_accuracy)

    attempted[unnoticed] += 1
    made[unnoticed] += 1

    points = 2 * made + three_made + free_made
    extra = _tie_breakers(fixture, team, games, points)
    free_attempted, free_made, points = free_attempted + extra, free_made + extra, points + extra

    own = np.bincount(side, weights=points)[side]
    both = np.bincount(fixture, weights=points)[fixture]
    margin = 2.0 * own - both
    share = played / 48.0
    luck = 6.0 * draws.normal(team.size) * np.sqrt(share)
    plus_minus = np.rint(margin * share + luck).astype(np.int64)

    inside = rosters.inside[cell]
    guard = 1.0 - inside
    pieces = played.astype(np.float64)
    creation = rosters.points_per_minute[cell]
    # Per-minute rates whose league means are those of 2024-25: 1.02, 3.08, 2.44, 0.78, 0.47, 1.30, 1.76 in
    # 22.4.
    return BoxScores(
        team,
        game,
        place,
        played,
        points,
        made,
        attempted,
        three_made,
        three_attempted,
        free_made,
        free_attempted,
        offensive_rebounds=draws.count(pieces * (0.010 + 0.071 * inside)),
        defensive_rebounds=draws.count(pieces * (0.080 + 0.115 * inside)),
        assists=draws.count(pieces * (0.030 + 0.330 * creation * guard)),
        steals=draws.count(pieces * (0.027 + 0.016 * guard)),
        blocks=draws.count(pieces * (0.004 + 0.034 * inside)),
        turnovers=draws.count(pieces * (0.015 + 0.092 * creation)),
        personal_fouls=draws.binomial(
            np.full(team.size, 6, dtype=np.int64), pieces * (0.009 + 0.008 * inside)
        ),
        plus_minus=plus_minus,
        is_win=margin > 0.0,
    )


def _draw_shots(draws: Draws, usual: Floats, side: Ints) -> Floats:
    """Draw how many shots each player wants, around his usual number; each side's sum stays the usual one.

    Within a player, shots per 30 minutes spread by 3.3 around 12. Players share their team's possessions, so more
    shots of one player are fewer shots of the others, and the sum spreads far less than the parts.
    """
    taken = usual * np.maximum(1.0 + 0.22 * draws.normal(usual.size), 0.3)
    wanted = np.bincount(side, weights=taken)[side]
    shots: Floats = taken * (np.bincount(side, weights=usual)[side] / np.maximum(wanted, 1.0))
    return shots


def _tie_breakers(fixture: Ints, team: Ints, games: TeamGames, points: Ints) -> Ints:
    """Return one more free throw for one player of each tied game: no game ends tied."""
    lower = np.full(int(fixture.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lower, fixture, team)
    sign = np.where(team == lower[fixture], 1.0, -1.0)
    level = np.bincount(fixture, weights=sign * points) == 0.0
    _, first = np.unique(fixture, return_index=True)
    extra = np.zeros(points.size, dtype=np.int64)
    extra[first] = level[fixture[first]]
    return extra

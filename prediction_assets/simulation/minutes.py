"""Who plays each game, and for how many minutes.

A team's 240 minutes (265 after an overtime) are shared in proportion to the usual minutes of the fit players, so the
others play more when a regular is out. A player who doesn't play has no row. On the slate's teams the last seven games
are then adjusted, so that the expected players are clearly above the roster rule's limit of 15 minutes and the others
clearly below it.
"""

from __future__ import annotations

import numpy as np

from prediction_assets.simulation.draws import Bools, Draws, Floats, Ints, total
from prediction_assets.simulation.fixtures import TeamGames
from prediction_assets.simulation.rosters import PLACES, Rosters

RULE_GAMES = 7
RULE_MINUTES = 15
MARGIN_MINUTES = 2
"""The roster rule, and how far from its limit every player of a slate team stays."""

_AT_LEAST = 8  # every box score of 2024-25 has 8 to 15 players with a row, but only 3 % have 8
_HURT_RATE, _STAYS_HURT = 0.045, 0.77  # regulars play 84 % of the games, in spells
_RECENT_GAMES = 10


def draw_appearances(draws: Draws, rosters: Rosters, games: TeamGames) -> Bools:
    """Return who plays: shape (teams, games, 15)."""
    teams, most = games.fixture.shape
    exists = games.fixture >= 0
    signed = (games.day[:, :, None] >= rosters.from_day[:, None, :]) & (
        games.day[:, :, None] < rosters.until_day[:, None, :]
    )
    hurt = np.zeros((teams, PLACES), dtype=np.bool_)
    fit = np.zeros((teams, most, PLACES), dtype=np.bool_)
    for game in range(most):
        hurt = draws.uniform(hurt.shape) < np.where(hurt, _STAYS_HURT, _HURT_RATE)
        fit[:, game] = ~hurt | rosters.always_fit
    chosen = draws.uniform(fit.shape) < rosters.appearances[:, None, :]
    plays = signed & fit & chosen

    # Every expected player appears in one of his team's last three games, so within the rule's 15 days.
    recall = draws.below(3, (teams, PLACES))
    expected_team, expected_place = np.nonzero(rosters.expected)
    last = games.count[expected_team] - 1 - recall[expected_team, expected_place]
    plays[expected_team, last, expected_place] = True

    # Too few would play: others of the team play as well, from the first place down.
    wanted = _AT_LEAST + (draws.uniform((teams, most)) < 0.7)
    missing = wanted - plays.sum(axis=2)
    called = np.cumsum(signed & ~plays, axis=2) <= missing[:, :, None]
    plays |= called & signed
    return plays & exists[:, :, None]


def draw_minutes(draws: Draws, rosters: Rosters, games: TeamGames, plays: Bools, overtime: Bools) -> Ints:
    """Return whole minutes, shape (teams, games, 15): 0 for absent players and, rarely, for a present one.

    Args:
        plays: who plays, of the result's shape.
        overtime: games with an overtime, shape (teams, games).
    """
    teams, most = games.fixture.shape
    shape = (teams, most, PLACES)
    drift = np.zeros((teams, PLACES))
    role = np.ones(shape)
    # Roles change slowly: consecutive games' minutes correlate by 0.23 within a player.
    for game in range(most):
        drift = 0.85 * drift + 0.53 * draws.normal(drift.shape)
        role[:, game] = drift
    usual = np.broadcast_to(rosters.minutes[:, None, :], shape)
    starter, bench = usual >= 26.0, usual < 16.0
    # One game in six is decided early: the starters sit, the bench plays.
    decided = (draws.uniform((teams, most)) < 1.0 / 6.0)[:, :, None]
    effort = np.where(decided, np.where(starter, 0.87, np.where(bench, 1.5, 1.0)), 1.0)
    # Within a season, a starter's minutes spread by 4 to 5 and a bench player's by 6, as much as he plays.
    role = 1.0 + np.where(starter, 0.07, np.where(bench, 0.30, 0.15)) * role
    noise = np.where(starter, 0.09, np.where(bench, 0.45, 0.19))
    leaves_hurt = np.where(draws.uniform(shape) < 0.012, 0.35, 1.0)
    weight = usual * np.maximum(role * effort * (1.0 + noise * draws.normal(shape)), 0.06) * leaves_hurt
    weight = np.where(plays, weight, 0.0)

    available = np.where(overtime, 265.0, 240.0)
    recent = np.arange(most)[None, :] >= games.count[:, None] - _RECENT_GAMES
    below = rosters.kept_below[:, None, :]
    bench_limit = np.where(recent[:, :, None] & below, float(RULE_MINUTES - 1), 32.0)
    limit = np.where(bench, bench_limit, np.where(overtime, 46.0, 41.0)[:, :, None])
    minutes = _share_out(weight, available, limit)
    last = _last_appearances(plays)
    for _ in range(3):
        minutes = _separate(rosters, minutes, last)
        minutes = _rebalance(rosters, minutes, last, available)
    minutes = _separate(rosters, minutes, last)
    return _settle(rosters, np.rint(minutes).astype(np.int64) * plays, last)


def _share_out(weight: Floats, available: Floats, limit: Floats) -> Floats:
    """Share a team's minutes in proportion to weights; minutes above a player's limit go to the others."""
    minutes = weight * (available / np.maximum(total(weight), 1.0))[:, :, None]
    for _ in range(4):
        minutes = np.minimum(minutes, limit)
        open_minutes = np.where(minutes < limit, minutes, 0.0)
        spare = available - total(minutes)
        minutes = minutes + open_minutes * (spare / np.maximum(total(open_minutes), 1.0))[:, :, None]
    return np.minimum(minutes, limit)


def _last_appearances(plays: Bools) -> Bools:
    """Return each place's last seven appearances as a mask."""
    backwards = np.cumsum(plays[:, ::-1], axis=1)[:, ::-1]
    return plays & (backwards <= RULE_GAMES)


def _recent_mean(minutes: Floats, last: Bools) -> Floats:
    counts = np.maximum(last.sum(axis=1), 1)
    mean: Floats = total(np.moveaxis(np.where(last, minutes, 0.0), 1, -1)) / counts
    return mean


def _separate(rosters: Rosters, minutes: Floats, last: Bools) -> Floats:
    """Move the means of a slate team's last games away from the rule's limit, past the margin."""
    mean = _recent_mean(minutes, last)
    lift = np.where(rosters.expected, np.maximum(RULE_MINUTES + MARGIN_MINUTES + 0.5 - mean, 0.0), 0.0)
    cut = np.where(
        rosters.kept_below,
        np.minimum((RULE_MINUTES - MARGIN_MINUTES - 0.5) / np.maximum(mean, 0.1), 1.0),
        1.0,
    )
    return np.where(last, minutes * cut[:, None, :] + lift[:, None, :], minutes)


def _rebalance(rosters: Rosters, minutes: Floats, last: Bools, available: Floats) -> Floats:
    """Balance the separation: expected players with room give or take the minutes that it added or removed."""
    roomy = rosters.expected & (_recent_mean(minutes, last) >= RULE_MINUTES + 3 * MARGIN_MINUTES)
    donors = np.where(last & roomy[:, None, :], minutes, 0.0)
    size = total(donors)
    ratio = np.where(size > 0.0, (available - total(minutes) + size) / np.maximum(size, 1.0), 1.0)
    # With N below 10 a team lacks regulars; still nobody plays 48 minutes.
    return np.where(donors > 0.0, np.minimum(minutes * np.clip(ratio, 0.7, 1.3)[:, :, None], 44.0), minutes)


def _settle(rosters: Rosters, minutes: Ints, last: Bools) -> Ints:
    """Repair what rounding and limits left within the margin, a minute per game at a time."""
    for _ in range(20):
        count = last.sum(axis=1)
        played = (minutes * last).sum(axis=1)
        short = rosters.expected & (played < (RULE_MINUTES + MARGIN_MINUTES) * count)
        long = rosters.kept_below & (played > (RULE_MINUTES - MARGIN_MINUTES) * count)
        if not (short.any() or long.any()):
            break
        step = short.astype(np.int64) - long.astype(np.int64)
        minutes = np.where(last, np.maximum(minutes + step[:, None, :], 0), minutes)
    return minutes

"""The season's games: teams, sites and days.

Days are counted from the season's first day. Teams play about every other day, never three days in a row,
at home as often as away, and nobody plays on Christmas Eve and over the all-star break, as in a real season. On the
slate's day exactly the chosen teams play. The results of a game are drawn in :mod:`.box_scores`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.simulation.draws import Bools, Draws, Ints

GAMES_PER_DAY = 82 / 167
"""A team's games per day that has games: 82 from 22 October to 13 April, less seven days off."""


@dataclass(frozen=True)
class Fixtures:
    """The season's games in order of their days; all arrays have one element per game."""

    day: Ints  # days since the season's first day
    home: Ints  # position of the home team; on a neutral site, of the team that the feeds list first
    away: Ints  # position of the other team
    neutral: Bools  # played on a neutral site
    number: Ints  # the running number in the game's id; as in the NBA, not in the order of the dates
    tip_off: Ints  # minutes after 19:00 Eastern, 0 to 210 in steps of 30


@dataclass(frozen=True)
class TeamGames:
    """Each team's games up to some day: arrays of shape (teams, games), padded at the end."""

    fixture: Ints  # position in the fixtures, -1 in the padding
    day: Ints  # days since the season's first day
    opponent: Ints  # position of the other team
    site: Ints  # 1 at home, -1 away, 0 on a neutral site
    played_yesterday: Bools  # the second of two games in two days
    count: Ints  # number of games of each team, shape (teams,)


def draw_fixtures(
    draws: Draws, teams: int, slate_teams: Ints, slate_day: int, days: int, off: set[int]
) -> Fixtures:
    """Draw a season's games.

    Args:
        slate_teams: positions of the teams that play on the slate, paired in order.
        slate_day: the slate, in days since the season's first day.
    """
    played = np.zeros(teams, dtype=np.int64)
    home_games = np.zeros(teams, dtype=np.int64)
    yesterday = np.zeros(teams, dtype=np.bool_)
    before = np.zeros(teams, dtype=np.bool_)
    on_slate = np.zeros(teams, dtype=np.bool_)
    on_slate[slate_teams] = True
    all_days: list[Ints] = []
    all_home: list[Ints] = []
    all_away: list[Ints] = []
    days_with_games = 0
    for day in range(days):
        if day == slate_day:
            chosen = slate_teams
        elif day in off:
            chosen = slate_teams[:0]
        else:
            # Never a third day in a row: the day before the slate counts the slate's game already.
            tired = yesterday & (before | (on_slate & (day == slate_day - 1)))
            chosen = _teams_of_day(
                draws, played, yesterday, tired, days_with_games + 1, is_last=day == days - 1
            )
        first, second = chosen[0::2], chosen[1::2]
        swap = home_games[first] > home_games[second]
        home, away = np.where(swap, second, first), np.where(swap, first, second)
        before, yesterday = yesterday, np.zeros(teams, dtype=np.bool_)
        yesterday[chosen] = True
        days_with_games += day not in off
        played[chosen] += 1
        home_games[home] += 1
        all_days.append(np.full(home.size, day, dtype=np.int64))
        all_home.append(home)
        all_away.append(away)
    day_of, home_of, away_of = (np.concatenate(part) for part in (all_days, all_home, all_away))

    involves_slate = (home_of == slate_teams[0]) | (away_of == slate_teams[0])
    neutral = _one_neutral_site(day_of, slate_day, involves_slate)
    number = draws.permutation(day_of.size) + 1
    tip_off = 30 * draws.below(8, day_of.size)
    return Fixtures(day_of, home_of, away_of, neutral, number, tip_off)


def _teams_of_day(
    draws: Draws, played: Ints, yesterday: Bools, tired: Bools, days_with_games: int, *, is_last: bool
) -> Ints:
    """Return the teams that play on a day, paired in order: the teams with the fewest games so far.

    Args:
        played: each team's games so far.
        yesterday: the teams that played the day before.
        tired: the teams that must not play.
        days_with_games: how many days have games up to this one.
        is_last: the season ends with this day.
    """
    teams = played.size
    # A day has 40 % more or fewer games than are due; 2024-25 had 1 to 15 a day, 7 on average.
    usual = GAMES_PER_DAY * teams / 2.0
    due = usual * days_with_games - int(played.sum()) // 2
    if not is_last:
        due += usual * 0.8 * (float(draws.uniform(1)[0]) - 0.5)
    pairs = min(max(1, int(due + 0.5)), teams // 2)
    owed = GAMES_PER_DAY * days_with_games - played + 0.4 * draws.normal(teams)
    pairs = min(pairs, int(np.count_nonzero(~tired)) // 2)
    owed = np.where(tired, -np.inf, owed - 0.7 * yesterday)
    most_owed = np.argsort(-owed, kind="stable")[: 2 * pairs]
    return most_owed[draws.permutation(most_owed.size)]


def _one_neutral_site(day: Ints, slate_day: int, involves_slate: Bools) -> Bools:
    """Return which game is played at a neutral site: one in the week before the slate, so that features and lines
    meet it (2024-25 had 5).
    """
    candidates = np.flatnonzero((day >= slate_day - 9) & (day <= slate_day - 2) & involves_slate)
    neutral = np.zeros(day.size, dtype=np.bool_)
    neutral[candidates[0]] = True
    return neutral


def games_of_teams(fixtures: Fixtures, teams: int, before_day: int) -> TeamGames:
    """Return each team's games before a day, in order."""
    games = int(np.searchsorted(fixtures.day, before_day, side="left"))
    index = np.concatenate([np.arange(games), np.arange(games)])
    team = np.concatenate([fixtures.home[:games], fixtures.away[:games]])
    opponent = np.concatenate([fixtures.away[:games], fixtures.home[:games]])
    site = np.concatenate([np.ones(games, dtype=np.int64), -np.ones(games, dtype=np.int64)])
    site = np.where(fixtures.neutral[index], 0, site)

    order = np.lexsort((index, team))
    index, team, opponent, site = index[order], team[order], opponent[order], site[order]
    count = np.bincount(team, minlength=teams).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    position = np.arange(team.size) - first[team]

    def padded(values: Ints, padding: int) -> Ints:
        grid = np.full((teams, int(count.max())), padding, dtype=np.int64)
        grid[team, position] = values
        return grid

    day = padded(fixtures.day[index], -9)
    gap = np.diff(day, axis=1, prepend=-9)
    return TeamGames(padded(index, -1), day, padded(opponent, 0), padded(site, 0), gap == 1, count)

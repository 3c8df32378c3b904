"""The books' points lines for the slate and for the ten days before it.

Two invented books look at the same players: their lines lie near a player's true mean, mostly on a half
point, at prices around -110. Each day has a morning and an afternoon capture. Some lines move between captures, some
within one; some have one side only or are suspended at -10000. About 85 % of the expected players have a line, so that
the others show a slate without one. A few lines are for players who then don't play.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prediction_assets.simulation.draws import Bools, Draws, Floats, Ints
from prediction_assets.simulation.fixtures import Fixtures, TeamGames
from prediction_assets.simulation.rosters import Rosters

DAYS_OF_LINES = 10
CAPTURE_HOURS = (11, 15)
"""Hours of the captures, Eastern; the first game starts at 19:00."""

SUSPENDED = -10_000
NO_PRICE = 0
"""The price of a side that isn't offered; American odds are never 0."""

_COVERED = 0.85
_VOID = 0.035  # 227 of 6,372 real lines were for players without a row in the logs
_WHOLE = 0.16  # of real lines are whole numbers; the others end in .5
_MOVES, _MOVES_WITHIN = 0.30, 0.03
# Real: 15 and 28 of 24,154; more here, so that a small slate has some.
_ONE_SIDED, _SUSPENDED_SHARE = 0.010, 0.008


@dataclass(frozen=True)
class Lines:
    """One element per capture, event, book, player and line, in order of capture."""

    fixture: Ints  # position in the fixtures
    team: Ints  # position of the player's team
    place: Ints  # the player's place in its roster
    book: Ints  # 0 or 1
    hour: Ints  # hour of the capture, Eastern
    half_points: Ints  # the line in half points: 49 is 24.5
    over: Ints  # American odds on the over, or NO_PRICE
    under: Ints  # American odds on the under, or NO_PRICE


def draw_lines(
    draws: Draws,
    rosters: Rosters,
    fixtures: Fixtures,
    games: TeamGames,
    plays: Bools,
    worth: Floats,
    slate_day: int,
    never_listed: tuple[int, int] | None,
) -> Lines:
    """Draw the lines.

    Args:
        games: the teams' games before the slate.
        plays: who played those, shape (teams, games, 15).
        worth: the points that their minutes were worth, of the same shape.
        slate_day: the slate, in days since the season's first day.
        never_listed: team and place of an expected player without a line.
    """
    usual = _usual_points(rosters, games, plays, worth, slate_day)
    regular = rosters.minutes >= 15.0
    if never_listed:
        regular[never_listed] = False

    recent = (games.day >= slate_day - DAYS_OF_LINES) & (games.fixture >= 0)
    signed = (games.day[:, :, None] >= rosters.from_day[:, None, :]) & (
        games.day[:, :, None] < rosters.until_day[:, None, :]
    )
    asked = draws.uniform(plays.shape)
    void = asked < _VOID * 6.0  # about one regular in six is out
    wanted = (recent[:, :, None] & signed & regular[:, None, :]) & np.where(plays, asked < _COVERED, void)
    past_team, past_game, past_place = np.nonzero(wanted)
    past_fixture = games.fixture[past_team, past_game]

    slate_team, slate_place = _covered_on_slate(draws, rosters, never_listed)
    slate_of_team = np.full(rosters.pace.size, -1, dtype=np.int64)
    on_slate = np.flatnonzero(fixtures.day == slate_day)
    slate_of_team[fixtures.home[on_slate]] = on_slate
    slate_of_team[fixtures.away[on_slate]] = on_slate

    fixture = np.concatenate([past_fixture, slate_of_team[slate_team]])
    team = np.concatenate([past_team, slate_team])
    place = np.concatenate([past_place, slate_place])
    opponent = fixtures.home[fixture] + fixtures.away[fixture] - team
    # Books know talent, pace and defence; their errors are the noise.
    believed = usual[team, place] * rosters.defence[opponent] * rosters.pace[opponent]
    believed = believed + 1.0 * draws.normal(team.size)
    return _offered(draws, fixtures.day, fixture, team, place, believed)


def _usual_points(rosters: Rosters, games: TeamGames, plays: Bools, worth: Floats, slate_day: int) -> Floats:
    """Return each player's mean worth in the games before the lines begin: shape (teams, 15)."""
    earlier = plays & (games.day < slate_day - DAYS_OF_LINES)[:, :, None]
    added = np.zeros(rosters.minutes.shape)
    for game in range(worth.shape[1]):
        added = added + np.where(earlier[:, game], worth[:, game], 0.0)
    count = earlier.sum(axis=1)
    guess = rosters.minutes * rosters.points_per_minute
    return np.where(count > 0, added / np.maximum(count, 1), guess)


def _covered_on_slate(
    draws: Draws, rosters: Rosters, never_listed: tuple[int, int] | None
) -> tuple[Ints, Ints]:
    """Return team and place of the expected players with a line: 85 % of them, to the nearest player."""
    team, place = np.nonzero(rosters.expected)
    order = draws.permutation(team.size)
    if never_listed:
        unlisted = (team[order] == never_listed[0]) & (place[order] == never_listed[1])
        order = np.concatenate([order[unlisted], order[~unlisted]])
    covered = np.sort(order[int((1.0 - _COVERED) * team.size + 0.5) :])
    return team[covered], place[covered]


def _offered(draws: Draws, day: Ints, fixture: Ints, team: Ints, place: Ints, believed: Floats) -> Lines:
    """Return the books' offers for what they believe, capture by capture."""
    markets = team.size
    who = draws.uniform(markets)  # 75 % have a line at both books
    books = []
    for book, listed in enumerate((who < 0.875, (who < 0.75) | (who >= 0.875))):
        market = np.flatnonzero(listed)
        opinion = believed[market] + 0.4 * draws.normal(market.size)
        whole = draws.uniform(market.size) < _WHOLE
        half_points = np.where(whole, 2 * np.rint(opinion), 2 * np.floor(opinion) + 1).astype(np.int64)
        morning = np.maximum(half_points, 3)
        step = np.where(draws.uniform(market.size) < 0.5, -2, 2)
        moves = draws.uniform(market.size) < _MOVES
        afternoon = np.where(moves, np.maximum(morning + step, 3), morning)
        again = np.flatnonzero(draws.uniform(market.size) < _MOVES_WITHIN)
        for hour, newer, chosen, line in (
            (CAPTURE_HOURS[0], 0, slice(None), morning),
            (CAPTURE_HOURS[1], 0, slice(None), afternoon),
            (CAPTURE_HOURS[1], 1, again, afternoon + 2),
        ):
            columns = np.stack([market, np.full(market.size, book), np.full(market.size, hour)])
            columns = np.concatenate([columns, np.stack([np.full(market.size, newer), line])])
            lean = opinion - line / 2.0
            books.append((columns[:, chosen], lean[chosen]))
    market, of_book, hour, newer, half_points = np.concatenate([columns for columns, _ in books], axis=1)
    lean = np.concatenate([part for _, part in books])

    # A point between belief and line moves the price by about 20 cents.
    ticks = np.clip(np.rint(4.0 * lean + 0.7 * draws.normal(lean.size)), -5, 5).astype(np.int64)
    over, under = _american(-110 - 5 * ticks), _american(-110 + 5 * ticks)
    odd = draws.uniform(lean.size)
    suspended = odd < _SUSPENDED_SHARE
    over, under = np.where(suspended, SUSPENDED, over), np.where(suspended, SUSPENDED, under)
    one_sided = (odd >= _SUSPENDED_SHARE) & (odd < _SUSPENDED_SHARE + _ONE_SIDED)
    over_only = draws.uniform(lean.size) < 0.5
    under = np.where(one_sided & over_only, NO_PRICE, under)
    over = np.where(one_sided & ~over_only, NO_PRICE, over)

    order = np.lexsort(
        (place[market], team[market], of_book, fixture[market], newer, hour, day[fixture[market]])
    )
    market = market[order]
    return Lines(
        fixture[market],
        team[market],
        place[market],
        of_book[order],
        hour[order],
        half_points[order],
        over[order],
        under[order],
    )


def _american(price: Ints) -> Ints:
    """Return prices with the gap that American odds have: after -105 comes +100, even money."""
    return np.where(price >= -100, price + 200, price)

"""The simulated league: a season of facts for any number of expected players.

For demonstrations, tests and measurements without real facts, or with more players than the real league has. Every
team, player and bookmaker is invented, and its name shows it. The league of N players has its slate in the year 2051 +
N, in which no real game is played, and ids of its own; so it can share a warehouse with real seasons and with other
leagues. The same N gives the same tables on every machine (see :mod:`.draws`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pyarrow as pa

from prediction_assets.simulation.box_scores import BoxScores, draw_box_scores, expected_points
from prediction_assets.simulation.draws import Bools, Draws, Ints
from prediction_assets.simulation.fixtures import Fixtures, TeamGames, draw_fixtures, games_of_teams
from prediction_assets.simulation.lines import NO_PRICE, Lines, draw_lines
from prediction_assets.simulation.minutes import draw_appearances, draw_minutes
from prediction_assets.simulation.names import BOOKMAKERS, player_names, team_abbreviation, team_name
from prediction_assets.simulation.rosters import PLACES, Rosters, draw_rosters, slate_rotations
from prediction_assets.simulation.slates import simulated_name, simulated_slate
from prediction_assets.slate.keys import SIMULATED_PREFIX, to_ascii
from prediction_assets.slate.markets import POINTS
from prediction_assets.stores.sql.tables import GAME_LOGS, PROP_LINES, SCHEDULE

_TEAMS = 30
_LONG_HISTORY_UP_TO = 1_000  # expected players; larger leagues have 20 games per team, to stay within seconds
_SHORT_HISTORY_DAYS, _SHORT_FUTURE_DAYS = 42, 14
_EASTERN = 5  # hours behind UTC; lines exist in January only, so always standard time

# Names that break naive joins, for the first players of the first slate team; the last two are namesakes.
_SPECIAL_NAMES = ("De'Varro Ostrelić", "T.J. Tamberlow Jr.", "Émeric-Jo O'Lanthré", "A.D. Quoderø III")
_NAMESAKES = "Corvin Hastermond"
_NAMESAKE_PLACES = ((0, 4), (2, 6))  # slate team, place: never in the slate's same game

_FIXTURES, _ROSTERS, _APPEARANCES, _MINUTES, _BOX_SCORES, _LINES, _NAMES, _OVERTIME, _SLATE = range(9)


@dataclass(frozen=True)
class SimulatedLeague:
    """A league's facts, in the warehouse's schemas."""

    name: str  # the league's name, `simulated-40` for 40 expected players
    slate: date  # the day to predict; logs end the day before
    game_logs: pa.Table  # one row per player and game played, of schema `GAME_LOGS`
    schedule: pa.Table  # one row per game, past and to come, of schema `SCHEDULE`
    prop_lines: pa.Table  # the books' lines for the slate and the ten days before, of schema `PROP_LINES`


@dataclass(frozen=True)
class _Labels:
    """How a league spells its days, teams, players and games."""

    name: str
    season_id: int
    first_day: date
    team_ids: Ints
    abbreviations: pa.Array
    team_names: pa.Array
    player_ids: Ints
    players: list[str]
    game_ids: pa.Array

    def dates(self, day: Ints) -> pa.Array:
        """Return days since the season's first day as dates."""
        return pa.array((day + _epoch_day(self.first_day)).astype(np.int32)).cast(pa.date32())

    def constant(self, size: int) -> pa.Array:
        return pa.repeat(pa.scalar(self.name), size)


def simulate_league(expected_players: int = 40) -> SimulatedLeague:
    """Return the simulated league with exactly so many expected players on its slate, 1 to 5,000.

    An expected player satisfies the rule of :mod:`prediction_assets.nba.roster`. The league has 30 teams of 15 players
    with some 40 games each, and more teams if the slate needs them: a team has at most 10 expected players. Above
    1,000 expected players it is about 20 games each. Below 10, the slate's two teams are short-handed and don't fill
    their 240 minutes.

    Example:
        >>> league = simulate_league(40)
        >>> league.name, league.slate.isoformat()
        ('simulated-40', '2091-01-15')
    """
    # Each of its three kinds of facts is ingested by an asset of its own.
    draw = _drawn if expected_players > _LONG_HISTORY_UP_TO else _drawn_once
    return draw(expected_players, _TEAMS)


def _drawn(expected_players: int, least_teams: int) -> SimulatedLeague:
    slate = simulated_slate(expected_players)
    if expected_players <= _LONG_HISTORY_UP_TO:
        first_day, last_day = date(slate.year - 1, 10, 22), date(slate.year, 4, 13)
    else:
        first_day, last_day = slate - timedelta(_SHORT_HISTORY_DAYS), slate + timedelta(_SHORT_FUTURE_DAYS)
    slate_day = (slate - first_day).days

    def draws(part: int) -> Draws:
        return Draws(expected_players, part)

    slate_size = slate_rotations(expected_players).size
    teams = max(least_teams, slate_size)
    slate_teams = draws(_SLATE).permutation(teams)[:slate_size]
    fixtures = draw_fixtures(
        draws(_FIXTURES), teams, slate_teams, slate_day, (last_day - first_day).days + 1, _days_off(first_day)
    )
    games = games_of_teams(fixtures, teams, slate_day)
    rosters = draw_rosters(draws(_ROSTERS), teams, slate_teams, expected_players, slate_day)
    plays = draw_appearances(draws(_APPEARANCES), rosters, games)
    overtime = (draws(_OVERTIME).uniform(fixtures.day.size) < 0.05)[games.fixture]
    minutes = draw_minutes(draws(_MINUTES), rosters, games, plays, overtime)
    worth = expected_points(rosters, games, minutes)
    boxes = draw_box_scores(draws(_BOX_SCORES), rosters, games, plays, minutes, worth)

    namesakes = [
        (int(slate_teams[team]), place)
        for team, place in _NAMESAKE_PLACES
        if team < slate_size and rosters.expected[slate_teams[team], place]
    ]
    # Of two namesakes, the books list one.
    unlisted = namesakes[1] if len(namesakes) == 2 else None
    lines = draw_lines(draws(_LINES), rosters, fixtures, games, plays, worth, slate_day, unlisted)
    names = _name_players(draws(_NAMES), rosters, int(slate_teams[0]), namesakes)
    labels = _label(expected_players, slate, first_day, teams, names, fixtures)
    return SimulatedLeague(
        labels.name,
        slate,
        _game_logs(labels, rosters, games, fixtures, boxes),
        _schedule(labels, fixtures),
        _prop_lines(labels, rosters, fixtures, lines),
    )


def _days_off(first_day: date) -> set[int]:
    """Return the days without games: Christmas Eve and the six days of the all-star break."""
    opening_year = first_day.year if first_day.month > 6 else first_day.year - 1
    off = [date(opening_year, 12, 24), *(date(opening_year + 1, 2, day) for day in range(13, 19))]
    return {(day - first_day).days for day in off}


def _epoch_day(day: date) -> int:
    return (day - date(1970, 1, 1)).days


_drawn_once = lru_cache(maxsize=1)(_drawn)


def _name_players(
    draws: Draws, rosters: Rosters, first_team: int, namesakes: Sequence[tuple[int, int]]
) -> list[str]:
    """Return the players' names by player."""
    names = player_names(draws, rosters.player.size)
    for place, name in enumerate(_SPECIAL_NAMES):
        names[int(rosters.player[first_team, place])] = name
    for cell in namesakes:
        names[int(rosters.player[cell])] = _NAMESAKES
    return names


def _label(n: int, slate: date, first_day: date, teams: int, names: list[str], fixtures: Fixtures) -> _Labels:
    return _Labels(
        name=simulated_name(n),
        season_id=int(f"2{slate.year - 1}"),
        first_day=first_day,
        team_ids=20_000_000_000 + n * 100_000 + np.arange(1, teams + 1),
        abbreviations=pa.array([team_abbreviation(team) for team in range(teams)]),
        team_names=pa.array([team_name(team) for team in range(teams)]),
        player_ids=10_000_000_000 + n * 100_000 + np.arange(1, teams * PLACES + 1),
        players=names,
        game_ids=pa.array([f"9{n:04d}{number:05d}" for number in fixtures.number.tolist()]),
    )


def _game_logs(
    labels: _Labels, rosters: Rosters, games: TeamGames, fixtures: Fixtures, boxes: BoxScores
) -> pa.Table:
    fixture = games.fixture[boxes.team, boxes.game]
    order = np.lexsort((boxes.place, boxes.team, fixtures.number[fixture], fixtures.day[fixture]))
    team, game, fixture = boxes.team[order], boxes.game[order], fixture[order]
    day, site = fixtures.day[fixture], games.site[team, game]
    player = rosters.player[team, boxes.place[order]]

    # Names drift: the first special name is written without its accent up to December, under the same id.
    drifting = labels.players.index(_SPECIAL_NAMES[0])
    spellings = pa.array([*labels.players, to_ascii(_SPECIAL_NAMES[0])])
    spelling = np.where((player == drifting) & (day < day.max() // 2), len(labels.players), player)

    columns = {
        "league": labels.constant(order.size),
        "season_id": pa.repeat(pa.scalar(labels.season_id, pa.int64()), order.size),
        "game_id": _pick(labels.game_ids, fixture),
        "game_date": labels.dates(day),
        "player_id": labels.player_ids[player],
        "player_name": _pick(spellings, spelling),
        "team_id": labels.team_ids[team],
        "team": _pick(labels.abbreviations, team),
        "team_name": _pick(labels.team_names, team),
        "opponent": _pick(labels.abbreviations, games.opponent[team, game]),
        "is_home": pa.array(site == 1, mask=site == 0),
        **{
            name: getattr(boxes, name)[order]
            for name in GAME_LOGS.column_names
            if hasattr(boxes, name) and name != "team"
        },
    }
    return _table(columns, GAME_LOGS.arrow_schema)


def _schedule(labels: _Labels, fixtures: Fixtures) -> pa.Table:
    order = np.lexsort((fixtures.number, fixtures.day))
    home, away, neutral = fixtures.home[order], fixtures.away[order], fixtures.neutral[order]
    spelled = labels.abbreviations.to_pylist()
    rank = np.argsort(np.array(sorted(range(len(spelled)), key=spelled.__getitem__)), kind="stable")
    in_order = rank[home] < rank[away]
    columns = {
        "league": labels.constant(order.size),
        "season_id": pa.repeat(pa.scalar(labels.season_id, pa.int64()), order.size),
        "game_id": _pick(labels.game_ids, order),
        "game_date": labels.dates(fixtures.day[order]),
        "home_team": _pick(labels.abbreviations, home, missing=neutral),
        "away_team": _pick(labels.abbreviations, away, missing=neutral),
        "team_a": _pick(labels.abbreviations, np.where(in_order, home, away)),
        "team_b": _pick(labels.abbreviations, np.where(in_order, away, home)),
    }
    return _table(columns, SCHEDULE.arrow_schema)


def _prop_lines(labels: _Labels, rosters: Rosters, fixtures: Fixtures, lines: Lines) -> pa.Table:
    fixture = lines.fixture
    day = fixtures.day[fixture]
    player = rosters.player[lines.team, lines.place]
    # The second book spells without accents, as real ones do.
    spellings = pa.array([*labels.players, *(to_ascii(name) for name in labels.players)])
    first = _epoch_day(labels.first_day)
    tip_off = (first + day) * 1_440 + (19 + _EASTERN) * 60 + fixtures.tip_off[fixture]
    captured = (first + day) * 1_440 + (lines.hour + _EASTERN) * 60
    moments, capture = np.unique(np.stack([day, lines.hour]), axis=1, return_inverse=True)
    captures = pa.array(
        [
            f"{SIMULATED_PREFIX}-{(labels.first_day + timedelta(of_day)).isoformat()}T{hour:02d}:00"
            for of_day, hour in moments.T.tolist()
        ],
        pa.string(),
    )
    events = pa.array([f"{SIMULATED_PREFIX}-{game_id}" for game_id in labels.game_ids.to_pylist()])
    half_points = pa.array([Decimal(k) / 2 for k in range(int(lines.half_points.max(initial=0)) + 1)])
    columns = {
        "league": labels.constant(fixture.size),
        "event_id": _pick(events, fixture),
        "capture": _pick(captures, capture.reshape(-1)),
        "bookmaker": _pick(pa.array(BOOKMAKERS), lines.book),
        "player_name": _pick(spellings, player + lines.book * len(labels.players)),
        "market": pa.repeat(POINTS.name, fixture.size),
        "line": _pick(half_points.cast(PROP_LINES.arrow_schema.field("line").type), lines.half_points),
        "player_id": labels.player_ids[player],
        "game_date": labels.dates(day),
        "commence_time": _timestamps(tip_off),
        "home_team": _pick(labels.abbreviations, fixtures.home[fixture]),
        "away_team": _pick(labels.abbreviations, fixtures.away[fixture]),
        "over_price": pa.array(lines.over, mask=lines.over == NO_PRICE),
        "under_price": pa.array(lines.under, mask=lines.under == NO_PRICE),
        "captured_at": _timestamps(captured),
    }
    return _table(columns, PROP_LINES.arrow_schema)


def _timestamps(minutes: Ints) -> pa.Array:
    """Return minutes since 1970 as timestamps; by way of int64, as nanoseconds would overflow in 2262."""
    return pa.array(minutes * 60_000_000).cast(pa.timestamp("us", tz="UTC"))


def _pick(values: pa.Array, index: Ints, missing: Bools | None = None) -> pa.Array:
    return values.take(pa.array(index, mask=missing))


def _table(columns: dict[str, pa.Array | Ints | Bools], schema: pa.Schema) -> pa.Table:
    arrays = []
    for field in schema:
        column = columns[field.name]
        arrays.append(column if isinstance(column, pa.Array) else pa.array(column, field.type))
    table = pa.Table.from_arrays(arrays, schema=schema)
    table.validate(full=True)
    return table

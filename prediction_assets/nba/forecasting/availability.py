"""A correction of every system's mean by the injury report: who is expected to miss the game, and who comes back.

Method: each candidate of a side plays with the share of past candidates who had the same status at the same time of
day, and had missed as many games. Boosted trees (:mod:`.trees`) learn from these expectations how far the points of a
player with a game depart from a forecast that knows no report. The correction is 0 where there is no report. What
doesn't belong here: reading the facts (:mod:`prediction_assets.nba.sides`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.nba.forecasting.minutes import scoring_rate, weighted_minutes
from prediction_assets.nba.forecasting.rows import Floats, History, Indices, Rows
from prediction_assets.nba.forecasting.trees import Trees, fit_trees

UNLISTED, NOT_REPORTED = "", "Not yet submitted"
PLAYED = {
    "Out": 0.002, "Doubtful": 0.03, "Questionable": 0.5, "Probable": 0.9, "Available": 0.95, NOT_REPORTED: 0.8,
    UNLISTED: 0.9,
}  # fmt: skip
"""Share who played, by status, of the reports of 2022-24: what measured shares are shrunk to."""

PRIOR = 20.0
"""Candidates' worth of :data:`PLAYED` in a status's share, and half of it of that share in each cell's."""

TIMES = ("morning", "midday", "evening")
MISSED = (1, 3, 10)
MINUTES = (12.0, 20.0)
CELLS = (len(TIMES), len(PLAYED), len(MISSED) + 1, len(MINUTES) + 1)
"""Time of day, status, games missed, and minutes per game over the last ten."""

COLUMNS = (
    "report_played", "report_status", "report_games_missed", "report_minutes", "report_points",
    "report_side_points", "report_side_minutes", "report_missing_points", "report_missing_minutes",
    "report_returning_points", "report_returning_minutes", "report_uncertain_minutes",
)  # fmt: skip
"""What a report says of a player and his side, in minutes and points per game. Of his side it is said as if he plays;
*missing* are those who played in its last game, *returning* those who didn't."""

DESIGN_COLUMNS = len(COLUMNS) + 7

LEAST_ROWS = 2_000
"""Training rows below which nothing is learnt: a month of one report a day."""


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Who could play for each side of some dates, and the reports about them.

    Attributes:
        candidates: rows of :data:`.sides_sql.CANDIDATES_SQL`.
        reported: rows of :data:`.sides_sql.REPORTED_SQL`.
    """

    candidates: pa.Table
    reported: pa.Table

    def before(self, day: date) -> Sides:
        """Return the sides of the dates before a day."""
        tables = (self.candidates, self.reported)
        return Sides(*(table.filter(pc.less(table["game_date"], pa.scalar(day))) for table in tables))


@dataclass(frozen=True, slots=True, eq=False)
class Availability:
    """The fitted correction.

    Attributes:
        played: share who played of each cell, shape (252,), in the order of :data:`CELLS`.
        trees: the correction in units of the root of the forecast.
    """

    played: Floats
    trees: Trees

    def __call__(self, rows: Rows) -> Floats:
        """Return the points that the report adds, shape (n,); 0 where it says nothing of the player's side."""
        if not rows.has(COLUMNS[0]):
            return np.zeros(len(rows))
        return rows.once(self, lambda: self._correction(rows))

    def _correction(self, rows: Rows) -> Floats:
        known = np.isfinite(rows[COLUMNS[0]])
        return np.where(known, self.trees(_design(rows)) * _unit(rows), 0.0)

    def columns(self, rows: Rows, sides: Sides) -> Mapping[str, Floats]:
        """Return :data:`COLUMNS` of a slate's rows by the newest report, each of shape (n,); NaN without one."""
        found = np.full((len(rows), len(COLUMNS)), np.nan)
        candidates, shares = _Candidates(sides), self.played.reshape(CELLS)
        position = candidates.positions(rows)
        for time in range(len(TIMES)):
            status = candidates.statuses(time)
            said = candidates.columns(status, shares[time])[position]
            found = np.where((np.isfinite(said[:, :1])) & (position >= 0)[:, None], said, found)
        return dict(zip(COLUMNS, np.ascontiguousarray(found.T), strict=True))


def time_of_day(reported_at: datetime, slate: date) -> int:
    """Return the time of day of a report, a position in :data:`TIMES`, as :data:`.sides_sql.REPORTED_SQL` has it.

    In UTC, so that no time zone's rules are needed: until 11 or 12 in the East, until 15 or 16, and later.

    Args:
        reported_at: in UTC.
    """
    if reported_at.date() < slate:
        return 0
    return 2 if reported_at.date() > slate or reported_at.hour >= 20 else int(reported_at.hour >= 16)


def fit_availability(history: History, forecast: Floats, sides: Sides) -> Availability | None:
    """Fit shares and trees; None with fewer than :data:`LEAST_ROWS` rows of regulars that a report knows.

    Args:
        forecast: what a system without reports says of the regulars of the history, shape (n,).
        sides: of the history's dates.
    """
    candidates, rows = _Candidates(sides), history.regulars
    statuses = [candidates.statuses(time) for time in range(len(TIMES))]
    shares = _shares(candidates, statuses)
    position = candidates.positions(rows)
    residual = (rows["points"] - forecast) / _unit(rows)
    designs, targets = [], []
    for status, played in zip(statuses, shares, strict=True):
        known = np.flatnonzero((position >= 0) & (status[position] >= 0))
        chosen = Rows(rows.table.take(pa.array(known)), rows, known)
        said = candidates.columns(status, played)[position[known]]
        chosen.attach(dict(zip(COLUMNS, np.ascontiguousarray(said.T), strict=True)))
        designs.append(_design(chosen))
        targets.append(residual[known])
    target = np.concatenate(targets)
    if max(map(len, targets)) < LEAST_ROWS:
        return None
    trees, _ = fit_trees(np.concatenate(designs), target - target.mean(), scale=0.6, max_features=0.5)
    return Availability(shares.reshape(-1), trees)


def _shares(candidates: _Candidates, statuses: list[Indices]) -> Floats:
    """Return the share who played of each cell, shrunk to its status's, which is shrunk to :data:`PLAYED`."""
    count, played = np.zeros(CELLS), np.zeros(CELLS)
    for time, status in enumerate(statuses):
        known = status >= 0
        cell = (np.full(int(known.sum()), time), status[known], *(each[known] for each in candidates.cell))
        np.add.at(count, cell, 1.0)
        np.add.at(played, cell, candidates.played[known])
    usual = np.array(list(PLAYED.values()))[None, :, None, None]
    of_status = (played.sum((2, 3), keepdims=True) + PRIOR * usual) / (
        count.sum((2, 3), keepdims=True) + PRIOR
    )
    shares: Floats = (played + PRIOR / 2 * of_status) / (count + PRIOR / 2)
    return shares


class _Candidates:
    """The candidates of some sides as arrays, one value per candidate."""

    def __init__(self, sides: Sides) -> None:
        table = sides.candidates
        self._reported = sides.reported
        self._games = pc.unique(table["game_id"])
        self._players = np.unique(table["player_id"].to_numpy())
        self._days = _days(table["game_date"])
        self._player = table["player_id"].to_numpy()
        self._teams = pc.unique(table["team"])
        self._team = _index(table["team"], self._teams)
        self._key = self._of_game(table["game_id"], self._player)
        self._order = np.argsort(self._key, kind="stable")
        games = np.maximum(table["games_10"].to_numpy(), 1)
        self.points = table["points_10"].to_numpy() / games
        self.minutes = table["minutes_10"].to_numpy() / games
        self.missed = table["games_missed"].to_numpy()
        self.played = np.asarray(pc.cast(table["played"], pa.int8()).to_numpy(), dtype=np.float64)
        self.cell = (np.digitize(self.missed, MISSED), np.digitize(self.minutes, MINUTES))
        side = _index(table["game_id"], self._games) * (len(self._teams) + 1) + self._team
        _, self._side = np.unique(side, return_inverse=True)

    def _of_game(self, games: pa.ChunkedArray, players: Indices) -> Indices:
        """Return a number for each pair of a game and a player, -1 where either isn't a candidate's."""
        if not len(self._players):
            return np.full(len(players), -1, dtype=np.int64)
        game = _index(games, self._games)
        at = np.minimum(np.searchsorted(self._players, players), len(self._players) - 1)
        known = (game >= 0) & (self._players[at] == players)
        return np.where(known, game * len(self._players) + at, -1)

    def positions(self, rows: Rows) -> Indices:
        """Return each row's candidate, -1 where he isn't one."""
        wanted = self._of_game(rows.table["game_id"], rows.table["player_id"].to_numpy())
        if not len(self._key):
            return wanted
        at = np.minimum(np.searchsorted(self._key, wanted, sorter=self._order), len(self._key) - 1)
        found = self._order[at]
        return np.where((wanted >= 0) & (self._key[found] == wanted), found, -1)

    def statuses(self, time: int) -> Indices:
        """Return each candidate's status in the report of a time of day, -1 where no report is about the date."""
        reported = self._reported.filter(pc.equal(self._reported["time_of_day"], time))
        days = _days(reported["game_date"])
        worst = dict[tuple[int, int], int]()
        waiting = set[tuple[int, str]]()
        places = {status: place for place, status in enumerate(PLAYED)}
        columns = (reported[name].to_pylist() for name in ("team", "player_id", "status"))
        for day, team, player, status in zip(days.tolist(), *columns, strict=True):
            if status == NOT_REPORTED:
                waiting.add((day, team))
            elif player is not None and status in places:  # a player in the report of two teams has the worse
                worst[day, player] = min(worst.get((day, player), len(places)), places[status])
        about = set(days.tolist())
        teams = self._teams.to_pylist()
        found = [
            -1
            if day not in about
            else worst.get((day, player), places[NOT_REPORTED if (day, teams[team]) in waiting else UNLISTED])
            for day, player, team in zip(
                self._days.tolist(), self._player.tolist(), self._team.tolist(), strict=True
            )
        ]
        return np.array(found, dtype=np.int64)

    def columns(self, status: Indices, played: Floats) -> Floats:
        """Return :data:`COLUMNS` of each candidate, shape (candidates, columns); NaN without a status."""
        chance = np.where(status >= 0, played[(np.maximum(status, 0), *self.cell)], 0.0)
        was_there = self.missed == 0

        def of_others(values: Floats) -> Floats:
            each: Floats = np.bincount(self._side, weights=values, minlength=1)[self._side] - values
            return each

        columns = (
            chance,
            status,
            self.missed,
            self.minutes,
            self.points,
            self.points + of_others(chance * self.points),
            self.minutes + of_others(chance * self.minutes),
            of_others((1 - chance) * self.points * was_there),
            of_others((1 - chance) * self.minutes * was_there),
            of_others(chance * self.points * ~was_there),
            of_others(chance * self.minutes * ~was_there),
            of_others(chance * (1 - chance) * self.minutes),
        )
        return np.where((status >= 0)[:, None], np.column_stack(columns).astype(np.float64), np.nan)


def _design(rows: Rows) -> Floats:
    """Return the trees' columns, shape (n, columns). Neither the opponent nor the rest is among them."""
    side = rows["report_side_points"]
    usual = ("lineup_last_1", "lineup_last_10", "team_lineup_last_1", "team_lineup_last_10")
    return np.column_stack(
        [
            rows.matrix(COLUMNS),
            *(side - rows[name] for name in usual),
            rows["lineup_last_10"],
            weighted_minutes(rows),
            _simple(rows),
        ]
    )


def _simple(rows: Rows) -> Floats:
    return weighted_minutes(rows) * scoring_rate(rows)


def _unit(rows: Rows) -> Floats:
    """Return the unit of the correction, points: the root of a simple forecast, finite at 0."""
    return np.sqrt(_simple(rows) + 1.0)


def _days(dates: pa.ChunkedArray) -> Indices:
    return np.asarray(pc.cast(pc.cast(dates, pa.date32()), pa.int32()).to_numpy(), dtype=np.int64)


def _index(values: pa.ChunkedArray, among: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.index_in(values, value_set=among), -1).to_numpy(), dtype=np.int64)

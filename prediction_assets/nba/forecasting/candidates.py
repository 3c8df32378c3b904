"""Who could play for each side of some dates, as arrays: who is expected to miss a game, and what his team-mates gain.

What doesn't belong here: learning from it (:mod:`.availability`), and reading the facts
(:mod:`prediction_assets.nba.sides`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.nba.forecasting.rows import Floats, Indices, Rows
from prediction_assets.nba.forecasting.sides_sql import RECENT_TEAM_GAMES

UNLISTED, NOT_REPORTED = "", "Not yet submitted"
PLAYED = {
    "Out": 0.002, "Doubtful": 0.03, "Questionable": 0.5, "Probable": 0.9, "Available": 0.95, NOT_REPORTED: 0.8,
    UNLISTED: 0.9,
}  # fmt: skip
"""Share who played, by status, of the reports of 2022-24: what measured shares are shrunk to."""

TIMES = ("morning", "midday", "evening")
MISSED = (1, 3, 10)
MINUTES = (12.0, 20.0)
CELLS = (len(TIMES), len(PLAYED), len(MISSED) + 1, len(MINUTES) + 1)
"""Time of day, status, games missed, and minutes per game over the last ten."""

COLUMNS = (
    "report_played", "report_status", "report_games_missed", "report_minutes", "report_points",
    "report_side_points", "report_side_minutes", "report_missing_points", "report_missing_minutes",
    "report_returning_points", "report_returning_minutes", "report_uncertain_minutes",
    "report_more_minutes_7", "report_more_points_7", "report_alike_more_minutes_7", "report_alike_more_points_7",
    "report_more_minutes_20", "report_more_points_20", "report_alike_more_minutes_20", "report_alike_more_points_20",
    "report_alike_minutes", "report_position", "report_assists", "report_possessions", "report_minutes_25",
    "report_minutes_3", "report_played_7", "report_played_20",
)  # fmt: skip
"""What a report says of a player and his side, in minutes and points per game. Of his side it is said as if he plays;
*missing* are those who played in its last game, *returning* those who didn't. *more* is what his team-mates are
expected to have beyond what they had in the team's last 7 or 20 games, and *alike* is the same, weighted by how alike
their positions are to his."""

ALIKE = 0.6
"""Width of the normal kernel that compares positions, in their standard deviations."""

POSITION = (4.2, 4.5)
"""Mean and standard deviation of rebounds + 1.5 blocks - 0.9 assists per 36 minutes, weighted by minutes, of 2022-24: a
guard is below, and a center is above. Game logs have no positions."""

LEAST_MINUTES = 20
"""Minutes of his last 25 games that a player's rates are divided by at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Who could play for each side of some dates, and the reports about them."""

    candidates: pa.Table  # rows of `CANDIDATES_SQL`
    reported: pa.Table  # rows of `REPORTED_SQL`

    def before(self, day: date) -> Sides:
        """Return the sides of the dates before a day."""
        tables = (self.candidates, self.reported)
        return Sides(*(table.filter(pc.less(table["game_date"], pa.scalar(day))) for table in tables))


class Candidates:
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

        def count(name: str) -> Floats:
            return np.asarray(table[name].to_numpy(), dtype=np.float64)

        self.points, self.minutes = (
            count(f"{each}_10") / count("games_10") for each in ("points", "minutes")
        )
        per_36 = 36 / np.maximum(count("minutes_25"), LEAST_MINUTES)
        big = count("rebounds_25") + 1.5 * count("blocks_25") - 0.9 * count("assists_25")
        self.position = (per_36 * big - POSITION[0]) / POSITION[1]
        self.own = (
            self.position,
            per_36 * count("assists_25"),
            per_36 * count("possessions_25") / 100,
            count("minutes_25") / count("games_25"),
            count("minutes_3") / count("games_3"),
        )
        recent = RECENT_TEAM_GAMES * (RECENT_TEAM_GAMES + 1) // 2
        self.shares = (count("played_recently") / recent, count("played_20") / 20)
        self.missed = table["games_missed"].to_numpy()
        self.played = np.asarray(pc.cast(table["played"], pa.int8()).to_numpy(), dtype=np.float64)
        self.cell = (np.digitize(self.missed, MISSED), np.digitize(self.minutes, MINUTES))
        side = _index(table["game_id"], self._games) * (len(self._teams) + 1) + self._team
        _, self._side, sizes = np.unique(side, return_inverse=True, return_counts=True)
        self._place = np.empty(len(side), dtype=np.int64)
        within = np.arange(len(side)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        self._place[np.argsort(self._side, kind="stable")] = within

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
        wanted = self._of_game(rows.values("game_id"), rows.values("player_id").to_numpy())
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

    def _of_alike(self, values: Sequence[Floats]) -> list[Floats]:
        """Return for each of some values of shape (candidates,) its sum over a candidate's team-mates, each weighted by
        how alike his position is to the candidate's: 1 for the same one.
        """
        shape = (int(self._side.max(initial=-1)) + 1, int(self._place.max(initial=-1)) + 1)
        at = (self._side, self._place)

        def by_side(each: Floats) -> Floats:
            padded = np.zeros(shape)
            padded[at] = each
            return padded

        position, padded = by_side(self.position), [by_side(each) for each in values]
        sums = [np.zeros(shape) for _ in values]
        for place in range(shape[1]):
            other = slice(place, place + 1)
            alike = np.exp(-0.5 * ((position - position[:, other]) / ALIKE) ** 2)
            alike[:, place] = 0.0
            for total, each in zip(sums, padded, strict=True):
                total += alike * each[:, other]
        return [total[at] for total in sums]

    def columns(self, status: Indices, played: Floats) -> Floats:
        """Return :data:`COLUMNS` of each candidate, shape (candidates, columns); NaN without a status."""
        chance = np.where(status >= 0, played[(np.maximum(status, 0), *self.cell)], 0.0)
        was_there = self.missed == 0

        def of_others(values: Floats) -> Floats:
            each: Floats = np.bincount(self._side, weights=values, minlength=1)[self._side] - values
            return each

        more = [(chance - share) * value for share in self.shares for value in (self.minutes, self.points)]
        *alike, alike_minutes = self._of_alike([*more, chance * self.minutes])
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
            of_others(more[0]),
            of_others(more[1]),
            *alike[:2],
            of_others(more[2]),
            of_others(more[3]),
            *alike[2:],
            alike_minutes,
            *self.own,
            *self.shares,
        )
        return np.where((status >= 0)[:, None], np.column_stack(columns).astype(np.float64), np.nan)


def _days(dates: pa.ChunkedArray) -> Indices:
    return np.asarray(pc.cast(pc.cast(dates, pa.date32()), pa.int32()).to_numpy(), dtype=np.int64)


def _index(values: pa.ChunkedArray, among: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.index_in(values, value_set=among), -1).to_numpy(), dtype=np.int64)

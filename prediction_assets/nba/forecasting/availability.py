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

from prediction_assets.nba.forecasting.candidates import CELLS, COLUMNS, PLAYED, TIMES, Candidates, Sides
from prediction_assets.nba.forecasting.minutes import scoring_rate, weighted_minutes
from prediction_assets.nba.forecasting.rows import Floats, History, Indices, Rows
from prediction_assets.nba.forecasting.trees import Trees, fit_trees

PRIOR = 20.0
"""Candidates' worth of :data:`PLAYED` in a status's share, and half of it of that share in each cell's."""

SHRUNK = 0.7
"""Share of what the trees say that counts. They learn from two seasons of reports, and what isn't so in the next one
makes their answers too far from 0: learnt from 2022-23, 0.6 to 0.8 of them took most from the error of 2023-24."""

DESIGN_COLUMNS = len(COLUMNS) + 7

LEAST_ROWS = 2_000
"""Training rows below which nothing is learnt: a month of one report a day."""


@dataclass(frozen=True, slots=True, eq=False)
class Availability:
    """The fitted correction."""

    played: Floats  # share who played of each cell, shape (252,), in the order of `CELLS`
    trees: Trees  # the correction in units of the root of the forecast

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
        candidates, shares = Candidates(sides), self.played.reshape(CELLS)
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
        sides: of dates before the slate; only those of the history's games count.
    """
    candidates, rows = Candidates(sides), history.regulars
    statuses = [candidates.statuses(time) for time in range(len(TIMES))]
    shares = _shares(candidates, statuses)
    position = candidates.positions(rows)
    residual = (rows["points"] - forecast) / _unit(rows)
    designs, targets = [], []
    for status, played in zip(statuses, shares, strict=True):
        known = np.flatnonzero(position >= 0)
        known = known[status[position[known]] >= 0]
        chosen = Rows(None, rows, known)
        said = candidates.columns(status, played)[position[known]]
        chosen.attach(dict(zip(COLUMNS, np.ascontiguousarray(said.T), strict=True)))
        designs.append(_design(chosen))
        targets.append(residual[known])
    target = np.concatenate(targets)
    if max(map(len, targets)) < LEAST_ROWS:
        return None
    # A row is there once for each time of day, so a leaf of as many players has as many times the rows.
    trees, _ = fit_trees(
        np.concatenate(designs),
        SHRUNK * (target - target.mean()),
        pace=0.5,
        least_rows=200 * len(TIMES),
        max_features=0.3,
    )
    return Availability(shares.reshape(-1), trees)


def _shares(candidates: Candidates, statuses: list[Indices]) -> Floats:
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

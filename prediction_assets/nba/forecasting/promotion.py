"""Promotion: a trained model, the challenger, is tried against the model in force, the champion. Pure functions.

Both forecast the newest games, which neither was fitted on. Each difference is paired, player by player, with its
standard error by game. "Not worse" is a test of non-inferiority (Piaggio et al., "Reporting of Noninferiority and
Equivalence Randomized Trials", 2012): the upper limit of the difference must be below a margin, so that a model that
nothing is known about isn't promoted either. What doesn't belong here: training, and where models and verdicts are
stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.nba.forecasting.by_game import by_game
from prediction_assets.nba.forecasting.candidates import Sides
from prediction_assets.nba.forecasting.distribution import Distribution, quantile, ranked_probability_score
from prediction_assets.nba.forecasting.features import conform
from prediction_assets.nba.forecasting.model_document import ModelUnreadable, unpack
from prediction_assets.nba.forecasting.moving_average import MovingAverage
from prediction_assets.nba.forecasting.rows import Floats, Rows, is_regular
from prediction_assets.nba.forecasting.spread import Spread
from prediction_assets.nba.forecasting.stats import POINTS, of_stat
from prediction_assets.nba.forecasting.systems import (
    SYSTEMS,
    Fitted,
    FittedSystem,
    key_of,
    of_fitted,
    stats_fitted,
    system_versions,
    with_report,
)

TRIAL_SLATES = 28
"""Newest slates that a model isn't fitted on: some 3,000 player-games, a standard error of about 0.01 points between
two models of neighbouring weeks. A model of four years loses 4 % of its rows."""

TRIAL_SHARE = 0.2
"""Most of all slates that are kept for the trial, where there are few."""

LEAST_GAMES = 20
"""Games below which a trial says nothing."""

Z = 1.645
"""Standard errors up to the difference's upper limit: 95 %, one-sided."""

MARGIN, MEMBER_MARGIN = 0.005, 0.01
"""Share of the champion's error by which the upper limit of the challenger's may exceed it: of the ensemble, and of the
other systems. What two honest fits of ``similarity`` remember differs by 0.3 % +- 0.15 %."""

LARGEST_GAIN, LARGEST_FIRST_GAIN = 0.05, 0.08
"""Share of the error that no honest model saves: of a champion's, and of the simple forecast's. Models of 2022-25 save
up to 4.2 % of the simple forecast's error, and hindsight about who plays saves 2 % more."""

MOST_BIAS, MOST_FIRST_BIAS = 0.25, 1.0
"""Points by which the mean error may be further from 0 than the champion's; and without a champion, from 0."""

MOST_COVERAGE = 0.03
"""Share by which the 80 % intervals may be further from 80 % than the champion's."""

ERROR, CRPS, BIAS, INTERVAL = "absolute_error", "crps", "bias", "interval_80"

SIMPLE = Fitted(MovingAverage(), Spread())
"""Stands in for the champion where there is none: a moving average, shrunk to the season's mean, with nothing learnt.
It is better than the season's mean alone."""

_LIBRARIES = ("numpy", "scikit-learn", "scipy")


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of both models."""

    challenger: float
    champion: float
    difference: float  # of the challenger's less the champion's
    standard_error: float  # of the difference, by game

    @property
    def upper_limit(self) -> float:
        """What the difference is below, with 95 %."""
        return self.difference + Z * self.standard_error


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a challenger, and why.

    Attributes:
        slates, players: the trial's slates and player-games.
    """

    champion: str  # id of the model that it was compared with; '': none, the simple forecast stood in
    since: date | None
    until: date | None
    slates: int
    players: int
    problems: tuple[str, ...]  # why it is refused; none: it is promoted
    # each measure of each system, by their names
    systems: Mapping[str, Mapping[str, Compared]] = field(default_factory=dict)

    @property
    def is_promoted(self) -> bool:
        """Whether the challenger takes the champion's place."""
        return not self.problems

    def to_json(self) -> str:
        return json.dumps(
            {
                "champion": self.champion,
                "since": str(self.since or ""),
                "until": str(self.until or ""),
                "slates": self.slates,
                "players": self.players,
                "problems": self.problems,
                "systems": {
                    system: {
                        name: {
                            "challenger": round(each.challenger, 6),
                            "champion": round(each.champion, 6),
                            "difference": round(each.difference, 6),
                            "standard_error": round(each.standard_error, 6),
                        }
                        for name, each in measures.items()
                    }
                    for system, measures in self.systems.items()
                },
            },
            sort_keys=True,
        )


@cache  # reading what is installed takes 10 ms
def libraries() -> Mapping[str, str]:
    """Return the release, ``1.8``, of each library that fits the systems."""
    return {name: ".".join(metadata.version(name).split(".")[:2]) for name in _LIBRARIES}


def keep_for_trial(history: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the rows to fit a model on, and the rows of the newest slates, for its trial.

    Args:
        history: rows of :data:`.features.FEATURES_SCHEMA` with results.
    """
    days = sorted(pc.unique(history["game_date"]).to_pylist())
    kept = min(TRIAL_SLATES, int(len(days) * TRIAL_SHARE))
    if not kept:
        return history, history.slice(0, 0)
    newest = pc.greater_equal(history["game_date"], pa.scalar(days[-kept]))
    return history.filter(pc.invert(newest)), history.filter(newest)


def examine(
    challenger: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
    champion_systems: Mapping[str, FittedSystem] | None,
    trial: pa.Table,
    sides: Sides | None = None,
) -> Verdict:
    """Return the verdict on a challenger, from its row as it would be stored.

    Args:
        challenger: its row of ``points_models``.
        champion: the row of the model in force; None without one.
        champion_systems: its systems.
        trial: rows with results that the challenger wasn't fitted on (:func:`keep_for_trial`).
        sides: of the trial's dates that have injury reports: each model corrects its forecasts by the newest one.
    """
    if champion and champion["newest_game"]:  # of a short history it may have seen the trial's beginning
        trial = trial.filter(pc.greater(trial["game_date"], pa.scalar(champion["newest_game"])))
    days = sorted(pc.unique(trial["game_date"]).to_pylist())
    if trial.num_rows:
        trial = trial.filter(pa.array(is_regular(Rows(conform(trial)))))
    name = str(champion["model_id"]) if champion else ""
    problems = _described(challenger, champion, days)
    systems: Mapping[str, Mapping[str, Compared]] = {}
    if not problems:
        try:
            fitted = unpack(str(challenger["document"]), str(challenger["model_id"]))
        except ModelUnreadable as error:
            problems = [str(error)]
        else:
            systems, problems = _tried(fitted, champion_systems or {}, trial, sides)
    return Verdict(
        name,
        days[0] if days else None,
        days[-1] if days else None,
        len(days),
        trial.num_rows,
        tuple(problems),
        systems,
    )


def _tried(
    challenger: Mapping[str, FittedSystem],
    champion: Mapping[str, FittedSystem],
    trial: pa.Table,
    sides: Sides | None,
) -> tuple[dict[str, dict[str, Compared]], list[str]]:
    """Return each measure of each system of points and further stats, and what is wrong with the challenger."""
    games = trial["game_id"].to_pylist()
    if len({*games}) < LEAST_GAMES:
        return {}, [f"only {len({*games})} games are there to try it on, {LEAST_GAMES} are needed"]
    known = (POINTS, *stats_fitted(champion)) if champion else ()
    systems: dict[str, dict[str, Compared]] = {}
    problems: list[str] = []
    for stat in (POINTS, *stats_fitted(challenger)):
        old = of_fitted(champion, stat) if stat in known else None
        compared = _compared(of_fitted(challenger, stat), old, of_stat(trial, stat), sides)
        found = {key_of(stat, system): measures for system, measures in compared.items()}
        problems += _worse(found, has_champion=old is not None)
        systems |= found
    return systems, problems


def _described(
    challenger: Mapping[str, Any], champion: Mapping[str, Any] | None, days: list[date]
) -> list[str]:
    """Return what is wrong with a model by its own description."""
    problems = []
    newest = challenger["newest_game"]
    if newest is None:
        problems.append("it was fitted on no game")
    elif days and newest >= days[0]:
        problems.append(f"it was fitted on games until {newest}, and the trial begins on {days[0]}")
    elif champion and champion["newest_game"] and newest < champion["newest_game"]:
        problems.append(f"its newest game is of {newest}, and the champion's of {champion['newest_game']}")
    for what in ("systems", "libraries"):
        try:
            found = json.loads(challenger[what])
        except (TypeError, ValueError, RecursionError):
            found = None
        named = stats_fitted(found) if isinstance(found, dict) else ()
        wanted = system_versions(named) if what == "systems" else libraries()
        if found != wanted:
            problems.append(
                f"its {what} are {challenger[what]}, and this installation's {json.dumps(wanted)}"
            )
    return problems


def _compared(
    challenger: Mapping[str, FittedSystem],
    champion: Mapping[str, FittedSystem] | None,
    trial: pa.Table,
    sides: Sides | None,
) -> dict[str, dict[str, Compared]]:
    rows = with_report(challenger, Rows(trial), sides)
    olds = with_report(champion, Rows(trial), sides) if champion else rows
    points, games, found = rows["points"], trial["game_id"].to_pylist(), {}
    for system in (system.name for system in SYSTEMS):
        new = _measures(challenger[system].predict(rows), points)
        old = _measures((champion[system] if champion else SIMPLE).predict(olds), points)
        found[system] = {name: _pair(new[name], old[name], games) for name in new}
    return found


def _measures(forecast: Distribution, points: Floats) -> dict[str, Floats]:
    mean, deviation = forecast.mean, forecast.standard_deviation
    low, high = (quantile(mean, deviation, share) for share in (0.1, 0.9))
    return {
        ERROR: np.abs(forecast.median - points),
        CRPS: ranked_probability_score(mean, deviation, points),
        BIAS: mean - points,
        INTERVAL: ((low <= points) & (points <= high)).astype(np.float64),
    }


def _pair(new: Floats, old: Floats, games: list[str]) -> Compared:
    difference = by_game(new - old, games)
    return Compared(
        float(new.mean()), float(old.mean()), difference.mean or 0.0, difference.standard_error or 0.0
    )


def _worse(systems: Mapping[str, Mapping[str, Compared]], *, has_champion: bool) -> list[str]:
    """Return in which systems and measures the challenger is worse, or too good to be true."""
    problems = []
    against = "the champion" if has_champion else "a moving average"
    gain = LARGEST_GAIN if has_champion else LARGEST_FIRST_GAIN
    ensemble = [*systems][-1]
    for system, measures in systems.items():
        margin = MARGIN if system == ensemble else MEMBER_MARGIN
        for name, unit in ((ERROR, "mean absolute error"), (CRPS, "CRPS")):
            found = measures[name]
            if found.upper_limit > margin * found.champion:
                problems.append(
                    f"{system}: its {unit} is {found.difference:+.3f} +- {found.standard_error:.3f} points beside that "
                    f"of {against}"
                )
            elif name == ERROR and found.difference < -gain * found.champion:
                problems.append(
                    f"{system}: its {unit} of {found.challenger:.3f} is {-found.difference / found.champion:.0%} below "
                    f"that of {against}: it must have seen the results"
                )
        bias, interval = measures[BIAS], measures[INTERVAL]
        if abs(bias.challenger) > (abs(bias.champion) + MOST_BIAS if has_champion else MOST_FIRST_BIAS):
            problems.append(
                f"{system}: its bias is {bias.challenger:+.2f} points, and {bias.champion:+.2f} that of {against}"
            )
        if abs(interval.challenger - 0.8) > abs(interval.champion - 0.8) + MOST_COVERAGE:
            problems.append(
                f"{system}: its 80 % intervals cover {interval.challenger:.1%}, and {interval.champion:.1%} those of "
                f"{against}"
            )
    if not has_champion and systems[ensemble][ERROR].difference >= 0:
        problems.append(f"{ensemble}: it doesn't beat a moving average")
    return problems

"""The record so far: what the grades of past slates say of each system, with how sure that is. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import special

from prediction_assets.nba.forecasting.grading import DECILES, Grade, pool

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % confidence interval; without limits where one slate can't say how slates differ."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Tenth:
    """The market lines whose P(over) lies in one tenth of [0, 1].

    Attributes:
        predicted: their mean P(over).
        over: the share that went over.
    """

    lines: int
    predicted: float
    over: Interval


@dataclass(frozen=True, slots=True)
class Record:
    """One system on all graded slates; a figure is None where there was nothing to average.

    Attributes:
        error: mean absolute error, points.
        bias: mean of predicted minus actual points.
        hit_rate: bets that won, of those that were decided.
        mean_return: profit of a stake of 1.
        closing_line_value: points by which the closing line moved in favor of the bets.
        calibration: the tenths that have lines.
    """

    system: str
    slates: int
    players: int
    bets: int
    hits: int
    error: Interval | None
    bias: Interval | None
    hit_rate: Interval | None
    mean_return: Interval | None
    closing_line_value: Interval | None
    brier_score: Interval | None
    calibration: Sequence[Tenth]


def record_of(rows: Sequence[Mapping[str, Any]]) -> Record:
    """Return one system's record.

    Args:
        rows: its rows of ``prediction_grades``, one per slate, at least one.
    """
    grades = [Grade.from_row(row) for row in rows]
    whole = pool(grades)
    returns = [(g.mean_return, g.bets) for g in grades]
    tenths = [
        Tenth(d.lines, d.predicted / d.lines, share_of(d.over, d.lines)) for d in whole.calibration if d.lines
    ]
    return Record(
        system=whole.system,
        slates=len(grades),
        players=whole.players,
        bets=whole.bets,
        hits=whole.hits,
        error=mean_of([(g.mean_absolute_error, g.players) for g in grades]),
        bias=mean_of([(g.bias, g.players) for g in grades]),
        hit_rate=share_of(whole.hits, whole.bets) if whole.bets else None,
        mean_return=mean_of(returns),
        closing_line_value=mean_of([(g.closing_line_value, g.bets) for g in grades]),
        brier_score=mean_of([(g.brier_score, g.lines) for g in grades]),
        calibration=tenths[:DECILES],
    )


def share_of(hits: int, trials: int) -> Interval:
    """Return a share with Wilson's interval ("Probable Inference", 1927), which stays within 0 and 1."""
    z = float(special.ndtri((1 + CONFIDENCE) / 2))
    share, spread = hits / trials, z * z / trials
    center = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return Interval(share, max(0.0, center - half), min(1.0, center + half))


def mean_of(slates: Sequence[tuple[float | None, int]]) -> Interval | None:
    """Return the mean over slates, each counted as often as it has players, with Student's interval.

    A slate's players share its games, so slates are what is drawn: the error is that of a ratio estimator (Cochran,
    "Sampling Techniques", 1977, ch. 6).

    Args:
        slates: each slate's mean, None where it has none, and how many players it is of.
    """
    known = [(mean, weight) for mean, weight in slates if mean is not None and weight]
    total = sum(weight for _, weight in known)
    if not total:
        return None
    mean = sum(each * weight for each, weight in known) / total
    if len(known) == 1:
        return Interval(mean)
    squares = sum((weight * (each - mean)) ** 2 for each, weight in known)
    error = math.sqrt(squares * len(known) / (len(known) - 1)) / total
    half = error * float(special.stdtrit(len(known) - 1, (1 + CONFIDENCE) / 2))
    return Interval(mean, mean - half, mean + half)

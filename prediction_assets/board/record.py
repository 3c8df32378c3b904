"""The record so far: what the grades of past slates say of each system, with how sure that is. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prediction_assets.nba.forecasting.by_game import ALL, ByGame, Interval, share_of
from prediction_assets.nba.forecasting.grading import COIN, DECILES, Grade, pool


@dataclass(frozen=True, slots=True)
class Tenth:
    """The market lines whose P(over) lies in one tenth of [0, 1]."""

    lines: int
    predicted: float  # their mean P(over)
    over: Interval  # the share that went over


@dataclass(frozen=True, slots=True)
class Record:
    """One system on all graded slates; a figure is None where there was nothing to average."""

    system: str
    slates: int
    players: int
    bets: int
    hits: int
    error: Interval | None  # mean absolute error, points
    bias: Interval | None  # mean of predicted minus actual points
    hit_rate: Interval | None  # bets that won, of those that were decided
    mean_return: Interval | None  # profit of a stake of 1
    closing_line_value: Interval | None  # points by which the closing line moved in favor of the bets
    brier_score: Interval | None
    calibration: Sequence[Tenth]  # the tenths that have lines


def record_of(rows: Sequence[Mapping[str, Any]]) -> Record:
    """Return one system's record.

    Args:
        rows: its rows of ``prediction_grades``, one per slate, at least one.
    """
    grades = [Grade.from_row(row) for row in rows]
    whole = pool(grades)
    tenths = [
        Tenth(d.lines, d.predicted / d.lines, share_of(d.over, d.lines)) for d in whole.calibration if d.lines
    ]

    def interval(measure: str) -> Interval | None:
        return whole.measures.get(ALL, {}).get(measure, ByGame()).interval

    less_coin = interval("brier_less_coin")
    return Record(
        system=whole.system,
        slates=len(grades),
        players=whole.players,
        bets=whole.bets,
        hits=whole.hits,
        error=interval("absolute_error"),
        bias=interval("bias"),
        hit_rate=share_of(whole.hits, whole.bets) if whole.bets else None,
        mean_return=interval("mean_return"),
        closing_line_value=interval("closing_line_value"),
        brier_score=None if less_coin is None else less_coin.shifted(COIN),
        calibration=tenths[:DECILES],
    )

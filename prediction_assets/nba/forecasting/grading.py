"""Grades: pure functions from forecasts and results to measures, once the games are played.

What belongs here: matching forecasts with results, the measures, and pooling them over slates. What doesn't: reading
forecasts and results, and storing grades.

A player without a game log is void: a book refunds the bet, so he counts neither as zero points nor as an error.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from prediction_assets.nba.forecasting.by_game import ALL, ByGame, Measures, add_up, measured
from prediction_assets.nba.forecasting.distribution import mean_of, ranked_probability_score
from prediction_assets.nba.forecasting.lines import MARKET
from prediction_assets.nba.forecasting.market_aware import MARKET_WEIGHT
from prediction_assets.nba.forecasting.recommendation import OVER, UNDER, share_over
from prediction_assets.nba.forecasting.rows import Floats, Rows
from prediction_assets.nba.forecasting.special import log_odds
from prediction_assets.nba.forecasting.stats import STATS, of_stat
from prediction_assets.slate.markets import POINTS, Market, labelled

DECILES = 10

COIN = 0.25
"""The Brier score of a coin's 50 %."""

ENSEMBLE = "ensemble"
"""The system that the others are compared with."""

SEASON_MEAN, LAST_5_MEAN, LAST_GAME, MARKET_LINE = "season_mean", "last_5_mean", "last_game", "market_line"
"""Yardsticks: forecasts without a system. ``market_line`` is the books' line, on the players who have one."""


@dataclass(frozen=True, slots=True)
class Decile:
    """Market lines whose P(over) lies in one tenth of [0, 1]: how many, the sum of P(over), and the overs."""

    lines: int = 0
    predicted: float = 0.0
    over: int = 0


@dataclass(frozen=True, slots=True)
class Grade:
    """The measures of one system on some players in one market; a mean is None where there was nothing to average.

    Attributes:
        own_score, own_information: sums over ``lines`` from which :attr:`own_weight` follows.
    """

    system: str
    system_version: str = ""
    market: str = POINTS.name
    players: int = 0  # players with a forecast and a result
    voids: int = 0  # players with a forecast and no result; in no other figure
    mean_absolute_error: float | None = None  # points, over all `players`
    bias: float | None = None  # mean of predicted minus actual points
    lines: int = 0  # players with a market line that wasn't hit exactly
    line_players: int = 0  # players with a market line
    line_error: float | None = None  # mean absolute error over `line_players`, points
    brier_score: float | None = None  # mean squared error of P(over, no push) over `lines`
    bets: int = 0  # lines with a recommendation of OVER or UNDER
    hits: int = 0  # bets that won
    # what a stake of 1 on each bet, at its price, has won or lost; a bet at a main line counts
    profit: float = 0.0
    own_score: float = 0.0
    own_information: float = 0.0
    own_variance: float = 0.0  # sum of the slates' squared `own_score`
    calibration: tuple[Decile, ...] = field(default=())
    # means with their errors by game, for everybody and each group (`by_game`): `absolute_error`;
    # `less_ensemble` and `less_line`, the absolute error less theirs, of the same players; `line_error`;
    # `crps`; `interval_80`, the share within it; `brier_less_coin`; `hit_rate`; `mean_return`; `bias`;
    # `closing_line_value`, the points by which the closing line moved in favor of a bet
    measures: Measures = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The system's name, after its market's where that isn't points."""
        return labelled(self.market, self.system)

    @property
    def hit_rate(self) -> float | None:
        """Bets that won, of those that were decided."""
        return self.hits / self.bets if self.bets else None

    @property
    def coverage(self) -> float | None:
        """Market lines with a recommendation, of all."""
        return self.bets / self.lines if self.lines else None

    @property
    def own_weight(self) -> tuple[float, float] | None:
        """The weight that the system's own log-odds should have beside the market's, and its standard error by slate.

        One step of Newton's from the weight in use, in a logistic regression of the overs with the market's log-odds as
        offset; the error is the sandwich's (Liang & Zeger, 1986).
        """
        if not self.own_information:
            return None
        step = self.own_score / self.own_information
        return 1 - MARKET_WEIGHT + step, float(np.sqrt(self.own_variance)) / self.own_information

    @property
    def closing_line_value(self) -> float | None:
        """By how many points the closing line moved in favor of the bets, on average."""
        return self.measures.get(ALL, {}).get("closing_line_value", ByGame()).mean

    @property
    def mean_return(self) -> float | None:
        """Profit of a stake of 1, over the decided bets."""
        return self.profit / self.bets if self.bets else None

    def to_row(self) -> dict[str, Any]:
        return {
            "market": self.market,
            "system": self.system,
            "system_version": self.system_version,
            "players": self.players,
            "voids": self.voids,
            "mean_absolute_error": self.mean_absolute_error,
            "bias": self.bias,
            "lines": self.lines,
            "line_players": self.line_players,
            "line_error": self.line_error,
            "brier_score": self.brier_score,
            "bets": self.bets,
            "hits": self.hits,
            "profit": self.profit,
            "own_score": self.own_score,
            "own_information": self.own_information,
            "own_variance": self.own_variance,
            "hit_rate": self.hit_rate,
            "coverage": self.coverage,
            "closing_line_value": self.closing_line_value,
            "calibration": json.dumps(
                [
                    {"lines": d.lines, "predicted": round(d.predicted, 6), "over": d.over}
                    for d in self.calibration
                ]
            ),
            "measures": json.dumps(
                {
                    group: {name: astuple(each) for name, each in by_name.items()}
                    for group, by_name in self.measures.items()
                }
            ),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Grade:
        deciles = tuple(Decile(**decile) for decile in json.loads(row["calibration"]))
        measures = {
            group: {name: ByGame(*sums) for name, sums in by_name.items()}
            for group, by_name in json.loads(row["measures"]).items()
        }
        names = (name for name in cls.__slots__ if name not in ("calibration", "measures"))
        return cls(**{name: row[name] for name in names}, calibration=deciles, measures=measures)


def grade_forecasts(
    forecasts: pa.Table,
    results: Mapping[tuple[str, int], float],
    groups: Mapping[str, Collection[int]] | None = None,
    closing: Mapping[int, float] | None = None,
) -> list[Grade]:
    """Return a grade for each system, sorted by name, and one for the market's lines if there are any.

    Args:
        forecasts: one row per player and system, at his main line: ``system``, ``system_version``, ``game_id``,
            ``player_id``, ``line``, ``line_source``, ``predicted_points``, ``probability_over``,
            ``probability_push``, ``recommendation``, ``market_probability``, ``bet_odds``, ``standard_deviation``,
            ``quantiles``.
        results: points by ``(game_id, player_id)`` of those who played.
        groups: ids of the players of each group that is measured on its own (:func:`.by_game.groups_of`).
        closing: the newest main line before the tip-off, by player id. A bet of OVER gains by a line that rises, one of
            UNDER by a line that falls.
    """
    by_system: dict[str, list[dict[str, Any]]] = {}
    for row in forecasts.to_pylist():
        by_system.setdefault(row["system"], []).append(row)
    ensemble = {(r["game_id"], r["player_id"]): r["predicted_points"] for r in by_system.get(ENSEMBLE, ())}
    grades = [
        _grade_system(name, rows, results, ensemble, groups or {}, closing or {})
        for name, rows in sorted(by_system.items())
    ]
    if grades:
        first = by_system[min(by_system)]
        offered = [r for r in first if r["line_source"] == MARKET]
        line = {(r["game_id"], r["player_id"]): float(r["line"]) for r in offered}
        if line:
            grades.append(grade_yardstick(MARKET_LINE, line, results, lined=line.keys()))
    return grades


FIRST_PUBLISHED, BEFORE_TIP_OFF = "first_published", "before_tip_off"
"""Moments at which a player's rows are graded: his first ones, and those in force when his game began."""


def published_at_moments(
    ledger: pa.Table, tip_offs: Mapping[frozenset[str], datetime]
) -> dict[str, pa.Table]:
    """Return the rows that each player and system had first, and those that they had when the game began.

    Rows that came into force after the tip-off are in neither: nobody could bet on them.

    Args:
        ledger: rows at main lines that are, or were, in force: the columns of :func:`grade_forecasts` with ``team``,
            ``opponent``, ``created_at``, ``superseded_at``; of a player and system oldest first.
        tip_offs: when each game begins, by its teams. A game without one counts as still to come.
    """
    rows = ledger.select(
        ["game_id", "player_id", "system", "team", "opponent", "created_at", "superseded_at"]
    )
    first: dict[tuple[str, int, str], int] = {}
    last: dict[tuple[str, int, str], int] = {}
    for number, row in enumerate(rows.to_pylist()):
        begins = tip_offs.get(frozenset((row["team"], row["opponent"])))
        if begins is not None and row["created_at"] >= begins:
            continue
        key = (row["game_id"], row["player_id"], row["system"])
        first.setdefault(key, number)
        closed = row["superseded_at"]
        if closed is None or (begins is not None and closed > begins):
            last[key] = number
    return {
        FIRST_PUBLISHED: ledger.take(pa.array(first.values(), pa.int64())),
        BEFORE_TIP_OFF: ledger.take(pa.array(last.values(), pa.int64())),
    }


def grade_yardstick(
    name: str,
    forecasts: Mapping[tuple[str, int], float],
    results: Mapping[tuple[str, int], float],
    lined: Iterable[tuple[str, int]] = (),
) -> Grade:
    """Return the grade of plain numbers by ``(game_id, player_id)``; ``lined`` are the keys with a market line."""
    played = [key for key in sorted(forecasts) if key in results]
    errors = np.array([forecasts[key] - results[key] for key in played])
    having_line = set(lined)
    on_line = np.array([key in having_line for key in played], dtype=bool)
    return Grade(
        name,
        players=len(played),
        voids=len(forecasts) - len(played),
        mean_absolute_error=_mean(np.abs(errors)),
        bias=_mean(errors),
        line_players=int(on_line.sum()),
        line_error=_mean(np.abs(errors[on_line])) if len(played) else None,
    )


def naive_forecasts(players: pa.Table, market: Market = POINTS) -> dict[str, dict[tuple[str, int], float]]:
    """Return the naive yardsticks' forecasts of slate rows, by name and ``(game_id, player_id)``.

    A player without a game has none.
    """
    keys = list(zip(players["game_id"].to_pylist(), players["player_id"].to_pylist(), strict=True))
    said = dict.fromkeys((SEASON_MEAN, LAST_5_MEAN, LAST_GAME), np.zeros(len(keys)))
    for stat in market.stats:
        rows, unit = Rows(of_stat(players, stat)), STATS[stat].unit
        season = np.where(np.isfinite(rows["points_season"]), rows["points_season"], rows["points_last_10"])
        for name, values in (
            (SEASON_MEAN, season),
            (LAST_5_MEAN, rows["points_last_5"]),
            (LAST_GAME, rows["points_last_1"]),
        ):
            said[name] = said[name] + values / unit
    return {
        name: {key: float(value) for key, value in zip(keys, values, strict=True) if np.isfinite(value)}
        for name, values in said.items()
    }


def pool(grades: Sequence[Grade]) -> Grade:
    """Return one system's grade over many slates.

    Raises:
        ValueError: there is none, or they are of several systems or markets.
    """
    ((name, market),) = {(grade.system, grade.market) for grade in grades}
    versions = sorted({grade.system_version for grade in grades})
    tenths = [grade.calibration for grade in grades if grade.calibration]
    return Grade(
        name,
        ", ".join(versions),
        market,
        players=sum(g.players for g in grades),
        voids=sum(g.voids for g in grades),
        mean_absolute_error=_weighted((g.mean_absolute_error, g.players) for g in grades),
        bias=_weighted((g.bias, g.players) for g in grades),
        lines=sum(g.lines for g in grades),
        line_players=sum(g.line_players for g in grades),
        line_error=_weighted((g.line_error, g.line_players) for g in grades),
        brier_score=_weighted((g.brier_score, g.lines) for g in grades),
        bets=sum(g.bets for g in grades),
        hits=sum(g.hits for g in grades),
        profit=sum(g.profit for g in grades),
        own_score=sum(g.own_score for g in grades),
        own_information=sum(g.own_information for g in grades),
        own_variance=sum(g.own_variance for g in grades),
        calibration=tuple(
            Decile(
                sum(t[n].lines for t in tenths),
                sum(t[n].predicted for t in tenths),
                sum(t[n].over for t in tenths),
            )
            for n in range(DECILES if tenths else 0)
        ),
        measures=add_up(g.measures for g in grades),
    )


def _grade_system(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    results: Mapping[tuple[str, int], float],
    ensemble: Mapping[tuple[str, int], float],
    groups: Mapping[str, Collection[int]],
    closing: Mapping[int, float],
) -> Grade:
    played = [row for row in rows if (row["game_id"], row["player_id"]) in results]
    points = np.array([results[row["game_id"], row["player_id"]] for row in played], dtype=np.float64)
    errors = np.array([row["predicted_points"] for row in played]) - points
    line = np.array([float(row["line"]) for row in played])
    offered = np.array([row["line_source"] == MARKET for row in played], dtype=bool)
    decided = offered & (points != line) if len(played) else offered
    over = points > line
    share = share_over(
        np.array([row["probability_over"] for row in played], dtype=np.float64),
        np.array([row["probability_push"] for row in played], dtype=np.float64),
    )
    said = np.array([row["recommendation"] for row in played], dtype=str)
    bets = decided & np.isin(said, (OVER, UNDER))
    hits = bets & ((said == OVER) == over)
    odds = np.array([row["bet_odds"] or 0.0 for row in played])
    market = np.array([row["market_probability"] or 0.5 for row in played])
    # The system's own log-odds less the market's, from what :func:`.market_aware.with_market` made of both.
    apart = (log_odds(share) - log_odds(market)) / (1 - MARKET_WEIGHT)
    score = float(np.sum((apart * (over - share))[decided]))
    keys = [(row["game_id"], row["player_id"]) for row in played]
    rise = np.array([closing.get(player, np.nan) for _, player in keys]) - line
    is_bet = offered & np.isin(said, (OVER, UNDER))
    ensemble_error = np.abs(np.array([ensemble.get(key, np.nan) for key in keys]) - points)
    deviation = np.array([row["standard_deviation"] for row in played], dtype=np.float64)
    quantiles = [json.loads(row["quantiles"]) for row in played]
    low, high = (np.array([q[percent] for q in quantiles], dtype=np.float64) for percent in ("10", "90"))
    values = {
        "absolute_error": np.abs(errors),
        "bias": errors,
        "less_ensemble": np.abs(errors) - ensemble_error,
        "line_error": np.where(offered, np.abs(errors), np.nan),
        "less_line": np.where(offered, np.abs(errors) - np.abs(line - points), np.nan),
        "crps": ranked_probability_score(mean_of(errors + points, deviation), deviation, points),
        "interval_80": ((low <= points) & (points <= high)).astype(np.float64),
        "brier_less_coin": np.where(decided, (share - over) ** 2 - COIN, np.nan),
        "hit_rate": np.where(bets, hits, np.nan),
        "mean_return": np.where(bets, np.where(hits, odds, 0.0) - 1, np.nan),
        "closing_line_value": np.where(is_bet, np.where(said == OVER, rise, -rise), np.nan),
    }
    return Grade(
        name,
        ", ".join(sorted({row["system_version"] for row in rows})),
        players=len(played),
        voids=len(rows) - len(played),
        mean_absolute_error=_mean(np.abs(errors)),
        bias=_mean(errors),
        lines=int(decided.sum()),
        line_players=int(offered.sum()),
        line_error=_mean(np.abs(errors[offered])),
        brier_score=_mean((share - over)[decided] ** 2),
        bets=int(bets.sum()),
        hits=int(hits.sum()),
        profit=float(np.sum(np.where(hits, odds, 0.0)[bets] - 1)),
        own_score=score,
        own_information=float(np.sum((apart**2 * share * (1 - share))[decided])),
        own_variance=score**2,
        calibration=_deciles(share[decided], over[decided]),
        measures=measured(values, [game for game, _ in keys], [player for _, player in keys], groups),
    )


def _deciles(share: Floats, over: Any) -> tuple[Decile, ...]:
    tenth = np.clip((share * DECILES).astype(np.int64), 0, DECILES - 1)
    return tuple(
        Decile(int((tenth == n).sum()), float(share[tenth == n].sum()), int(over[tenth == n].sum()))
        for n in range(DECILES)
    )


def _mean(values: Floats) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _weighted(pairs: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in pairs if value is not None and weight]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None

"""Grades: what is counted, what is void, and that pooling is the same as grading everything at once."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import special

from prediction_assets.nba.forecasting.grading import Grade, grade_forecasts, grade_yardstick, pool
from prediction_assets.nba.forecasting.market_aware import MARKET_WEIGHT


def forecast(player_id: int, points: float, **cells: Any) -> dict[str, Any]:
    return {
        "system": "ensemble", "system_version": "2", "game_id": "1", "player_id": player_id,
        "line": Decimal("20.50"), "line_source": "market", "predicted_points": points, "probability_over": 0.5,
        "probability_push": 0.0, "recommendation": "PASS", "market_probability": None, "bet_odds": 1.9,
        "standard_deviation": 6.0, "quantiles": json.dumps({"10": points - 6, "90": points + 8}),
    } | cells  # fmt: skip


def graded(rows: list[dict[str, Any]], results: dict[tuple[str, int], float]) -> dict[str, Grade]:
    return {grade.system: grade for grade in grade_forecasts(pa.Table.from_pylist(rows), results)}


ROWS = [
    forecast(1, 24.0, probability_over=0.64, recommendation="OVER"),
    forecast(2, 18.0, probability_over=0.36, recommendation="UNDER"),
    forecast(
        3, 21.0, line=Decimal("20.00"), probability_over=0.45, probability_push=0.1, recommendation="OVER"
    ),
    forecast(4, 9.0, line=Decimal("8.50"), line_source="estimated", recommendation="NO_LINE"),
    forecast(5, 30.0, probability_over=0.9, recommendation="OVER"),
]
RESULTS = {("1", 1): 28.0, ("1", 2): 25.0, ("1", 3): 20.0, ("1", 4): 12.0}


def test_each_figure_is_what_a_reader_computes_by_hand() -> None:
    grade = graded(ROWS, RESULTS)["ensemble"]
    assert (grade.players, grade.voids) == (4, 1)
    assert grade.mean_absolute_error == pytest.approx((4 + 7 + 1 + 3) / 4)
    assert grade.bias == pytest.approx((-4 - 7 + 1 - 3) / 4)
    assert (grade.line_players, grade.line_error) == (3, pytest.approx((4 + 7 + 1) / 3))
    assert grade.lines == 2, "a push is neither over nor under"
    assert grade.brier_score == pytest.approx((0.36**2 + 0.64**2) / 2)
    assert (grade.bets, grade.hits, grade.hit_rate, grade.coverage) == (2, 1, 0.5, 1.0)
    assert (grade.profit, grade.mean_return) == (pytest.approx(0.9 - 1), pytest.approx(-0.05))
    assert [(n, d.lines, d.over) for n, d in enumerate(grade.calibration) if d.lines] == [
        (3, 1, 1),
        (6, 1, 1),
    ]


def test_the_market_s_line_is_graded_beside_the_systems() -> None:
    line = graded(ROWS, RESULTS)["market_line"]
    assert line.mean_absolute_error == line.line_error == pytest.approx((7.5 + 4.5 + 0) / 3)
    assert line.voids == 1


def test_nobody_played_is_a_grade_without_figures() -> None:
    grade = graded(ROWS, {})["ensemble"]
    assert (grade.players, grade.voids, grade.mean_absolute_error, grade.brier_score) == (0, 5, None, None)
    assert grade.hit_rate is grade.coverage is grade.bias is None
    assert Grade.from_row(grade.to_row()) == grade


def test_no_forecasts_are_no_grades() -> None:
    assert grade_forecasts(pa.Table.from_pylist(ROWS).slice(0, 0), RESULTS) == []


def test_pooled_slates_are_graded_like_one() -> None:
    together = graded(ROWS, RESULTS)["ensemble"]
    apart = pool([graded(ROWS[:2], RESULTS)["ensemble"], graded(ROWS[2:], RESULTS)["ensemble"]])
    for name in ("players", "voids", "lines", "line_players", "bets", "hits"):
        assert getattr(apart, name) == getattr(together, name), name
    for name in (
        "mean_absolute_error", "bias", "line_error", "brier_score", "hit_rate", "coverage", "profit", "own_score",
        "own_information",
    ):  # fmt: skip
        assert getattr(apart, name) == pytest.approx(getattr(together, name)), name
    assert [(d.lines, d.over) for d in apart.calibration] == [(d.lines, d.over) for d in together.calibration]


@pytest.mark.parametrize("true_weight", [0.0, 0.3])
def test_the_weight_that_a_system_should_have_beside_the_market_is_found(true_weight: float) -> None:
    random = np.random.default_rng(5)
    slates = []
    for _ in range(20):
        market, own = special.expit(random.normal(0, 0.3, (2, 100)))
        apart = special.logit(own) - special.logit(market)
        said, true = (
            special.expit(special.logit(market) + w * apart) for w in (1 - MARKET_WEIGHT, true_weight)
        )
        results = np.where(random.uniform(size=100) < true, 30.0, 10.0)
        rows = [
            forecast(n, 20.0, probability_over=over, market_probability=fair)
            for n, (over, fair) in enumerate(zip(said.tolist(), market.tolist(), strict=True))
        ]
        slates.append(
            graded(rows, {("1", n): points for n, points in enumerate(results.tolist())})["ensemble"]
        )
    found = pool(slates).own_weight
    assert found is not None
    assert 0.05 < found[1] < 0.2
    assert abs(found[0] - true_weight) < 2 * found[1]


def test_a_grade_survives_the_warehouse() -> None:
    grade = graded(ROWS, RESULTS)["ensemble"]
    assert Grade.from_row(grade.to_row()) == grade


def test_measures_are_paired_with_the_ensemble_and_the_line_and_given_by_group() -> None:
    other = [{**row, "system": "matchup", "predicted_points": row["predicted_points"] + 2} for row in ROWS]
    games = {1: "1", 2: "2", 3: "2", 4: "1", 5: "1"}
    rows = [{**row, "game_id": games[row["player_id"]]} for row in [*ROWS, *other]]
    rows[1]["quantiles"] = '{"10": 12.0, "90": 24.9}'  # he scored 25
    results = {(games[player], player): points for (_, player), points in RESULTS.items()}
    found = {
        grade.system: grade.measures
        for grade in grade_forecasts(pa.Table.from_pylist(rows), results, {"bench": {1, 4}, "starters": {9}})
    }
    everybody, paired = found["ensemble"]["all"], found["matchup"]["all"]
    assert found["ensemble"].keys() == {"all", "bench"}
    assert everybody["absolute_error"].mean == pytest.approx((4 + 7 + 1 + 3) / 4)
    # Games of 7 and 8 points for two players each: 3.5 and 4 around 3.75, so sqrt((0.25 + 0.25) * 2) / 4.
    assert everybody["absolute_error"].standard_error == pytest.approx(0.25)
    assert everybody["less_ensemble"].mean == 0.0
    # 2 points higher: three forecasts were too low, and the third player's was too high.
    assert paired["less_ensemble"].mean == pytest.approx((-2 - 2 + 2 - 2) / 4)
    # Of the game's totals -4 and 0 around the mean of -1 for each player: -2 and 2.
    assert paired["less_ensemble"].standard_error == pytest.approx(1.0)
    assert everybody["less_line"].mean == pytest.approx(((4 - 7.5) + (7 - 4.5) + (1 - 0)) / 3)
    assert everybody["interval_80"].mean == 0.75
    assert everybody["brier_less_coin"].mean == pytest.approx((0.36**2 + 0.64**2) / 2 - 0.25)
    assert (everybody["hit_rate"].mean, everybody["mean_return"].mean) == (0.5, pytest.approx(-0.05))
    assert found["ensemble"]["bench"]["absolute_error"].mean == pytest.approx((4 + 3) / 2)
    assert 0 < everybody["crps"].mean < everybody["absolute_error"].mean


def test_a_yardstick_is_graded_by_its_numbers_alone() -> None:
    grade = grade_yardstick("last_game", {("1", 1): 30.0, ("1", 9): 5.0}, RESULTS, lined=[("1", 1)])
    assert (grade.players, grade.voids, grade.mean_absolute_error, grade.line_error) == (1, 1, 2.0, 2.0)
    assert (grade.lines, grade.brier_score) == (0, None)

"""The points distribution: proper probabilities whatever the forecast and the line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prediction_assets.forecasting.distribution import probability_over, probability_push

MEANS = st.floats(0.05, 60)
DEVIATIONS = st.floats(0.05, 30)
LINES = st.integers(-4, 400).map(lambda halves: halves / 2)


def test_probabilities_are_the_negative_binomial_s() -> None:
    mean, deviation = 17.3, 6.8
    size = mean**2 / (deviation**2 - mean)
    exact = stats.nbinom(size, size / (size + mean))
    assert probability_over(mean, deviation, [16.5, 17, 6.5]) == pytest.approx(
        exact.sf([16, 17, 6]), abs=1e-12
    )
    assert probability_push(mean, deviation, [17, 0, 24]) == pytest.approx(exact.pmf([17, 0, 24]), abs=1e-12)


def test_a_variance_at_the_mean_is_poisson_s() -> None:
    for factor in (1.0, 1 + 2e-6):
        over = probability_over(9.0, np.sqrt(9.0 * factor), [3.5, 9, 20.5])
        assert over == pytest.approx(stats.poisson(9.0).sf([3, 9, 20]), abs=1e-5)


@given(MEANS, DEVIATIONS, LINES)
def test_the_over_is_never_certain_and_never_impossible(mean: float, deviation: float, line: float) -> None:
    over, push = (
        float(probability_over(mean, deviation, line)),
        float(probability_push(mean, deviation, line)),
    )
    assert 0.0001 <= over <= 0.9999
    assert 0 <= push <= 1 - over
    assert push == 0 or (line.is_integer() and line >= 0)


@given(MEANS, DEVIATIONS)
def test_the_over_never_rises_with_the_line(mean: float, deviation: float) -> None:
    over = probability_over(mean, deviation, np.arange(-2, 201) / 2)
    assert (np.diff(over) <= 1e-12).all()


@given(st.floats(0.5, 50), st.floats(1.05, 6), st.integers(0, 60))
def test_over_push_and_under_share_out_everything(mean: float, ratio: float, line: int) -> None:
    deviation = np.sqrt(mean * ratio)
    at_least = probability_over(mean, deviation, line - 0.5)
    apart = probability_over(mean, deviation, line) + probability_push(mean, deviation, line)
    assert float(apart) == pytest.approx(float(at_least), abs=2e-4)


@pytest.mark.parametrize("line", [0, 200, -3.5, 1e9])
def test_an_absurd_line_has_a_finite_probability(line: float) -> None:
    assert np.isfinite(probability_over([0.05, 15, 60], [0.3, 6, 9], line)).all()
    assert np.isfinite(probability_push([0.05, 15, 60], [0.3, 6, 9], line)).all()


@pytest.mark.parametrize(
    "arguments", [(np.nan, 1, 1), (10, np.inf, 1), (10, 5, np.nan), (0, 1, 1), (5, 0, 1)]
)
def test_what_is_no_distribution_is_refused(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        probability_over(*arguments)

"""The points distribution: proper probabilities whatever the forecast and the line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.nba.forecasting.distribution import (
    mean_of,
    median,
    probability_over,
    probability_push,
    quantile,
    ranked_probability_score,
)

MEANS = st.floats(0.05, 60)
DEVIATIONS = st.floats(0.05, 30)
LINES = st.integers(-4, 400).map(lambda halves: halves / 2)


@pytest.fixture(scope="module")
def gamma() -> Any:
    """Return SciPy's distribution; its import takes a second, so that collecting doesn't wait for it."""
    from scipy import stats

    return stats.gamma


@pytest.mark.parametrize(("mean", "deviation"), [(2.0, 3.7), (5.0, 4.7), (10.0, 5.9), (30.0, 9.3)])
def test_quantiles_are_those_of_the_same_gamma(gamma: Any, mean: float, deviation: float) -> None:
    shares = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
    exact = gamma((2 * mean / deviation) ** 2, scale=deviation**2 / (2 * mean), loc=-mean)
    assert quantile(mean, deviation, shares) == pytest.approx(np.maximum(exact.ppf(shares), 0), abs=0.1)


def test_probabilities_are_those_of_a_gamma_that_is_shifted_by_its_mean(gamma: Any) -> None:
    mean, deviation = 17.3, 6.8
    exact = gamma((2 * mean / deviation) ** 2, scale=deviation**2 / (2 * mean), loc=-mean)
    assert exact.mean() == pytest.approx(mean)
    assert exact.std() == pytest.approx(deviation)
    assert float(exact.stats("s")) == pytest.approx(deviation / mean)
    assert probability_over(mean, deviation, [16.5, 17, 6.5]) == pytest.approx(
        exact.sf([16.5, 17.5, 6.5]), rel=1e-12, abs=1e-12
    )
    assert probability_push(mean, deviation, [17, 24]) == pytest.approx(
        exact.cdf([17.5, 24.5]) - exact.cdf([16.5, 23.5]), rel=1e-12, abs=1e-12
    )


@settings(max_examples=40)
@given(st.floats(2, 40), st.floats(0.25, 1.2))
def test_the_median_is_exceeded_half_of_the_time(gamma: Any, mean: float, ratio: float) -> None:
    found = float(median(mean, ratio * mean))
    exceeded = gamma.sf(found, (2 / ratio) ** 2, scale=ratio**2 * mean / 2, loc=-mean)
    assert exceeded == pytest.approx(0.5, abs=0.005)


@given(MEANS, DEVIATIONS)
def test_the_median_is_positive_and_not_above_the_mean(mean: float, deviation: float) -> None:
    assert 0 < float(median(mean, deviation)) <= mean


@given(st.floats(0.5, 40), st.floats(1.0, 1.5), st.floats(2, 10), st.floats(1, 3))
def test_a_higher_mean_never_lowers_the_median(mean: float, more: float, floor: float, slope: float) -> None:
    deviations = np.sqrt(floor + slope * np.array([mean, mean * more]))
    lower, higher = median([mean, mean * more], deviations)
    assert higher >= lower - 1e-9


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


@pytest.mark.parametrize("points", [0.0, 1.0, 2.5, 40.0])
def test_the_score_of_an_exponential_is_what_a_hand_computes(points: float) -> None:
    # Mean and deviation that make points + 0.5 exponential with mean 1: its score is y + 2 exp(-y) - 3/2.
    y = points + 0.5
    found = ranked_probability_score(0.5, 1.0, np.array([points]))
    assert found == pytest.approx(y + 2 * np.exp(-y) - 1.5)


@pytest.mark.parametrize(("mean", "deviation"), [(4.5, 4.5), (12.0, 6.0), (27.0, 8.5)])
def test_the_score_is_the_area_between_the_distribution_and_what_happened(
    gamma: Any, mean: float, deviation: float
) -> None:
    shape = (2 * mean / deviation) ** 2
    x = np.linspace(-mean, 150, 400_001)
    share = gamma.cdf(x, shape, scale=2 * mean / shape, loc=-mean)
    for points in (0.0, mean, 45.0):
        area = np.sum((share - (x >= points)) ** 2) * (x[1] - x[0])
        score = ranked_probability_score(mean, deviation, np.array([points]))
        assert score == pytest.approx(area, abs=2e-3)


def test_a_mean_is_found_again_from_median_and_deviation() -> None:
    mean, deviation = np.array([0.6, 2.0, 4.5, 12.0, 27.0]), np.array([1.2, 3.0, 4.5, 6.0, 8.5])
    assert mean_of(median(mean, deviation), deviation) == pytest.approx(mean, abs=1e-6)
    assert np.isfinite(mean_of(np.array([0.0]), np.array([1.0]))).all()


@pytest.mark.parametrize("deviation", [1e-9, 1e-3])
@pytest.mark.parametrize(("mean", "points"), [(5.0, 5.0), (5.0, 0.0), (60.0, 12.0), (17.3, 40.0)])
def test_without_spread_a_forecast_s_score_is_its_absolute_error(
    mean: float, points: float, deviation: float
) -> None:
    found = ranked_probability_score(mean, deviation, np.array(points))
    assert found == pytest.approx(abs(mean - points), rel=0, abs=mean / 5_000 + deviation)

"""The line as information: probabilities weigh it, and market_aware takes it into its forecast."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prediction_assets.nba.forecasting.distribution import Distribution, probability_over
from prediction_assets.nba.forecasting.market_aware import MARKET_WEIGHT, with_market

MEANS = st.floats(0.05, 60)
DEVIATIONS = st.floats(0.3, 20)


def one(mean: float, deviation: float) -> Distribution:
    return Distribution(np.array([mean]), np.array([deviation]))


@given(MEANS, DEVIATIONS)
def test_without_a_line_the_forecast_stands(mean: float, deviation: float) -> None:
    beside = with_market(one(mean, deviation), np.array([np.nan]))
    assert beside.mean[0] == mean
    assert beside.standard_deviation[0] == deviation


@given(MEANS, DEVIATIONS, st.sampled_from([0.0, 0.5, 20.5, 200.0]))
def test_an_absurd_line_gives_a_sound_distribution(mean: float, deviation: float, line: float) -> None:
    beside = with_market(one(mean, deviation), np.array([line]))
    for values in (beside.mean, beside.standard_deviation, beside.median):
        assert np.isfinite(values).all()
        assert (values > 0).all()
    over = probability_over(beside.mean, beside.standard_deviation, np.arange(0, 80) / 2)
    assert (np.diff(over) <= 1e-12).all()


def test_the_forecast_moves_to_the_line_by_its_weight() -> None:
    forecast = Distribution(np.array([20.0, 20.0]), np.array([7.0, 7.0]))
    line = np.array([24.5, 14.5])
    moved = with_market(forecast, line).mean - forecast.mean
    assert np.allclose(moved, MARKET_WEIGHT * (line - forecast.median))


def test_against_the_line_a_system_is_bolder_alone_than_beside_it() -> None:
    forecast, line = Distribution(np.array([24.0]), np.array([7.5])), np.array([19.5])
    alone = probability_over(forecast.mean, forecast.standard_deviation, line)
    beside = with_market(forecast, line)
    weighed = probability_over(beside.mean, beside.standard_deviation, line)
    assert 0.5 < weighed < alone

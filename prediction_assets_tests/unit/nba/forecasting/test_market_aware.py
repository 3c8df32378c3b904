"""The line as information: probabilities weigh it, and market_aware takes it into its forecast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from prediction_assets.nba.forecasting.distribution import Distribution, probability_over, probability_push
from prediction_assets.nba.forecasting.market_aware import MARKET_WEIGHT, with_market
from prediction_assets.nba.forecasting.recommendation import share_over
from prediction_assets.nba.forecasting.rows import Floats

MEANS = st.floats(0.05, 60)
DEVIATIONS = st.floats(0.3, 20)


def one(mean: float, deviation: float) -> Distribution:
    return Distribution(np.array([mean]), np.array([deviation]))


@given(MEANS, DEVIATIONS)
def test_without_a_line_the_forecast_stands(mean: float, deviation: float) -> None:
    beside = with_market(one(mean, deviation), np.array([np.nan]), np.array([0.6]))
    assert beside.mean[0] == mean
    assert beside.standard_deviation[0] == deviation


@given(MEANS, DEVIATIONS, st.sampled_from([0.0, 0.5, 20.5, 200.0]), st.sampled_from([0.01, 0.5, 0.99]))
def test_an_absurd_line_gives_a_sound_distribution(
    mean: float, deviation: float, line: float, fair: float
) -> None:
    beside = with_market(one(mean, deviation), np.array([line]), np.array([fair]))
    for values in (beside.mean, beside.standard_deviation, beside.median):
        assert np.isfinite(values).all()
        assert (values > 0).all()
    over = probability_over(beside.mean, beside.standard_deviation, np.arange(0, 80) / 2)
    assert (np.diff(over) <= 1e-12).all()


@pytest.mark.parametrize(
    ("line", "fair"), [(24.5, 0.5), (14.5, 0.5), (20.5, 0.6), (20.0, 0.42), (26.0, np.nan)]
)
def test_at_the_line_the_log_odds_of_market_and_system_are_weighed(line: float, fair: float) -> None:
    forecast, at = one(20.0, 7.0), np.array([line])
    own = share(forecast, at)
    found = share(with_market(forecast, at, np.array([fair])), at)
    market = 0.5 if np.isnan(fair) else fair
    weighed = MARKET_WEIGHT * special.logit(market) + (1 - MARKET_WEIGHT) * special.logit(own)
    assert special.logit(found) == pytest.approx(weighed, abs=0.01)
    assert min(own, market) <= found <= max(own, market)


def share(forecast: Distribution, line: Floats) -> float:
    over = probability_over(forecast.mean, forecast.standard_deviation, line)
    push = probability_push(forecast.mean, forecast.standard_deviation, line)
    return float(share_over(over, push)[0])

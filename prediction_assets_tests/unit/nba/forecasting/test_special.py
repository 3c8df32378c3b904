"""The array formulas give SciPy's values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from prediction_assets.nba.forecasting.special import (
    gamma_survival,
    log_gamma,
    log_odds,
    normal_quantile,
    probability_of,
    student_quantile,
)

SHAPES = st.floats(0.01, 1e6)


@pytest.mark.parametrize("shape", [0.01, 0.05, 0.3, 1.0, 2.5, 17.0, 60.0, 400.0, 1e4, 1e6])
def test_the_survival_of_a_gamma_is_exact_from_half_its_shape_up(shape: float) -> None:
    spread = np.sqrt(shape) * np.linspace(-8, 8, 500)
    x = np.concatenate(
        [shape * np.linspace(0.5, 1.5, 500), shape * np.geomspace(0.5, 1e4, 500), shape + spread]
    )
    x = x[x >= 0.5 * shape]
    assert gamma_survival(shape, x) == pytest.approx(special.gammaincc(shape, x), rel=0, abs=1e-9)


@settings(max_examples=200)
@given(SHAPES, st.floats(0.5, 5.0))
def test_a_survival_lies_between_none_and_one_and_never_rises(shape: float, ratio: float) -> None:
    here, further = gamma_survival(shape, shape * np.array([ratio, 1.01 * ratio]))
    assert 0 <= further <= here <= 1


def test_survivals_have_the_shape_of_their_broadcast_arguments_however_many_they_are() -> None:
    shapes, x = np.linspace(1, 60, 71)[:, None], np.linspace(40, 90, 67)
    found = gamma_survival(shapes, x)
    assert found.shape == (71, 67)
    assert found == pytest.approx(special.gammaincc(shapes, x), rel=0, abs=1e-12)
    assert gamma_survival(np.empty(0), np.empty(0)).shape == (0,)
    assert gamma_survival(2.0, 3.0) == pytest.approx(special.gammaincc(2.0, 3.0))


def test_below_half_the_shape_the_survival_is_that_of_half_the_shape() -> None:
    assert gamma_survival(8.0, [0.0, 3.0]) == pytest.approx([special.gammaincc(8.0, 4.0)] * 2)


def test_normal_quantiles_are_exact_into_the_tails() -> None:
    tails = np.geomspace(1e-300, 0.5, 2_000)
    p = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 5_001), tails, 1 - tails[tails > 1e-16]])
    assert normal_quantile(p) == pytest.approx(special.ndtri(p), rel=2e-15, abs=2e-15)
    assert normal_quantile(0.5) == 0


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 29, 162, 1_229, 100_000])
@pytest.mark.parametrize("p", [0.5, 0.6, 0.9, 0.975, 0.9999])
def test_the_quantiles_of_student_s_distribution_are_exact(degrees: int, p: float) -> None:
    assert student_quantile(degrees, p) == pytest.approx(special.stdtrit(degrees, p), rel=1e-9, abs=1e-15)


@given(SHAPES)
def test_the_logarithm_of_the_gamma_function_is_exact(shape: float) -> None:
    assert log_gamma(shape) == pytest.approx(special.gammaln(shape), rel=1e-13, abs=1e-13)


@given(st.floats(1e-12, 1 - 1e-12))
def test_log_odds_and_their_probability_are_each_other_s_inverse(p: float) -> None:
    assert log_odds(p) == pytest.approx(special.logit(p), rel=1e-9, abs=1e-15)
    assert probability_of(log_odds(p)) == pytest.approx(p, rel=0, abs=1e-15)


def test_log_odds_of_certainties_are_infinite_without_a_warning() -> None:
    with np.errstate(all="raise"):
        assert log_odds([0.0, 1.0]).tolist() == [-np.inf, np.inf]


@pytest.mark.parametrize("shape", [1e7, 1e8])
def test_a_gamma_of_hardly_any_spread_has_nearly_its_survival(shape: float) -> None:
    z = np.linspace(-8, 8, 500)
    # Nearly normal, but for its skew; SciPy's own loses more digits here.
    normal = special.ndtr(-z) + np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z * z - 1) / (3 * np.sqrt(shape))
    assert gamma_survival(shape, shape + np.sqrt(shape) * z) == pytest.approx(normal, rel=0, abs=1e-7)

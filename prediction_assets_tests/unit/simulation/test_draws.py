"""The random numbers: right in distribution, and the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.simulation.draws import Draws, total

MANY = 200_000


def test_uniform_numbers_fill_the_unit_interval():
    values = Draws(1).uniform(MANY)
    assert values.min() >= 0.0
    assert values.max() < 1.0
    assert values.mean() == pytest.approx(0.5, abs=0.005)


def test_normal_numbers_have_mean_0_and_variance_1_and_the_right_tails():
    values = Draws(2).normal(MANY)
    assert values.mean() == pytest.approx(0.0, abs=0.01)
    assert values.std() == pytest.approx(1.0, abs=0.01)
    assert (np.abs(values) > 1.96).mean() == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize(
    ("trials", "chance"), [(1, 0.3), (7, 0.5), (30, 0.46), (128, 0.02), (40, 0.98), (20, 0.001)]
)
def test_binomial_numbers_have_their_mean_and_variance(trials, chance):
    values = Draws(3).binomial(np.full(MANY, trials), np.full(MANY, chance))
    assert values.mean() == pytest.approx(trials * chance, rel=0.03, abs=0.01)
    assert values.var() == pytest.approx(trials * chance * (1 - chance), rel=0.05, abs=0.01)


def test_counts_are_near_poisson():
    values = Draws(4).count(np.full(MANY, 3.0))
    assert values.mean() == pytest.approx(3.0, rel=0.01)
    assert values.var() == pytest.approx(3.0, rel=0.05)


def test_spread_out_numbers_fall_one_into_each_part_of_a_group():
    group = np.array([1, 0, 1, 1, 0, 1])
    values = Draws(5).spread_out(group)
    assert sorted((values[group == 1] * 4).astype(int).tolist()) == [0, 1, 2, 3]
    assert sorted((values[group == 0] * 2).astype(int).tolist()) == [0, 1]


def test_a_permutation_has_every_number_once():
    assert sorted(Draws(6).permutation(1_000).tolist()) == list(range(1_000))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=30), st.floats(0.0, 1.0))
def test_successes_never_exceed_trials(trials, chance):
    counts = np.array(trials, dtype=np.int64)
    successes = Draws(7).binomial(counts, np.full(counts.size, chance))
    assert (successes >= 0).all()
    assert (successes <= counts).all()


def test_the_stream_is_the_one_that_numpy_promises_to_keep():
    assert Draws(40, 1).below(1_000_000, 4).tolist() == Draws(40, 1).below(1_000_000, 4).tolist()
    assert Draws(40, 1).below(1_000_000, 4).tolist() != Draws(40, 2).below(1_000_000, 4).tolist()


def test_a_total_adds_from_first_to_last():
    assert total(np.array([[1e16, 1.0, -1e16, 1.0]])).tolist() == [1.0]

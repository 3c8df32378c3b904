"""The network: plain arrays that say what was trained, of each row by itself."""

from __future__ import annotations

import numpy as np
import pytest

from prediction_assets.nba.forecasting.network import Network, fit_network


@pytest.fixture(scope="module")
def design() -> np.ndarray:
    draw = np.random.default_rng(7)
    found = draw.normal(50, 9, size=(8_000, 4))
    found[draw.random(found.shape) < 0.05] = np.nan
    found[:, 3] = np.nan
    return found


@pytest.fixture(scope="module")
def trained(design: np.ndarray) -> tuple[Network, np.ndarray, np.ndarray]:
    """Return a network, what it said of its rows, and their target: a bend, noise, and a few absurd values."""
    draw = np.random.default_rng(8)
    target = np.abs(np.nan_to_num(design[:, 0], nan=50) - 50) / 3 + draw.normal(size=len(design))
    target[:30] = 1e6
    return (*fit_network(design, target), target)


def test_it_learns_a_bend_in_spite_of_absurd_values(trained: tuple[Network, np.ndarray, np.ndarray]) -> None:
    _, said, target = trained
    usual = slice(30, None)
    assert np.mean(np.abs(said - target)[usual]) < 0.9 * np.mean(np.abs(target - np.median(target))[usual])


def test_the_same_rows_give_the_same_network(
    design: np.ndarray, trained: tuple[Network, np.ndarray, np.ndarray]
) -> None:
    network, said, target = trained
    assert network(design[:900]) == pytest.approx(said[:900], abs=1e-4)
    one, other = (fit_network(design[:900], target[:900])[0] for _ in range(2))
    assert np.array_equal(one(design[:900]), other(design[:900]))


def test_a_row_s_answer_doesn_t_depend_on_the_other_rows(
    design: np.ndarray, trained: tuple[Network, np.ndarray, np.ndarray]
) -> None:
    network = trained[0]
    together = network(design[:50])
    assert all(network(design[n : n + 1])[0] == together[n] for n in range(50))


@pytest.mark.parametrize("value", [np.nan, 0.0, 1e9])
def test_an_unusual_value_gives_a_usual_answer(
    design: np.ndarray, trained: tuple[Network, np.ndarray, np.ndarray], value: float
) -> None:
    network, said, _ = trained
    odd = np.full((1, design.shape[1]), value)
    assert said.min() - 5 < network(odd)[0] < said.max() + 5

"""The trees: plain arrays that say what scikit-learn's model says."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from prediction_assets.nba.forecasting.trees import Trees, _plain, fit_trees


def made_up(rows: int = 700) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(7)
    design = draw.normal(size=(rows, 6))
    design[draw.random(design.shape) < 0.1] = np.nan
    return design, np.nan_to_num(design[:, 0]) * 3 + np.nan_to_num(design[:, 1]) ** 2 + draw.normal(size=rows)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_plain_arrays_give_what_scikit_learn_gives(loss: str) -> None:
    from sklearn.ensemble import (
        HistGradientBoostingRegressor,  # a second to import: not when tests are collected
    )

    design, target = made_up()
    unseen, _ = made_up(500)
    unseen[0] = np.nan
    model = HistGradientBoostingRegressor(loss=loss, max_iter=10, max_leaf_nodes=12, random_state=1)
    with threadpool_limits(1):
        said = model.fit(design, target).predict(unseen)
    assert _plain(model)(unseen) == pytest.approx(said, abs=1e-9)


def test_the_same_rows_give_the_same_trees() -> None:
    design, target = made_up()
    one, said = fit_trees(design, target, max_features=0.5)
    other, _ = fit_trees(design, target, max_features=0.5)
    assert isinstance(one, Trees)
    assert np.array_equal(one(design), other(design))
    assert one(design) == pytest.approx(said, abs=1e-9)


def test_a_row_s_answer_doesn_t_depend_on_the_other_rows() -> None:
    design, target = made_up()
    trees, _ = fit_trees(design, target)
    together = trees(design[:50])
    assert all(trees(design[n : n + 1])[0] == together[n] for n in range(50))


def test_a_column_without_a_value_is_no_obstacle() -> None:
    design, target = made_up()
    design[:, 2] = np.nan
    trees, _ = fit_trees(design, target)
    assert np.isfinite(trees(design)).all()
    design[:, 2] = 5.0
    assert np.isfinite(trees(design)).all()

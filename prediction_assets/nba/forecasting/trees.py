"""Boosted regression trees: fitted by scikit-learn, kept and evaluated as plain arrays.

Method: Friedman, "Greedy Function Approximation: A Gradient Boosting Machine" (2001), as histogram trees (Ke et al.,
"LightGBM", 2017) in scikit-learn's ``HistGradientBoostingRegressor``. Plain arrays, because a stored model must give
the same numbers under another version of scikit-learn, and because reading it must not run code. What doesn't belong
here: the choice of columns and targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prediction_assets.nba.forecasting.rows import Floats

RANDOM_STATE = 20_240_101

LARGE = 40_000
"""From this many rows, use the large trees: two seasons of regulars. They are better with six seasons (mean absolute
error on the regulars of 2023-24: 4.885, not 4.900) and worse with one."""


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """A fitted ensemble of trees; every array has shape (trees, nodes) but ``start``, which is a number.

    Attributes:
        left, right: positions of the children, after their parent's; a leaf is its own child.
    """

    start: float
    feature: npt.NDArray[np.int16]  # column that an inner node compares
    threshold: Floats  # a row goes left when its value is at most this
    missing_left: npt.NDArray[np.bool_]  # whether a row without the value goes left
    left: npt.NDArray[np.int16]
    right: npt.NDArray[np.int16]
    value: Floats  # a leaf's contribution; 0 on inner nodes
    depth: int  # steps after which every row is in a leaf

    def __call__(self, design: Floats) -> Floats:
        """Return the trees' sum for rows of shape (n, columns): (n,); NaN is a missing value."""
        total = np.full(len(design), self.start)
        each = np.arange(len(design))
        for tree in range(len(self.value)):
            feature, threshold = self.feature[tree], self.threshold[tree]
            left, right, missing = self.left[tree], self.right[tree], self.missing_left[tree]
            node = np.zeros(len(design), dtype=np.int16)
            for _ in range(self.depth):
                value = design[each, feature[node]]
                go_left = (value <= threshold[node]) | (missing[node] & np.isnan(value))
                node = np.where(go_left, left[node], right[node])
            total += self.value[tree][node]
        return total


def fit_trees(
    design: Floats,
    target: Floats,
    *,
    loss: str = "squared_error",
    scale: float = 1.0,
    max_features: float = 1.0,
    pace: float = 1.0,
    least_rows: int = 200,
) -> tuple[Trees, Floats]:
    """Fit trees; return them and what they say of the training rows, shape (n,).

    Args:
        design: training rows, shape (n, columns), NaN where a value is missing.
        target: what to learn, shape (n,), finite.
        loss: ``squared_error`` learns means, ``absolute_error`` medians.
        scale: share of the usual number of trees.
        max_features: share of the columns, drawn at random, that each split may choose from.
        pace: share of the usual learning rate.
        least_rows: training rows of a leaf.
    """
    # A second to import, for fits.
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    empty = ~np.isfinite(design).any(axis=0)
    if empty.any():  # scikit-learn can't bin a column without a value
        design = np.where(empty, 0.0, design)
    large = len(design) >= LARGE
    model = HistGradientBoostingRegressor(
        loss=loss,
        learning_rate=pace * (0.08 if large else 0.1),
        max_iter=max(1, round(scale * (120 if large else 40))),
        max_leaf_nodes=16 if large else 8,
        min_samples_leaf=least_rows,
        l2_regularization=50.0,
        max_bins=127 if large else 63,
        max_features=max_features,
        early_stopping=False,
        random_state=RANDOM_STATE,
    )
    # A parallel sum's rounding depends on the number of threads.
    with threadpool_limits(limits=1, user_api="openmp"):
        model.fit(design, target)
        return _plain(model), np.asarray(model.predict(design), dtype=np.float64)


def _plain(model: Any) -> Trees:
    """Return a fitted model's nodes as arrays; ``test_trees.py`` holds them against scikit-learn's own answer."""
    found = [predictors[0].nodes for predictors in model._predictors]
    size = max(len(nodes) for nodes in found)
    shape = (len(found), size)
    feature = np.zeros(shape, dtype=np.int16)
    # Places that a small tree doesn't need are leaves.
    left, right = (np.tile(np.arange(size, dtype=np.int16), (len(found), 1)) for _ in range(2))
    threshold, value = np.zeros(shape), np.zeros(shape)
    missing = np.zeros(shape, dtype=np.bool_)
    for tree, nodes in enumerate(found):
        n = len(nodes)
        is_leaf = nodes["is_leaf"].astype(bool)
        own = np.arange(n)
        feature[tree, :n] = np.where(is_leaf, 0, nodes["feature_idx"])
        left[tree, :n] = np.where(is_leaf, own, nodes["left"])
        right[tree, :n] = np.where(is_leaf, own, nodes["right"])
        threshold[tree, :n] = np.where(is_leaf, 0.0, nodes["num_threshold"])
        missing[tree, :n] = nodes["missing_go_to_left"].astype(bool)
        value[tree, :n] = np.where(is_leaf, nodes["value"], 0.0)
    start = float(np.asarray(model._baseline_prediction).ravel()[0])
    depth = int(max(nodes["depth"].max() for nodes in found))
    return Trees(start, feature, threshold, missing, left, right, value, depth)

"""The recommendation: each row against its own line and price. The same rule in SQL is in contract/."""

from __future__ import annotations

import numpy as np
import pytest

from prediction_assets.nba.forecasting.recommendation import confidence, recommend


@pytest.mark.parametrize(
    ("source", "side", "value", "expected"),
    [
        ("market", "OVER", 0.02, "OVER"),
        ("market", "UNDER", 0.3, "UNDER"),
        ("market", "OVER", 0.019999, "PASS"),
        ("market", "UNDER", -0.05, "PASS"),
        ("market", "OVER", np.nan, "NO_PRICE"),
        ("estimated", "OVER", np.nan, "NO_LINE"),
        ("estimated", "OVER", 0.5, "NO_LINE"),
    ],
)
def test_the_rule(source: str, side: str, value: float, expected: str) -> None:
    assert recommend(np.array([source]), np.array([side]), np.array([value]))[0] == expected


def test_confidence_is_the_likelier_side_when_there_is_no_push() -> None:
    assert confidence(np.array([0.6, 0.3, 0.45]), np.array([0.0, 0.0, 0.1])) == pytest.approx([0.6, 0.7, 0.5])


@pytest.mark.parametrize("least", [-0.01, np.inf, np.nan])
def test_a_least_value_that_is_none_is_refused(least: float) -> None:
    with pytest.raises(ValueError, match="least value"):
        recommend(np.array(["market"]), np.array(["OVER"]), np.zeros(1), least)

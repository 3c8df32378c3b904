"""The features in 20 orders of the facts."""

from __future__ import annotations

from prediction_assets_tests.contract.warehouse.test_feature_order import compare_orders


def test_the_features_are_the_same_bytes_in_20_orders_of_the_facts_and_with_doubles_for_decimals() -> None:
    compare_orders(20)

"""1,000 random revisions of a small slate, each rebuilt from the ledger."""

from __future__ import annotations

import pytest

from prediction_assets_tests.contract.warehouse.test_ledger import compare_with_a_plain_model


@pytest.mark.parametrize("seed", range(100, 120))
def test_of_1000_random_revisions_each_is_rebuilt_as_it_was_in_force(seed):
    compare_with_a_plain_model(seed, revisions=50)

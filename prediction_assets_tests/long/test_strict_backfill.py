"""Ten slates at once, staged and merged, on a BigQuery that has Google's rules and loses answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import get_args

import pytest

from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.gcp.parts import Layout
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint
from prediction_assets_tests.contract.warehouse.test_strict_rules import open_strict, opened, plan_of

__all__ = ["bigquery_endpoint", "open_strict", "opened"]  # fixtures

PLAYERS = 4
SLATES = [(date(2026, 1, 2) + timedelta(days=n)).isoformat() for n in range(10)]


@pytest.mark.parametrize("layout", get_args(Layout))
def test_ten_slates_that_are_backfilled_at_once_all_complete(open_strict, layout):
    opened = open_strict(layout, transaction_seconds=1.0)
    loads = "load_part" if layout == "per_player" else "load_parts"
    opened.rules.lose.update({loads: 5, "merge": 2})

    def backfilled(slate: str) -> Receipt:
        return opened.warehouse.merge(plan_of(opened.warehouse, slate, PLAYERS))

    with ThreadPoolExecutor(len(SLATES)) as pool:
        receipts = list(pool.map(backfilled, SLATES))
    assert [(each.status, each.rows, each.revision) for each in receipts] == [("success", PLAYERS, 1)] * 10
    assert any("concurrent update" in message for message in opened.rules.refused)
    assert +opened.rules.lose == {}
    assert [opened.warehouse.receipts(slate) for slate in SLATES] == [(each,) for each in receipts]

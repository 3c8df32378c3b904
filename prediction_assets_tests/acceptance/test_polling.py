"""The reader of the fault matrix sees what it is there to see."""

from __future__ import annotations

import pytest

from prediction_assets.slate.audits import AuditLimits
from prediction_assets_tests.acceptance.polling import Polled
from prediction_assets_tests.in_memory import InMemoryBatchState, InMemoryWarehouse
from prediction_assets_tests.made_up import SLATE
from prediction_assets_tests.published_slate import Slate, published

TABLE = "predictions.player_prop_predictions"


@pytest.fixture
def slate() -> Slate:
    return published()


def looked(slate: Slate, by_hand: str = "SELECT 1") -> tuple[int, int, int]:
    with slate.warehouse._connect(write=True) as connection:
        connection.execute(by_hand)
    seen = Polled()
    seen.look(slate.warehouse, SLATE, AuditLimits())
    return seen.with_rows, seen.refused, seen.halves


def test_a_slate_without_a_receipt_or_as_its_newest_receipt_has_it_is_whole(slate):
    assert looked(slate) == (1, 0, 0)
    assert looked(Slate(InMemoryWarehouse(), InMemoryBatchState())) == (0, 0, 0)


@pytest.mark.parametrize(
    "by_hand",
    [
        f"UPDATE {TABLE} SET is_active = FALSE WHERE player_slug = 'player-2'",
        f"UPDATE {TABLE} SET is_active = TRUE",
        "DELETE FROM predictions.consolidation_receipts",
    ],
    ids=["some rows are gone", "closed rows are in force", "rows without a receipt"],
)
def test_a_moment_with_half_a_slate_is_counted(slate, by_hand):
    rows, _, halves = looked(slate, by_hand)
    assert (rows, halves) == (1, 1)


@pytest.mark.parametrize(
    "change", ["predicted_points = 'NaN'", "predicted_points = 400", "recommendation = 'OVER'"]
)
def test_rows_that_a_blocking_audit_refuses_are_counted(slate, change):
    _, refused, _ = looked(slate, f"UPDATE {TABLE} SET {change} WHERE player_slug = 'player-2'")
    assert refused == 1

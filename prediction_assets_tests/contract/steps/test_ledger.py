"""The ledger as it is read: what was in force, and which slates, moments and revisions there are to ask for."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from prediction_assets.errors import BadInput, ChainBroken
from prediction_assets.steps.ledger import (
    read_rows,
    receipts_of,
    rows_as_of,
    rows_of_revision,
    verify_slate,
)
from prediction_assets_tests.made_up import SLATE
from prediction_assets_tests.published_slate import Slate, content, published


@pytest.fixture
def slate() -> Slate:
    return published()


REVISIONS = {
    1: {("player-1", "24.5"): 20.0, ("player-1", "25.5"): 20.0, ("player-2", "24.5"): 20.0},
    2: {("player-1", "25.5"): 21.0, ("player-1", "26.5"): 20.0, ("player-2", "24.5"): 20.0},
    3: {("player-2", "24.5"): 20.0, ("player-3", "24.5"): 22.0},
}


def test_rows_are_read_as_of_a_moment_or_revision_with_the_receipt_that_put_them_into_force(slate):
    warehouse = slate.warehouse
    for receipt in receipts_of(warehouse, SLATE):
        there = REVISIONS[receipt.revision]
        assert content(rows_of_revision(warehouse, SLATE, receipt.revision)) == there
        assert content(rows_as_of(warehouse, SLATE, receipt.consolidated_at)) == there
        of_moment = read_rows(warehouse, SLATE, moment=receipt.consolidated_at)
        of_revision = read_rows(warehouse, SLATE, revision=receipt.revision)
        for found, rows in (of_moment, of_revision):
            assert (found, content(rows)) == (receipt, there)
    assert content(read_rows(warehouse, SLATE)[1]) == REVISIONS[3]
    assert verify_slate(warehouse, SLATE).broken is None


def test_a_moment_before_the_first_receipt_has_no_rows_and_a_reader_is_told_the_first(slate):
    first = receipts_of(slate.warehouse, SLATE)[0].consolidated_at
    before = first - timedelta(microseconds=1)
    assert rows_as_of(slate.warehouse, SLATE, before).num_rows == 0
    with pytest.raises(BadInput, match=re.escape(f"its first ones are of {first.isoformat()}")):
        read_rows(slate.warehouse, SLATE, moment=before)


def test_a_slate_that_was_never_merged_is_refused_with_the_newest_that_were(stores, monkeypatch):
    with pytest.raises(BadInput, match="there are no predictions yet"):
        receipts_of(stores.warehouse, SLATE)
    with pytest.raises(BadInput, match="nothing of it was merged yet"):
        rows_of_revision(stores.warehouse, SLATE, 1)
    days = [f"2025-12-{day:02}" for day in range(1, 8)]
    monkeypatch.setattr("prediction_assets.steps.ledger.merged_slates", lambda _: days)
    with pytest.raises(BadInput, match=r"of 2025-12-07, .*, 2025-12-03 and 2 earlier ones"):
        receipts_of(stores.warehouse, SLATE)


def test_rows_that_are_not_those_of_their_receipt_are_not_read_as_a_revision(slate):
    with slate.warehouse._connect(write=True) as connection:
        connection.execute("UPDATE predictions.player_prop_predictions SET predicted_points = 27")
    with pytest.raises(ChainBroken, match=r"the rows of revision 3 aren't those that its receipt .* verify"):
        rows_of_revision(slate.warehouse, SLATE, 3)


def test_a_revision_of_which_rows_were_pruned_says_so(slate):
    first, second, _ = receipts_of(slate.warehouse, SLATE)
    later = second.consolidated_at + timedelta(days=1)
    assert (
        slate.warehouse.prune_closed_rows(SLATE, second.consolidated_at + timedelta(microseconds=1), later)
        == 2
    )
    with pytest.raises(
        BadInput, match=f"2 of {first.rows} rows of slate {SLATE}, revision 1, were pruned on 20"
    ):
        rows_of_revision(slate.warehouse, SLATE, 1)
    assert content(rows_of_revision(slate.warehouse, SLATE, 2)) == REVISIONS[2]


def test_a_receipt_that_can_not_be_read_breaks_the_chain_and_is_named(slate):
    with slate.warehouse._connect(write=True) as connection:
        connection.execute(
            "UPDATE predictions.consolidation_receipts SET parts = 'no list' WHERE revision = 2"
        )
    report = verify_slate(slate.warehouse, SLATE)
    assert (report.receipts, report.head) == (3, "")
    assert report.broken is not None
    assert "can't be read" in report.broken.reason

"""Claim: each run of a slate has a higher fence than all before, also when batch state forgot them."""

from __future__ import annotations

import pytest

from prediction_assets.errors import BatchNotOpen, ReceiptAltered
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.merge import merge, plan_merge, read_outcomes
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, rows_of, staged


def write(stores, fence: int):
    return stores.warehouse.parts.write(SLATE, "player-1", rows_of(player(1), {"20.5": 21.0}), fence)


def merged(stores, fence: int) -> None:
    """Merge a part of a fence, and drop it."""
    part = write(stores, fence)
    stores.batch_state.record([staged(part)])
    progress, receipts = read_outcomes(SLATE, stores.warehouse, stores.batch_state)
    work = plan_merge(progress, receipts, now=NOW, limits=AuditLimits(minimum_staged_share=0.5))
    merge(work, progress, stores.warehouse, stores.dead_letters, run_id="run", now=NOW)
    list(stores.warehouse.parts.drop(SLATE, [("player-1", part.part_id)]))


def claim(stores) -> int:
    return claim_fence(SLATE, stores.warehouse, stores.batch_state)


def lose_batch_state(stores) -> None:
    stores.batch_state = type(stores.batch_state)()
    stores.batch_state.open(batch(1))


def test_each_run_claims_a_higher_fence(stores):
    stores.batch_state.open(batch(1))
    assert [claim(stores) for _ in range(3)] == [1, 2, 3]


def test_a_slate_without_a_batch_has_no_fences(stores):
    with pytest.raises(BatchNotOpen):
        claim(stores)


def test_after_batch_state_was_lost_a_claim_is_above_every_part_in_staging(stores):
    stores.batch_state.open(batch(1))
    for fence in (7, 4):
        write(stores, fence)
    lose_batch_state(stores)
    assert [claim(stores), claim(stores)] == [8, 9]


def test_after_batch_state_was_lost_a_claim_is_above_every_part_that_a_receipt_names(stores):
    stores.batch_state.open(batch(1))
    merged(stores, 7)
    merged(stores, 9)
    write(stores, 8)
    lose_batch_state(stores)
    assert [claim(stores), claim(stores)] == [10, 11]


def test_after_an_older_batch_state_was_restored_a_claim_is_above_that_of_a_run_which_wrote_nothing_yet(
    stores,
):
    stores.batch_state.open(batch(1))
    assert [claim(stores) for _ in range(3)] == [1, 2, 3]
    lose_batch_state(stores)
    assert [claim(stores), claim(stores)] == [4, 5]


def test_a_slate_whose_receipt_was_edited_by_hand_can_still_be_staged(stores, monkeypatch):
    def altered(slate: str):
        raise ReceiptAltered("edited")

    stores.batch_state.open(batch(1))
    write(stores, 5)
    monkeypatch.setattr(stores.warehouse, "receipts", altered)
    assert claim(stores) == 6

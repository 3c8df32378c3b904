"""Revert: what is in force stays in force when batch state is lost or older, and a retry wins over nothing newer."""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import replace

import pytest

from prediction_assets.errors import Overtaken
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.revert import (
    can_stage_again,
    keep_in_force,
    read_reversal,
    stage_revision,
)
from prediction_assets_tests.contract.warehouse.test_revert import SETTINGS, Slate, three_revisions
from prediction_assets_tests.in_memory import InMemoryBatchState, InMemoryWarehouse
from prediction_assets_tests.made_up import NOW, SLATE, batch, player


@pytest.fixture
def slate() -> Slate:
    return three_revisions(InMemoryWarehouse())


def backup(state: InMemoryBatchState) -> InMemoryBatchState:
    """Return batch state as it is now; what is recorded later isn't in it."""
    made = InMemoryBatchState()
    made.__dict__ |= {name: copy(value) for name, value in state.__dict__.items() if name != "_lock"}
    return made


def failed(slate: Slate, number: int) -> PlayerOutcome:
    fence = claim_fence(SLATE, slate.warehouse, slate.state)
    return PlayerOutcome(
        SLATE, f"{SLATE}@test", f"player-{number}", Outcome.FAILED, "run", NOW, fence, 1, "no"
    )


def stage_again(slate: Slate, revision: int, fence: int | None = None):
    claimed = fence or claim_fence(SLATE, slate.warehouse, slate.state)
    return stage_revision(
        SLATE, revision, slate.warehouse, slate.state, SETTINGS, Clock(), run_id="again", fence=claimed
    )


def test_after_an_older_batch_state_was_restored_a_reverted_slate_is_merged_as_it_is_in_force(slate):
    before = backup(slate.state)
    reverted = slate.revert(1)
    slate.state = before
    stage_again(slate, reverted.revision)
    receipt = slate.publish()
    assert (receipt.revision, receipt.rows_digest) == (4, reverted.rows_digest)
    assert (receipt.rows_inserted, receipt.rows_updated, receipt.rows_superseded) == (0, 0, 0)
    assert slate.hashes() == slate.hashes(1)


def test_players_who_failed_fail_again_and_keep_their_rows_so_that_the_revision_stays(slate):
    partial = slate.publish(failed(slate, 3), failed(slate, 1))
    assert (partial.status, partial.revision) == ("partial", 4)
    before = slate.hashes()
    slate.state = InMemoryBatchState()
    slate.state.open(batch(3))
    stage_again(slate, 4)
    receipt = slate.publish()
    assert (receipt.status, receipt.revision, receipt.content_digest) == (
        "partial",
        4,
        partial.content_digest,
    )
    assert slate.hashes() == before
    assert receipt.missing == partial.missing


def test_outcomes_that_are_restored_name_the_facts_of_their_receipt(slate, monkeypatch):
    newest = slate.warehouse.receipts(SLATE)[-1]
    monkeypatch.setattr(slate.warehouse, "facts_version", lambda: 9)
    stage_again(slate, newest.revision)
    assert {done.facts_version for done in slate.state.progress(SLATE).outcomes.values()} == {
        newest.facts_version
    }
    stage_again(slate, 1)
    assert {done.facts_version for done in slate.state.progress(SLATE).outcomes.values()} == {9}


def test_a_batch_that_is_opened_after_batch_state_was_lost_has_what_is_in_force(slate):
    reverted = slate.revert(1)
    slate.state = InMemoryBatchState()
    slate.state.open(batch(3))
    assert keep_in_force(SLATE, slate.warehouse, slate.state, SETTINGS, Clock(), run_id="roster")
    assert slate.state.progress(SLATE).unsettled == ()
    receipt = slate.publish()
    assert (receipt.revision, receipt.rows_digest) == (4, reverted.rows_digest)


def test_a_slate_that_was_never_merged_or_expects_other_players_is_staged_from_the_facts(slate):
    assert not keep_in_force("2026-01-03", slate.warehouse, slate.state, SETTINGS, Clock(), run_id="roster")
    newest = slate.warehouse.receipts(SLATE)[-1]
    assert can_stage_again(slate.warehouse, batch(3), newest)
    others = replace(batch(3), expected=(player(1), replace(player(2), game_id="9000000002"), player(3)))
    assert not can_stage_again(slate.warehouse, others, newest)
    slate.state = InMemoryBatchState()
    slate.state.open(others)
    assert not keep_in_force(SLATE, slate.warehouse, slate.state, SETTINGS, Clock(), run_id="roster")
    assert slate.state.progress(SLATE).outcomes == {}


def test_a_revert_that_is_retried_makes_no_second_revision_and_wins_over_no_newer_run(slate):
    fence = claim_fence(SLATE, slate.warehouse, slate.state)
    stage_again(slate, 1, fence)
    first = slate.publish()
    stage_again(slate, 1, fence)
    assert slate.publish().revision == first.revision == 4
    newer = slate.publish(slate.stage(1, {"26.5": 23.0}))
    assert newer.revision == 5
    stage_again(slate, 1, fence)
    assert slate.publish().rows_digest == newer.rows_digest


def test_a_revert_says_when_newer_rows_were_merged_with_it(slate):
    found = read_reversal(SLATE, 1, slate.warehouse, slate.state)
    found.require_in_force(slate.revert(1))
    stage_again(slate, 2)
    newer = slate.publish(slate.stage(1, {"26.5": 23.0}))
    with pytest.raises(
        Overtaken, match=r"revision 1 is not in force: .* \(revision 5\) has their newer rows"
    ):
        found.require_in_force(newer)


def test_the_backup_of_these_tests_is_not_what_is_recorded_later(slate):
    before = backup(slate.state)
    was = deepcopy(before.progress(SLATE))
    slate.revert(1)
    assert before.progress(SLATE) == was != slate.state.progress(SLATE)

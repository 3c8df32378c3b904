"""Revert: an earlier revision becomes a new one wherever it is stopped, whatever batch state has lost."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import pyarrow as pa
import pytest

from prediction_assets.errors import BadInput, Overtaken
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps import failpoints
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.ledger import verify_slate
from prediction_assets.steps.revert import can_stage_again, keep_in_force, read_reversal, stage_revision
from prediction_assets_tests.made_up import NOW, SLATE, batch, player
from prediction_assets_tests.published_slate import SETTINGS, Slate, content, published


class Stopped(Exception):
    """The process was stopped at a failpoint."""


@pytest.fixture
def slate() -> Slate:
    return published()


@pytest.fixture
def stopping() -> Iterator[None]:
    yield
    failpoints.install(failpoints._go_on)


def stop_at(point: str, times: int = 1) -> None:
    """Stop this process when it reaches a failpoint for the n-th time."""
    left = [times]

    def hook(name: str) -> None:
        left[0] -= name == point
        if name == point and not left[0]:
            failpoints.install(failpoints._go_on)
            raise Stopped

    failpoints.install(hook)


@pytest.mark.parametrize(
    ("point", "times"),
    [
        ("fence_claimed", 1),
        ("part_written", 1),
        ("part_written", 2),
        ("outcome_recorded", 1),
        ("merge_committed", 1),
    ],
)
def test_a_revert_that_is_stopped_anywhere_is_started_again_and_makes_one_revision(
    slate, stopping, point, times
):
    before = slate.hashes(2)
    stop_at(point, times)
    with pytest.raises(Stopped):
        slate.revert(2)
    if point != "merge_committed":
        assert slate.hashes() == slate.hashes(3)
    receipt = slate.revert(2)
    assert (receipt.revision, receipt.replaces, slate.hashes()) == (4, 3, before)
    assert verify_slate(slate.warehouse, SLATE).broken is None


def test_a_revision_of_a_player_or_game_that_is_not_expected_any_more_is_refused_and_nothing_is_staged(slate):
    slate.state.reopen(batch(1))
    with pytest.raises(
        BadInput, match=r"revision 3 of slate .* has rows of player-2, player-3, not expected any more"
    ):
        slate.revert(3)
    assert slate.state.progress(SLATE).outcomes.keys() <= {"player-1"}
    assert slate.hashes() == slate.hashes(3)


@pytest.mark.parametrize(
    ("revision", "problem"), [(9, "no revision 9; it has 1, 2, 3"), (0, "no revision 0")]
)
def test_a_revision_that_never_was_is_refused_with_those_there_are(slate, revision, problem):
    with pytest.raises(BadInput, match=problem):
        read_reversal(SLATE, revision, slate.warehouse, slate.state, NOW)


def test_a_player_who_is_staged_while_a_revert_runs_keeps_the_newer_rows(slate, stopping):

    def stage_meanwhile(name: str) -> None:
        if name == "part_written":
            failpoints.install(failpoints._go_on)
            slate.state.record([slate.stage(1, {"26.5": 23.0})])

    failpoints.install(stage_meanwhile)
    slate.revert(1)
    assert content(slate.rows()) == {("player-1", "26.5"): 23.0, ("player-2", "24.5"): 20.0}
    assert verify_slate(slate.warehouse, SLATE).broken is None


def test_the_players_without_rows_in_it_are_named_before_anything_is_written(slate):
    staged_before = slate.warehouse.parts.staged(SLATE)
    found = read_reversal(SLATE, 1, slate.warehouse, slate.state, NOW)
    assert ({slug: len(rows) for slug, rows in found.parts.items()}, [*found.without_rows]) == (
        {"player-1": 2, "player-2": 1},
        ["player-3"],
    )
    assert slate.warehouse.parts.staged(SLATE) == staged_before


def test_a_retraction_can_be_reverted_and_reverted_to(stores):
    slate = Slate(stores.warehouse, stores.batch_state, players=1)
    slate.publish(slate.stage(1, {"24.5": 20.0}))
    assert slate.publish(slate.skip(1)).is_retraction
    assert content(rows_in(slate.revert(1), slate)) == {("player-1", "24.5"): 20.0}
    assert slate.revert(2).is_retraction
    assert slate.rows().num_rows == 0


def rows_in(receipt: Receipt, slate: Slate) -> pa.Table:
    rows = slate.rows()
    assert rows.num_rows == receipt.rows
    return rows


def test_a_refusal_names_five_players_and_counts_the_others(stores):
    slate = Slate(stores.warehouse, stores.batch_state, players=7)
    slate.publish(*(slate.stage(number, {"24.5": 20.0}) for number in range(1, 8)))
    slate.state.reopen(batch(0))
    with pytest.raises(BadInput, match=r"rows of player-1, .*, player-5 and 2 others, not expected any more"):
        slate.revert(1)


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
    before = slate.state.copied()
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
    slate.state = type(slate.state)()
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
    slate.state = type(slate.state)()
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
    slate.state = type(slate.state)()
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
    found = read_reversal(SLATE, 1, slate.warehouse, slate.state, NOW)
    found.require_in_force(slate.revert(1))
    stage_again(slate, 2)
    newer = slate.publish(slate.stage(1, {"26.5": 23.0}))
    with pytest.raises(
        Overtaken, match=r"revision 1 is not in force: .* \(revision 5\) has their newer rows"
    ):
        found.require_in_force(newer)


def test_the_backup_of_these_tests_is_not_what_is_recorded_later(slate):
    before = slate.state.copied()
    was = deepcopy(before.progress(SLATE))
    slate.revert(1)
    assert before.progress(SLATE) == was != slate.state.progress(SLATE)

"""Clean up: exactly the merged and the orphaned parts go, and the letters that a consolidation settled."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.dead_letter import Closing, Failure
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.steps.cleanup import clean_up, droppable_parts, finish_consolidation
from prediction_assets.steps.merge import merge, plan_merge, read_outcomes
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, rows_of, staged


def write(stores, number: int, fence: int = 1) -> PartRef:
    who = player(number)
    return stores.warehouse.parts.write(SLATE, who.slug, rows_of(who, {"20.5": 21.0}), fence)


def consolidated(stores, players: int = 2):
    """Open a batch, stage and merge all its players, and return the receipt."""
    stores.batch_state.open(batch(players))
    stores.batch_state.record([staged(write(stores, n)) for n in range(1, players + 1)])
    return merged(stores)


def merged(stores):
    progress, receipts = read_outcomes(SLATE, stores.warehouse, stores.batch_state)
    work = plan_merge(progress, receipts, now=NOW, limits=AuditLimits(minimum_staged_share=0.5))
    return merge(work, progress, stores.warehouse, stores.dead_letters, run_id="run", now=NOW)


def test_merged_parts_are_dropped_and_a_part_that_arrived_after_the_merge_survives(stores):
    receipt = consolidated(stores)
    later = write(stores, 2, fence=2)
    done = clean_up(SLATE, stores.warehouse, stores.batch_state, now=NOW)
    assert (done.merged, done.orphaned, done.kept) == (("player-1", "player-2"), (), ("player-2",))
    assert (done.swept, done.strays, done.receipts) == (0, (), (receipt,))
    assert stores.warehouse.parts.staged(SLATE) == [("player-2", later.part_id)]


def skipped(number: int, fence: int = 1) -> PlayerOutcome:
    return PlayerOutcome(
        SLATE, f"{SLATE}@test", f"player-{number}", Outcome.SKIPPED, "run", NOW, fence, 1, reason="out"
    )


@pytest.mark.parametrize("days", [-1, 0, 1])
@pytest.mark.parametrize(
    ("fence", "orphaned", "kept"),
    [(1, ("player-1",), ()), (2, ("player-1",), ()), (3, (), ("player-1",))],
    ids=["of an earlier run", "of the same run", "of a later run, which may record it"],
)
def test_a_part_that_no_outcome_can_need_is_dropped_whatever_the_clock_says(
    stores, fence, orphaned, kept, days
):
    stores.batch_state.open(batch(1))
    write(stores, 1, fence)
    stores.batch_state.record([skipped(1, fence=2)])
    now = NOW + timedelta(days=days)
    found = droppable_parts(SLATE, stores.warehouse, stores.batch_state, now=now)
    assert tuple(slug for slug, _ in found.orphaned) == orphaned
    done = clean_up(SLATE, stores.warehouse, stores.batch_state, now=now)
    assert (done.merged, done.orphaned, done.kept) == ((), orphaned, kept)


def test_the_part_of_a_killed_run_is_dropped_a_day_after_the_deadline_and_one_that_an_outcome_names_is_not(
    stores,
):
    stores.batch_state.open(batch(2))
    write(stores, 1, fence=3)
    stores.batch_state.record([skipped(1, fence=2), staged(write(stores, 2, fence=3))])
    late = batch().deadline + timedelta(days=1, seconds=1)
    done = clean_up(SLATE, stores.warehouse, stores.batch_state, now=late)
    assert (done.orphaned, done.kept) == (("player-1",), ("player-2",))


def test_a_part_that_its_outcome_needs_stays(stores):
    stores.batch_state.open(batch(1))
    stores.batch_state.record([staged(write(stores, 1))])
    assert droppable_parts(SLATE, stores.warehouse, stores.batch_state, now=NOW).kept == ("player-1",)


def test_a_part_that_another_cleanup_dropped_first_is_not_counted(stores, monkeypatch):
    consolidated(stores)
    monkeypatch.setattr(
        stores.warehouse.parts, "drop", lambda slate, parts: [part for part in parts if part[0] == "player-2"]
    )
    assert clean_up(SLATE, stores.warehouse, stores.batch_state, now=NOW).merged == ("player-2",)


def test_names_that_are_no_parts_are_left_alone_and_said(stores, monkeypatch, caplog):
    consolidated(stores, 1)
    monkeypatch.setattr(stores.warehouse.parts, "strays", lambda slate: [".DS_Store"])
    with caplog.at_level(logging.WARNING):
        assert clean_up(SLATE, stores.warehouse, stores.batch_state, now=NOW).strays == (".DS_Store",)
    assert "1 names in staging are no parts and were left alone: .DS_Store" in caplog.text


def test_of_several_receipts_the_newest_is_marked_as_consolidated(stores):
    first = consolidated(stores)
    stores.batch_state.record([replace(staged(write(stores, 1, fence=2)), fence=2)])
    second = merged(stores)
    finish_consolidation(SLATE, (first, second), stores.batch_state, stores.dead_letters)
    assert stores.batch_state.consolidated(SLATE) == second != first


def failure(number: int) -> Failure:
    return Failure(SLATE, f"player-{number}", "run", "OSError", "full", "d", 3, 1, NOW, {})


@pytest.mark.parametrize(
    ("failed", "closed"),
    [((), 0), ((1,), 1), ((3,), 1), ((1, 2, 3), 3)],
    ids=["no letters", "a merged player's", "a player's who is not expected", "all three"],
)
def test_a_finished_consolidation_closes_the_letters_that_it_settled(stores, failed, closed):
    receipt = consolidated(stores)
    stores.dead_letters.add([failure(number) for number in failed])
    assert finish_consolidation(SLATE, (receipt,), stores.batch_state, stores.dead_letters) == closed
    assert stores.dead_letters.letters(SLATE) == []
    letters = stores.dead_letters.letters(SLATE, include_closed=True)
    assert [letter.closed for letter in letters] == [Closing.REPLAYED] * closed
    assert stores.batch_state.progress(SLATE).receipt == receipt


def test_a_finished_consolidation_leaves_a_failure_of_a_higher_fence_than_the_merged_outcome_open(stores):
    receipt = consolidated(stores)
    newer = replace(failure(1), fence=2, run_id="run 2")
    stores.dead_letters.add([failure(1), newer])
    assert finish_consolidation(SLATE, (receipt,), stores.batch_state, stores.dead_letters) == 1
    (letter,) = stores.dead_letters.letters(SLATE)
    assert [(f.fence, f.closed) for f in letter.failures] == [(1, Closing.REPLAYED), (2, None)]


def test_a_finished_consolidation_prunes_the_outcomes_that_do_not_count(stores):
    receipt = consolidated(stores)
    stores.batch_state.record([skipped(1, fence=0)])
    finish_consolidation(SLATE, (receipt,), stores.batch_state, stores.dead_letters)
    assert stores.batch_state.prune_outcomes(SLATE) == 0


def test_a_consolidation_whose_batch_state_was_lost_closes_no_letter(stores):
    receipt = consolidated(stores)
    stores.dead_letters.add([failure(1)])
    stores.batch_state = type(stores.batch_state)()
    assert finish_consolidation(SLATE, (receipt,), stores.batch_state, stores.dead_letters) == 0
    assert len(stores.dead_letters.letters(SLATE)) == 1

"""Clean up: exactly the merged and the orphaned parts go, and the letters that a consolidation settled."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.dead_letter import Closing, Failure
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.steps.cleanup import clean_up, droppable_parts, finish_consolidation
from prediction_assets.steps.merge import merge, plan_merge, read_outcomes
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, rows_of, staged


def write(stores, number: int) -> PartRef:
    who = player(number)
    return stores.warehouse.parts.write(SLATE, who.slug, rows_of(who, {"20.5": 21.0}))


def consolidated(stores, players: int = 2):
    """Open a batch, stage and merge all its players, and return the receipt."""
    stores.batch_state.open(batch(players))
    stores.batch_state.record([staged(write(stores, n)) for n in range(1, players + 1)])
    progress, receipts = read_outcomes(SLATE, stores.warehouse, stores.batch_state)
    work = plan_merge(progress, receipts, now=NOW, limits=AuditLimits(minimum_staged_share=0.5))
    return merge(work, progress, stores.warehouse, stores.dead_letters, run_id="run", now=NOW)


def age(stores, *numbers: int) -> None:
    """Let parts have been written two hours ago."""
    kept = stores.warehouse.parts._parts
    for number in numbers:
        part, rows, _ = kept[SLATE, f"player-{number}"]
        kept[SLATE, f"player-{number}"] = part, rows, datetime.now(UTC) - timedelta(hours=2)


def test_merged_parts_are_dropped_and_a_part_that_arrived_after_the_merge_survives(stores):
    receipt = consolidated(stores)
    later = write(stores, 2)
    done = clean_up(SLATE, stores.warehouse, stores.batch_state, now=datetime.now(UTC))
    assert (done.merged, done.orphaned, done.kept) == (("player-1",), (), ("player-2",))
    assert (done.swept, done.strays, done.receipts) == (0, (), (receipt,))
    assert stores.warehouse.parts.staged(SLATE) == {"player-2": later.part_id}


def skipped(number: int) -> PlayerOutcome:
    return PlayerOutcome(
        SLATE, f"{SLATE}@test", f"player-{number}", Outcome.SKIPPED, "run", NOW, reason="out"
    )


@pytest.mark.parametrize(
    ("is_old", "orphaned", "kept"),
    [(True, ("player-1",), ()), (False, (), ("player-1",))],
    ids=["old", "new"],
)
def test_a_part_that_no_outcome_needs_is_dropped_once_it_is_old(stores, is_old, orphaned, kept):
    stores.batch_state.open(batch(1))
    write(stores, 1)
    stores.batch_state.record([skipped(1)])
    if is_old:
        age(stores, 1)
    done = clean_up(SLATE, stores.warehouse, stores.batch_state, now=datetime.now(UTC))
    assert (done.merged, done.orphaned, done.kept) == ((), orphaned, kept)


@pytest.mark.parametrize(
    ("later", "orphaned"),
    [(timedelta(minutes=59), ()), (timedelta(minutes=61), ("player-1",))],
)
def test_the_caller_s_clock_decides_whether_a_part_is_old(stores, later, orphaned):
    stores.batch_state.open(batch(1))
    write(stores, 1)
    stores.batch_state.record([skipped(1)])
    now = datetime.now(UTC) + later
    assert tuple(droppable_parts(SLATE, stores.warehouse, stores.batch_state, now=now).orphaned) == orphaned
    assert clean_up(SLATE, stores.warehouse, stores.batch_state, now=now).orphaned == orphaned


def test_an_old_part_that_its_outcome_needs_stays(stores):
    stores.batch_state.open(batch(1))
    stores.batch_state.record([staged(write(stores, 1))])
    age(stores, 1)
    assert droppable_parts(SLATE, stores.warehouse, stores.batch_state, now=datetime.now(UTC)).kept == (
        "player-1",
    )


def test_a_part_that_another_cleanup_dropped_first_is_not_counted(stores, monkeypatch):
    consolidated(stores)
    monkeypatch.setattr(stores.warehouse.parts, "drop", lambda slate, slug, part_id: slug == "player-2")
    assert clean_up(SLATE, stores.warehouse, stores.batch_state, now=datetime.now(UTC)).merged == (
        "player-2",
    )


def test_names_that_are_no_parts_are_left_alone_and_said(stores, monkeypatch, caplog):
    consolidated(stores, 1)
    monkeypatch.setattr(stores.warehouse.parts, "strays", lambda slate: [".DS_Store"])
    with caplog.at_level(logging.WARNING):
        assert clean_up(SLATE, stores.warehouse, stores.batch_state, now=datetime.now(UTC)).strays == (
            ".DS_Store",
        )
    assert "1 names in staging are no parts and were left alone: .DS_Store" in caplog.text


def failure(number: int) -> Failure:
    return Failure(SLATE, f"player-{number}", "run", "OSError", "full", "d", 3, NOW, {})


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


def test_a_consolidation_whose_batch_state_was_lost_closes_no_letter(stores):
    receipt = consolidated(stores)
    stores.dead_letters.add([failure(1)])
    stores.batch_state = type(stores.batch_state)()
    assert finish_consolidation(SLATE, (receipt,), stores.batch_state, stores.dead_letters) == 0
    assert len(stores.dead_letters.letters(SLATE)) == 1

"""Merge: when a slate may be merged, and what is recorded of the players who aren't there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from prediction_assets.errors import BatchNotOpen, NotSettled
from prediction_assets.settings import Settings
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import Changes, message_id
from prediction_assets.steps.announce import announce, read_changes
from prediction_assets.steps.merge import audit_limits, merge, plan_merge, read_outcomes, seen_revisions
from prediction_assets.steps.reconcile import read_copies
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, rows_of, staged

DEADLINE = batch().deadline


def stage(stores, *numbers: int) -> None:
    """Open a batch of two players and stage some of them."""
    stores.batch_state.open(batch(2))
    for number in numbers:
        who = player(number)
        part = stores.warehouse.parts.write(SLATE, who.slug, rows_of(who, {"20.5": 21.0, "21.5": 21.0}), 1)
        stores.batch_state.record([staged(part)])


def planned(stores, now=NOW, **options):
    progress, receipts = read_outcomes(SLATE, stores.warehouse, stores.batch_state)
    return progress, plan_merge(
        progress, receipts, now=now, limits=AuditLimits(minimum_staged_share=0.5), **options
    )


def test_a_slate_without_a_batch_has_nothing_to_plan(stores):
    with pytest.raises(BatchNotOpen):
        read_outcomes(SLATE, stores.warehouse, stores.batch_state)


@pytest.mark.parametrize(
    ("settled", "now", "before_deadline", "is_planned"),
    [
        ((1, 2), NOW, False, True),
        ((1,), NOW, False, False),
        ((1,), DEADLINE - timedelta(microseconds=1), False, False),
        ((1,), DEADLINE, False, True),
        ((1,), NOW, True, True),
    ],
    ids=["all settled", "one missing", "just before the deadline", "at the deadline", "on request"],
)
def test_a_slate_is_planned_when_it_has_settled_or_at_its_deadline(
    stores, settled, now, before_deadline, is_planned
):
    stage(stores, *settled)
    if not is_planned:
        with pytest.raises(NotSettled, match=r"1 of 2 players haven't settled .* before_deadline: true"):
            planned(stores, now, before_deadline=before_deadline)
        return
    _, work = planned(stores, now, before_deadline=before_deadline)
    assert [part.player_slug for part in work.parts] == [f"player-{number}" for number in settled]


@pytest.mark.parametrize(
    ("settled", "now", "overdue"),
    [((1,), DEADLINE, ["player-2"]), ((1, 2), DEADLINE, []), ((1,), NOW, [])],
    ids=["one overdue", "nobody", "merged before the deadline"],
)
def test_players_without_an_outcome_at_the_deadline_get_a_dead_letter_and_no_outcome(
    stores, settled, now, overdue
):
    stage(stores, *settled)
    progress, work = planned(stores, now, before_deadline=True)
    receipt = merge(work, progress, stores.warehouse, stores.dead_letters, run_id="run-9", now=now)
    assert (receipt.rows_staged, receipt.rows_inserted) == (2 * len(settled), 2 * len(settled))
    assert stores.warehouse.receipts(SLATE) == (receipt,)
    letters = stores.dead_letters.letters(SLATE)
    assert [letter.player_slug for letter in letters] == overdue
    for letter in letters:
        failure = letter.newest
        assert (failure.error_class, failure.run_id, failure.attempts) == ("DeadlinePassed", "run-9", 0)
        assert failure.message == "no outcome by the deadline, 2026-01-02T15:30:00+00:00"
        assert failure.payload["partition_key"] == f"{SLATE}:player-2"
    after = stores.batch_state.progress(SLATE)
    assert isinstance(after, Progress)
    assert sorted(after.outcomes) == [f"player-{number}" for number in settled]


def test_the_audits_compare_with_the_settings_of_the_installation():
    settings = Settings(
        minimum_staged_share=0.7, least_expected_value=0.06, one_direction_share=0.8, one_direction_minimum=9
    )
    assert audit_limits(settings) == AuditLimits(
        minimum_staged_share=0.7, least_value=0.06, one_direction_share=0.8, one_direction_minimum=9
    )


def test_a_revision_was_seen_where_batch_state_the_outbox_or_the_destination_has_it(stores):
    stage(stores, 1, 2)
    progress, work = planned(stores)
    assert seen_revisions(progress, stores.outbox, stores.publisher) == ()
    merge(work, progress, stores.warehouse, stores.dead_letters, run_id="run-9", now=NOW)
    (made,) = stores.warehouse.receipts(SLATE)
    announce(made, Changes(), stores.outbox, stores.publisher, output_table="t", now=lambda: NOW)
    assert {seen.revision for seen in seen_revisions(progress, stores.outbox, stores.publisher)} == {1}
    copies = read_copies(SLATE, stores.warehouse, stores.batch_state, stores.outbox, stores.publisher)
    assert (copies.receipt, copies.copy) == (made, None)
    assert ([each.revision for each in copies.messages], copies.delivered) == ([1], {message_id(made): 1})


def test_what_a_revision_changed_is_read_against_the_one_before_it(stores):
    stage(stores, 1, 2)
    progress, work = planned(stores)
    made = merge(work, progress, stores.warehouse, stores.dead_letters, run_id="run-9", now=NOW)
    assert read_changes(made, stores.warehouse) == Changes(("player-1", "player-2"), 0)

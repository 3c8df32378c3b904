"""What to do with a batch as it stands."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from prediction_assets.errors import AuditRefused, NoPartsStaged, PartMismatch
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.merge_plan import content_digest, plan, receipt_id
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome, part_id
from prediction_assets.slate.part_states import PartState, abandoned, part_states, parts_in, players_with
from prediction_assets.slate.receipt import MergeCounts, Receipt
from prediction_assets_tests.made_up import NOW, SLATE, batch, progress_of, staged

LATER = NOW + timedelta(hours=1)


def part(number: int, prefix: str = "p", content: str = "c") -> PartRef:
    return PartRef(
        SLATE, f"player-{number}", 100 + number, f"{prefix}{number}", 25, f"{content}{number}", 1, "snap"
    )


def outcome(number: int, kind: Outcome, reason: str = "because") -> PlayerOutcome:
    return PlayerOutcome(SLATE, f"{SLATE}@test", f"player-{number}", kind, "run", NOW, 1, 1, reason=reason)


def receipt_of(progress: Progress) -> Receipt:
    return plan(progress, ()).receipt(MergeCounts(25, 25, 0, 0, 0, 25, ""), (), merge_ms=1.0, now=NOW)


ALL = progress_of(batch(), staged(part(1)), staged(part(2)), staged(part(3)))
SOME = progress_of(batch(), staged(part(1)))
NONE = Progress(batch())


@pytest.mark.parametrize(
    ("progress", "now", "step"),
    [
        (Progress(batch(0)), NOW, Step.NOTHING),
        (NONE, NOW, Step.FEATURES),
        (SOME, NOW, Step.STAGE),
        (SOME, LATER, Step.CONSOLIDATE),
        (NONE, LATER, Step.CONSOLIDATE),
        (ALL, NOW, Step.CONSOLIDATE),
        (dataclasses.replace(ALL, receipt=receipt_of(ALL)), NOW, Step.NOTHING),
        (dataclasses.replace(ALL, receipt=receipt_of(SOME)), NOW, Step.CONSOLIDATE),
        (dataclasses.replace(SOME, receipt=receipt_of(SOME)), LATER, Step.NOTHING),
        (dataclasses.replace(SOME, receipt=receipt_of(SOME)), NOW, Step.STAGE),
    ],
)
def test_a_batch_needs_next(progress, now, step):
    assert next_step(progress, now) is step


def test_the_same_outcomes_lead_to_the_same_receipt_and_a_part_written_again_to_another():
    again = progress_of(batch(), staged(part(1, "q")), staged(part(2)), staged(part(3)))
    assert receipt_id(ALL) == receipt_id(progress_of(batch(), *reversed(ALL.outcomes.values())))
    assert receipt_id(again) != receipt_id(ALL)
    assert content_digest(again) == content_digest(ALL)


def test_outcomes_that_come_back_after_other_ones_lead_to_another_receipt_each_time():
    ids, newest = [], None
    for progress in (SOME, ALL, SOME, ALL, SOME):
        work = plan(progress, [newest] if newest else [])
        assert plan(dataclasses.replace(progress, receipt=newest), [newest] if newest else []) == work
        newest = work.receipt(MergeCounts(25, 25, 0, 0, 0, 25, ""), (), merge_ms=1.0, now=NOW)
        ids.append(newest.receipt_id)
        assert plan(progress, [newest]).receipt_id == newest.receipt_id
        assert next_step(dataclasses.replace(progress, receipt=newest), LATER) is Step.NOTHING
    assert len(set(ids)) == 5
    assert {len(each) for each in ids} == {32}


def test_a_changed_content_or_outcome_changes_the_digest_and_a_failure_s_wording_does_not():
    changed = progress_of(batch(), staged(part(1, content="d")), staged(part(2)), staged(part(3)))
    failed = progress_of(batch(), outcome(1, Outcome.FAILED), staged(part(2)), staged(part(3)))
    other = progress_of(batch(), outcome(1, Outcome.FAILED, "else"), staged(part(2)), staged(part(3)))
    assert len({content_digest(p) for p in (ALL, changed, failed)}) == 3
    assert content_digest(failed) == content_digest(other)


@pytest.mark.parametrize(
    ("outcomes", "status", "staged_ids", "retained", "skipped", "failed"),
    [
        ([staged(part(n)) for n in (1, 2, 3)], "success", (101, 102, 103), (), 0, 0),
        ([staged(part(1)), outcome(2, Outcome.SKIPPED), staged(part(3))], "success", (101, 103), (), 1, 0),
        ([staged(part(1)), outcome(2, Outcome.FAILED), staged(part(3))], "partial", (101, 103), (102,), 0, 1),
        ([staged(part(1))], "partial", (101,), (102, 103), 0, 2),
    ],
)
def test_a_plan_says_who_stays_in_force(outcomes, status, staged_ids, retained, skipped, failed):
    work = plan(progress_of(batch(), *outcomes), ())
    assert (work.status, work.staged_player_ids, work.retained_player_ids) == (status, staged_ids, retained)
    assert (work.expected_players, work.skipped_players, work.failed_players) == (3, skipped, failed)
    assert len(work.missing) == skipped + failed


def test_parts_that_a_receipt_covers_are_not_merged_again():
    earlier = receipt_of(SOME)
    assert [p.part_id for p in plan(ALL, [earlier]).parts] == ["p2", "p3"]


def test_a_part_of_another_player_of_the_same_slug_is_not_merged_and_its_player_is_staged_again():
    progress = progress_of(batch(), staged(part(1)), staged(part(2)), staged(part(3)))
    other = dataclasses.replace(batch().expected[1], player_id=999)
    reopened = dataclasses.replace(batch(), expected=(batch().expected[0], other, batch().expected[2]))
    progress = dataclasses.replace(progress, batch=reopened)
    for receipts in ((), (receipt_of(ALL),)):
        with pytest.raises(PartMismatch, match="the part of player-2 was staged for player 102"):
            plan(progress, receipts)
        states = part_states(progress, [(f"player-{n}", f"p{n}") for n in (1, 2, 3)], receipts)
        assert parts_in(states, PartState.LOST) == [("player-2", "p2")]
        assert players_with(states, PartState.LOST) == ("player-2",)


FAILED = Outcome.FAILED


def written(fence: int) -> PartRef:
    return dataclasses.replace(part(1), part_id=part_id(fence, f"{fence:024x}"))


def of(fence: int, kind: Outcome) -> PlayerOutcome:
    """Return how the first player ended in the run of a fence."""
    done = staged(written(fence)) if kind is Outcome.STAGED else outcome(1, kind)
    return dataclasses.replace(done, fence=fence)


@pytest.mark.parametrize(
    ("player_1", "in_staging", "merged", "states"),
    [
        (None, [4], None, {4: "pending"}),  # may be recorded this moment
        (None, [], None, {}),
        (of(5, Outcome.STAGED), [5], None, {5: "pending"}),
        (of(5, Outcome.STAGED), [5], 5, {5: "merged"}),
        (of(5, Outcome.STAGED), [], 5, {}),
        (of(5, Outcome.STAGED), [], None, {5: "lost"}),
        (of(5, Outcome.STAGED), [4, 5, 6], None, {4: "orphaned", 5: "pending", 6: "pending"}),
        (of(5, Outcome.STAGED), [4, 6], None, {4: "orphaned", 5: "lost", 6: "pending"}),
        (of(5, Outcome.STAGED), [4, 5, 6], 5, {4: "orphaned", 5: "merged", 6: "pending"}),
        (of(5, Outcome.STAGED), [0], None, {5: "lost", 0: "pending"}),  # unreadable
        (of(5, Outcome.STAGED), [0], 5, {0: "pending"}),
        (of(5, Outcome.SKIPPED), [4, 5, 6], None, {4: "orphaned", 5: "orphaned", 6: "pending"}),
        (of(5, FAILED), [4, 5, 6], None, {4: "orphaned", 5: "orphaned", 6: "pending"}),
        (of(5, FAILED), [4], 4, {4: "merged"}),
        (of(5, FAILED), [0], None, {0: "pending"}),
        # Batch state was restored from before the part of fence 7 was merged.
        (of(5, Outcome.STAGED), [5], 7, {5: "lost"}),
        (of(5, Outcome.STAGED), [5, 7], 7, {5: "lost", 7: "merged"}),
        (of(5, FAILED), [7], 7, {7: "merged"}),
    ],
)
def test_a_part_is_to_its_slate(player_1, in_staging, merged, states):
    progress = progress_of(batch(), *([player_1] if player_1 else []))
    ids = {fence: written(fence).part_id if fence else "" for fence in range(9)}
    receipts = [receipt_of(progress_of(batch(), staged(written(merged))))] if merged else []
    found = part_states(progress, [("player-1", ids[fence]) for fence in in_staging], receipts)
    assert found == {("player-1", ids[fence]): state for fence, state in states.items()}


def test_a_part_of_a_player_who_is_not_expected_any_more_is_orphaned_and_without_a_batch_none_is():
    staging = [("player-1", "p1")]
    assert part_states(Progress(batch(0)), staging, ()) == {("player-1", "p1"): "orphaned"}
    assert part_states(None, staging, ()) == {("player-1", "p1"): "pending"}
    assert part_states(None, staging, [receipt_of(SOME)]) == {("player-1", "p1"): "merged"}


DAY_AFTER = batch().deadline + timedelta(days=1)


@pytest.mark.parametrize(
    ("player_1", "now", "fences"),
    [
        (of(5, Outcome.STAGED), DAY_AFTER, []),
        (of(5, Outcome.STAGED), DAY_AFTER + timedelta(seconds=1), [6]),
        (None, DAY_AFTER + timedelta(seconds=1), [4, 5, 6]),
    ],
    ids=["within a day", "after a day", "without an outcome"],
)
def test_a_pending_part_that_no_outcome_names_is_abandoned_a_day_after_the_deadline(player_1, now, fences):
    progress = progress_of(batch(), *([player_1] if player_1 else []))
    ids = {fence: written(fence).part_id for fence in (4, 5, 6)}
    states = part_states(progress, [*(("player-1", each) for each in ids.values()), ("player-2", "")], ())
    assert abandoned(states, progress, now) == [("player-1", ids[fence]) for fence in fences]
    assert abandoned(states, None, now) == []


def test_a_part_that_is_older_than_a_merged_one_of_its_player_is_not_merged():
    """Batch state was restored from before the later part was recorded."""
    later = receipt_of(progress_of(batch(), staged(written(7)), staged(part(2)), staged(part(3))))
    with pytest.raises(PartMismatch, match="the part of player-1 is older than one of his that is merged"):
        plan(progress_of(batch(), staged(written(5)), staged(part(2)), staged(part(3))), [later])
    again = plan(progress_of(batch(), staged(written(8)), staged(part(2)), staged(part(3))), [later])
    assert [each.part_id for each in again.parts] == [written(8).part_id]


@pytest.mark.parametrize(("fence", "is_stale"), [(6, True), (7, False), (8, False)])
def test_a_player_who_was_skipped_before_rows_of_his_were_merged_is_staged_again(fence, is_stale):
    """Batch state was restored from before his rows were staged: they would be taken out of force."""
    later = receipt_of(progress_of(batch(), staged(written(7)), staged(part(2)), staged(part(3))))
    skipped = dataclasses.replace(outcome(1, Outcome.SKIPPED), fence=fence)
    restored = progress_of(batch(), skipped, staged(part(2)), staged(part(3)))
    states = part_states(restored, [], [later])
    assert ("player-1" in players_with(states, PartState.LOST)) is is_stale
    if is_stale:
        with pytest.raises(
            PartMismatch, match="the part of player-1 is older than one of his that is merged"
        ):
            plan(restored, [later])
    else:
        assert plan(restored, [later]).skipped_players == 1


def test_a_refusal_that_was_accepted_is_not_refused_again_when_its_run_was_killed_after_the_merge():
    share = AuditLimits(minimum_staged_share=0.9)
    with pytest.raises(AuditRefused, match="enough_players_staged"):
        plan(SOME, (), limits=share)
    accepted = plan(SOME, (), limits=share, accepted={"enough_players_staged": "an exhibition game"})
    done = accepted.receipt(MergeCounts(25, 25, 0, 0, 0, 25, ""), (), merge_ms=1.0, now=NOW)
    assert plan(SOME, [done], limits=share).receipt_id == done.receipt_id
    with pytest.raises(AuditRefused, match="enough_players_staged"):
        plan(progress_of(batch(), staged(part(2))), [done], limits=share)


def versions(*of_outcomes: tuple[Outcome, int]) -> Progress:
    made = [
        dataclasses.replace(
            staged(part(n)) if kind is Outcome.STAGED else outcome(n, kind), facts_version=version
        )
        for n, (kind, version) in enumerate(of_outcomes, start=1)
    ]
    return progress_of(batch(len(made)), *made)


@pytest.mark.parametrize(
    ("progress", "version"),
    [
        (versions((Outcome.STAGED, 9), (Outcome.STAGED, 7)), 7),
        (versions((Outcome.STAGED, 9), (Outcome.SKIPPED, 3), (FAILED, 2)), 9),
        (versions((Outcome.SKIPPED, 8), (Outcome.SKIPPED, 6)), 6),
        (versions(), 5),
    ],
    ids=[
        "lowest of the staged",
        "others don't count",
        "a retraction: lowest of the skipped",
        "nobody is expected",
    ],
)
def test_a_plan_names_the_facts_version_that_holds_for_all_its_rows(progress, version):
    earlier = dataclasses.replace(receipt_of(ALL), facts_version=5).hashed()
    work = plan(progress, [earlier])
    assert work.facts_version == version
    done = work.receipt(MergeCounts(25, 25, 0, 0, 0, 25, ""), [earlier], merge_ms=1.0, now=NOW)
    assert done.facts_version == version


def test_the_snapshot_of_a_slate_is_the_one_of_the_highest_fence_whatever_the_clocks_say():
    old = dataclasses.replace(part(2), part_id=part_id(3, "a" * 24), feature_snapshot="older")
    new = dataclasses.replace(part(1), part_id=part_id(4, "a" * 24), feature_snapshot="newer")
    work = plan(progress_of(batch(2), staged(new, minutes=-1440), staged(old, minutes=1440)), ())
    assert work.feature_snapshot == "newer"


def skipped_all(players: int = 3) -> Progress:
    return progress_of(
        batch(players), *(outcome(n, Outcome.SKIPPED, "no game") for n in range(1, players + 1))
    )


@pytest.mark.parametrize("nothing", [skipped_all(), skipped_all(0)], ids=["all skipped", "no game"])
def test_when_there_is_nothing_to_predict_any_more_what_was_merged_is_taken_back(nothing):
    earlier = receipt_of(ALL)
    assert next_step(dataclasses.replace(nothing, receipt=earlier), NOW) is Step.CONSOLIDATE
    work = plan(nothing, [earlier], limits=AuditLimits(minimum_staged_share=0.8))
    assert (work.status, work.parts, work.staged_player_ids, work.retained_player_ids) == (
        "success", (), (), (),
    )  # fmt: skip
    assert (work.feature_snapshot, work.after) == (earlier.feature_snapshot, earlier.receipt_id)
    back = work.receipt(MergeCounts(0, 0, 0, 0, 25, 0, ""), [earlier], merge_ms=1.0, now=NOW)
    assert (back.is_retraction, back.revision) == (True, 2)
    assert next_step(dataclasses.replace(nothing, receipt=back), NOW) is Step.NOTHING


@pytest.mark.parametrize("nothing", [skipped_all(), skipped_all(0)], ids=["all skipped", "no game"])
def test_when_there_is_nothing_to_predict_and_nothing_was_merged_the_slate_rests(nothing):
    assert next_step(nothing, NOW) is Step.NOTHING
    with pytest.raises(NoPartsStaged, match="There is nothing to predict"):
        plan(nothing, ())


def test_nobody_staged_and_somebody_failed_takes_nothing_back():
    progress = progress_of(
        batch(), outcome(1, Outcome.FAILED), outcome(2, Outcome.SKIPPED), outcome(3, Outcome.SKIPPED)
    )
    with pytest.raises(NoPartsStaged, match=r"none of 3.*Materialize staged_predictions"):
        plan(progress, [receipt_of(ALL)])


def test_nobody_staged_is_an_error_that_says_why_and_what_to_do():
    nobody = progress_of(
        batch(), outcome(1, Outcome.FAILED, "OSError: disk"), outcome(2, Outcome.SKIPPED, "ill")
    )
    with pytest.raises(NoPartsStaged, match=r"none of 3 .*OSError: disk.*Materialize staged_predictions"):
        plan(nobody, ())


@pytest.mark.parametrize(
    ("outcomes", "enough"),
    [
        ([staged(part(1)), staged(part(2)), outcome(3, Outcome.FAILED)], False),
        ([staged(part(1)), staged(part(2)), outcome(3, Outcome.SKIPPED)], True),
        ([staged(part(1)), staged(part(2)), staged(part(3))], True),
        ([staged(part(1))], False),
    ],
)
def test_below_the_minimum_share_a_slate_is_not_merged_and_a_skipped_player_does_not_count(outcomes, enough):
    progress = progress_of(batch(), *outcomes)
    if enough:
        assert plan(progress, (), limits=AuditLimits(minimum_staged_share=0.8)).parts
    else:
        with pytest.raises(AuditRefused, match="less than 80%"):
            plan(progress, (), limits=AuditLimits(minimum_staged_share=0.8))


@pytest.mark.parametrize(
    ("before", "after", "revision"),
    [(None, ALL, 1), (SOME, ALL, 2), (ALL, ALL, 1)],
    ids=["a first receipt", "other content", "the same content"],
)
def test_the_revision_grows_only_with_other_content(before, after, revision):
    earlier = [receipt_of(before)] if before is not None else []
    counts = MergeCounts(25, 25, 0, 0, 0, 25, "")
    assert plan(after, earlier).receipt(counts, earlier, merge_ms=1.0, now=LATER).revision == revision

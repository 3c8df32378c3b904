"""What every implementation of batch state does alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations, product
from typing import Any

import pytest

from prediction_assets.errors import BatchConflict, BatchNotOpen
from prediction_assets.slate.basis import Basis
from prediction_assets.slate.batch import Batch
from prediction_assets.slate.merge_plan import receipt_id
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.stores.protocols import BatchState
from prediction_assets_tests.contract.batch_state.conftest import Store
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, receipt

OTHER_SLATE = "2026-01-03"

IN_MEMORY = pytest.mark.parametrize("store", ["in_memory"], indirect=True)
"""For tables of a rule that every implementation takes from ``slate.roster_freeze``: shown once."""


def part(slug: str, rows: int = 25) -> PartRef:
    return PartRef(SLATE, slug, 101, f"part-of-{slug}", rows, "c" * 64, 1, "snapshot1")


def staged(slug: str, run: str = "run", fence: int = 1) -> PlayerOutcome:
    basis = Basis("9000000001", "S02", "", "Probable", "24.5", "Book A", "o1", "f1", "m1")
    return PlayerOutcome(
        SLATE, f"{SLATE}@test", slug, Outcome.STAGED, run, NOW, fence, 4, part=part(slug), basis=basis
    )


def failed(slug: str, reason: str = "ValueError: no", fence: int = 1) -> PlayerOutcome:
    return PlayerOutcome(SLATE, f"{SLATE}@test", slug, Outcome.FAILED, "run", NOW, fence, 4, reason=reason)


def skipped(slug: str, fence: int = 1) -> PlayerOutcome:
    return PlayerOutcome(SLATE, f"{SLATE}@test", slug, Outcome.SKIPPED, "run", NOW, fence, 4, reason="out")


def pin(state: BatchState, snapshot_id: str, fence: int = 1, version: int = 1) -> bool:
    return state.pin_features(
        SLATE, snapshot_id, fence=fence, facts_version=version, made_from=f"facts of {snapshot_id}"
    )


def by_slug(made: Batch) -> Batch:
    return replace(made, expected=tuple(sorted(made.expected, key=lambda p: p.slug)))


# Opening


def test_a_slate_that_was_never_opened_has_no_progress(state: BatchState) -> None:
    assert state.progress(SLATE) is None


def test_an_opened_batch_is_read_back_whole(state: BatchState) -> None:
    neutral = replace(player(4), is_home=None, name="Nikola Jokić")
    opened = replace(batch(3), expected=(*batch(3).expected, neutral))
    assert state.open(opened) == opened
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.batch == opened
    assert (progress.outcomes, progress.feature_snapshot, progress.receipt) == ({}, None, None)
    assert type(progress.batch.opened_at) is datetime


def test_times_of_any_zone_are_the_same_moment_in_utc(state: BatchState) -> None:
    eastern = timezone(timedelta(hours=-5))
    state.open(replace(batch(1), opened_at=NOW.astimezone(eastern)))
    progress = state.progress(SLATE)
    assert progress is not None
    assert (progress.batch.opened_at, progress.batch.opened_at.tzinfo) == (NOW, UTC)


def test_a_batch_without_players_can_be_opened(state: BatchState) -> None:
    state.open(batch(0))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.batch.expected == ()


def test_opening_again_returns_the_first_batch(state: BatchState) -> None:
    first = state.open(batch(12))
    later = replace(batch(12), batch_id="another", opened_at=NOW + timedelta(hours=1))
    assert state.open(later) == by_slug(first)


def test_opening_again_keeps_outcomes_and_pinned_features(state: BatchState) -> None:
    state.open(batch(2))
    pin(state, "snapshot1")
    state.record([staged("player-1")])
    state.open(batch(2))
    progress = state.progress(SLATE)
    assert progress is not None
    assert (list(progress.outcomes), progress.feature_snapshot) == (["player-1"], "snapshot1")


def test_players_in_another_order_are_the_same_batch(state: BatchState) -> None:
    state.open(batch(3))
    backwards = replace(batch(3), expected=batch(3).expected[::-1])
    assert state.open(backwards).expected == batch(3).expected


def test_opening_with_other_work_is_a_conflict_and_changes_nothing(state: BatchState) -> None:
    state.open(batch(3))
    with pytest.raises(BatchConflict, match=r"would add 1 \(player-4\)"):
        state.open(batch(4))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.batch == batch(3)


@IN_MEMORY
@pytest.mark.parametrize(
    ("later", "says"),
    [
        (batch(4), "would add 1 (player-4)"),
        (batch(8), "would add 5 (player-4, player-5, player-6, ...)"),
        (batch(2), "would drop 1 (player-3)"),
        (replace(batch(3), expected=(player(1), player(2), player(5))), "add 1 (player-5) and drop 1 (player-3)"),
        (
            replace(batch(3), expected=(player(1), player(2), replace(player(3), team="S09"))),
            "change a player's team, opponent or game",
        ),
        (replace(batch(3), league="NBA"), "change its league from simulated-3 to NBA"),
    ],
)  # fmt: skip
def test_a_conflict_says_what_would_change(state: BatchState, later: Batch, says: str) -> None:
    state.open(batch(3))
    with pytest.raises(BatchConflict) as raised:
        state.open(later)
    assert says in str(raised.value)
    assert f"slate {SLATE}: its batch was opened at 2026-01-02T15:00:00" in str(raised.value)
    assert "--reopen" in str(raised.value)


def test_batches_of_different_slates_are_apart(state: BatchState) -> None:
    state.open(batch(2))
    state.open(batch(3, OTHER_SLATE))
    state.record(
        [
            staged("player-1"),
            replace(staged("player-3"), slate=OTHER_SLATE, batch_id=f"{OTHER_SLATE}@test", part=None),
        ]
    )
    here, there = state.progress(SLATE), state.progress(OTHER_SLATE)
    assert here is not None
    assert there is not None
    assert (list(here.outcomes), list(there.outcomes)) == (["player-1"], ["player-3"])


# Reopening


def test_reopening_replaces_the_expected_players_and_keeps_the_outcomes_of_who_stays(
    state: BatchState,
) -> None:
    state.open(batch(3))
    pin(state, "snapshot1")
    state.record([staged("player-1"), staged("player-3")])
    again = replace(batch(2), batch_id="again")
    assert state.reopen(again) == again
    progress = state.progress(SLATE)
    assert progress is not None
    assert (progress.batch, list(progress.outcomes)) == (again, ["player-1"])


def test_reopening_forgets_the_outcome_of_a_player_who_is_not_the_same_any_more(state: BatchState) -> None:
    state.open(batch(3))
    pin(state, "snapshot1")
    state.record([staged("player-1"), staged("player-2"), failed("player-3")])
    first, second, third = batch(3).expected
    moved = replace(second, game_id="9000000009")
    again = replace(batch(3), expected=(first, moved, third), batch_id="again")
    state.reopen(again)
    progress = state.progress(SLATE)
    assert progress is not None
    assert (progress.batch, sorted(progress.outcomes)) == (again, ["player-1", "player-3"])
    assert next_step(progress, NOW) is Step.FEATURES


@IN_MEMORY
@pytest.mark.parametrize(
    "change", [{"player_id": 999}, {"team": "S09"}, {"opponent": "S09"}, {"is_home": None}], ids=str
)
def test_a_player_whose_id_or_game_changed_is_another_one(state: BatchState, change: dict[str, Any]) -> None:
    state.open(batch(2))
    state.record([staged("player-1"), staged("player-2")])
    first, second = batch(2).expected
    state.reopen(replace(batch(2), expected=(first, replace(second, **change))))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.unsettled == ("player-2",)


def test_reopening_keeps_the_pinned_features_when_they_are_of_all_who_are_expected_now(
    state: BatchState,
) -> None:
    state.open(batch(3))
    pin(state, "snapshot1")
    pinned = []
    for players in (2, 2, 3):
        state.reopen(batch(players))
        progress = state.progress(SLATE)
        assert progress is not None
        pinned.append((progress.feature_snapshot, progress.features_made_from))
    kept = "snapshot1", "facts of snapshot1"
    assert pinned == [kept, kept, (None, "")]


def of_batch(outcome: PlayerOutcome, batch_id: str) -> PlayerOutcome:
    return replace(outcome, batch_id=batch_id)


def test_an_outcome_that_is_recorded_for_a_batch_that_was_reopened_since_does_not_count(
    state: BatchState,
) -> None:
    state.open(replace(batch(4), batch_id="first"))
    state.record([of_batch(staged(f"player-{n}"), "first") for n in (1, 2)])
    moved = replace(player(2), game_id="9000000009")
    expected = (player(1), moved, player(3), player(4))
    state.reopen(replace(batch(4), batch_id="second", expected=expected))
    late = [staged("player-2"), failed("player-3")]
    state.record([of_batch(outcome, "first") for outcome in late])
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {"player-1": of_batch(staged("player-1"), "second")}
    state.reopen(replace(batch(4), batch_id="third", expected=expected))
    state.record([of_batch(staged("player-4"), "third")])
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {f"player-{n}": of_batch(staged(f"player-{n}"), "third") for n in (1, 4)}


def test_a_late_outcome_of_a_player_who_was_dropped_and_is_back_does_not_count(state: BatchState) -> None:
    state.open(replace(batch(3), batch_id="first"))
    state.reopen(replace(batch(2), batch_id="second"))
    state.reopen(replace(batch(3), batch_id="third"))
    state.record([of_batch(staged("player-3"), "first")])
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {}


def test_an_outcome_of_a_dropped_player_that_comes_late_does_not_count_when_he_is_back(
    state: BatchState,
) -> None:
    state.open(batch(3))
    state.reopen(batch(2))
    state.record([staged("player-3")])
    state.reopen(batch(3))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {}


def test_a_player_who_was_dropped_and_comes_back_has_no_outcome(state: BatchState) -> None:
    state.open(batch(3))
    state.record([staged("player-3")])
    state.reopen(batch(2))
    state.reopen(batch(3))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.unsettled == ("player-1", "player-2", "player-3")


def test_reopening_twice_is_as_reopening_once(state: BatchState) -> None:
    state.open(batch(3))
    state.record([staged("player-1")])
    for _ in range(2):
        state.reopen(batch(4))
    progress = state.progress(SLATE)
    assert progress is not None
    assert (progress.batch, list(progress.outcomes)) == (batch(4), ["player-1"])


def test_a_slate_that_was_never_opened_can_be_reopened(state: BatchState) -> None:
    state.reopen(batch(2))
    assert state.open(batch(2)) == batch(2)


def test_the_receipt_survives_a_reopening(state: BatchState) -> None:
    state.open(batch(2))
    state.mark_consolidated(receipt())
    state.reopen(batch(3))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.receipt == receipt()


# Features


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))), ids=str)
def test_of_pinned_features_the_highest_fence_counts_in_whatever_order_they_come(
    state: BatchState, order: tuple[int, ...]
) -> None:
    state.open(batch(1))
    counted = [pin(state, f"snapshot{fence}", fence, version=10 - fence) for fence in order]
    assert counted == [fence == max(order[: n + 1]) for n, fence in enumerate(order)]
    progress = state.progress(SLATE)
    assert progress is not None
    assert (progress.feature_snapshot, progress.features_version) == ("snapshot3", 7)
    assert progress.features_made_from == "facts of snapshot3"


def test_features_that_a_run_from_before_a_reopening_pins_after_it_do_not_count(state: BatchState) -> None:
    state.open(batch(2))
    before = state.claim_fence(SLATE)
    state.reopen(batch(3))
    assert not pin(state, "of two players", before)
    assert pin(state, "of three players", state.claim_fence(SLATE))
    assert not pin(state, "of two players", before)
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.feature_snapshot == "of three players"


def test_features_of_a_slate_without_a_batch_are_refused(state: BatchState) -> None:
    with pytest.raises(BatchNotOpen, match="no batch is open; materialize slate_roster"):
        pin(state, "snapshot1")
    assert state.progress(SLATE) is None


# Fences


def test_each_claim_is_higher_than_all_before_also_across_batches_of_the_slate(state: BatchState) -> None:
    state.open(batch(2))
    claimed = [state.claim_fence(SLATE), state.claim_fence(SLATE)]
    state.reopen(replace(batch(3), batch_id="again"))
    claimed += [state.claim_fence(SLATE)]
    state.reopen(batch(0))
    claimed += [state.claim_fence(SLATE)]
    assert claimed == sorted({*claimed}), "each is higher than all before"
    state.open(batch(2, OTHER_SLATE))
    assert state.claim_fence(OTHER_SLATE) == 1, "each slate has a sequence of its own"


def test_a_claim_is_above_what_its_caller_knows_although_batch_state_does_not(state: BatchState) -> None:
    state.open(batch(1))
    assert [state.claim_fence(SLATE, above) for above in (0, 7, 3, 9, 0)] == [1, 8, 9, 10, 11]


def test_no_fence_is_claimed_for_a_slate_without_a_batch(state: BatchState) -> None:
    with pytest.raises(BatchNotOpen, match="no batch is open"):
        state.claim_fence(SLATE)


def test_another_process_claims_a_higher_fence(store: Store) -> None:
    store.opened().open(batch(2))
    assert [store.opened().claim_fence(SLATE) for _ in range(3)] == [1, 2, 3]


KINDS = (staged, failed, skipped)
CLOCKS = (timedelta(days=-1), timedelta(0), timedelta(days=1))


def test_of_a_players_outcomes_the_highest_fence_counts_in_whatever_order_and_by_whatever_clock(
    state: BatchState,
) -> None:
    """Every order of three outcomes, of every kind, with every one of the three clocks a day off."""
    cases = [*product(permutations((1, 2, 3)), permutations(KINDS), permutations(CLOCKS))]
    state.open(batch(len(cases)))
    slugs = [f"player-{n}" for n in range(1, len(cases) + 1)]
    made = {
        slug: {
            fence: replace(kind(slug, fence=fence), recorded_at=NOW + clock, run_id=f"run {fence}")
            for fence, kind, clock in zip((1, 2, 3), kinds, clocks, strict=True)
        }
        for slug, (_, kinds, clocks) in zip(slugs, cases, strict=True)
    }
    for turn in range(3):
        state.record([made[slug][order[turn]] for slug, (order, _, _) in zip(slugs, cases, strict=True)])
        progress = state.progress(SLATE)
        assert progress is not None
        assert progress.outcomes == {
            slug: made[slug][max(order[: turn + 1])] for slug, (order, _, _) in zip(slugs, cases, strict=True)
        }


def test_of_outcomes_with_the_same_fence_the_last_one_counts(state: BatchState) -> None:
    state.open(batch(3))
    for kind in KINDS:
        for slug in ("player-1", "player-2", "player-3"):
            state.record([kind(slug)])
            progress = state.progress(SLATE)
            assert progress is not None
            assert progress.outcomes[slug] == kind(slug)


def test_a_late_outcome_of_an_earlier_batch_hides_none_that_counts_whatever_its_fence(
    state: BatchState,
) -> None:
    state.open(replace(batch(2), batch_id="first"))
    state.record([of_batch(staged("player-1", fence=3), "first")])
    state.reopen(replace(batch(3), batch_id="second"))
    state.record(
        [of_batch(failed("player-1", fence=5), "first"), of_batch(failed("player-2", fence=5), "first")]
    )
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {"player-1": of_batch(staged("player-1", fence=3), "second")}
    state.record(
        [of_batch(skipped("player-1", fence=4), "second"), of_batch(staged("player-2", fence=2), "second")]
    )
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {
        "player-1": of_batch(skipped("player-1", fence=4), "second"),
        "player-2": of_batch(staged("player-2", fence=2), "second"),
    }


def test_a_reopening_keeps_the_outcome_with_the_highest_fence_and_a_lower_one_stays_out(
    state: BatchState,
) -> None:
    state.open(replace(batch(2), batch_id="first"))
    for fence in (4, 2):
        state.record([of_batch(staged("player-1", f"run {fence}", fence), "first")])
    state.reopen(replace(batch(3), batch_id="second"))
    state.record([of_batch(failed("player-1", fence=3), "second")])
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {"player-1": of_batch(staged("player-1", "run 4", 4), "second")}


def test_pruning_outcomes_changes_nothing_that_counts(state: BatchState) -> None:
    state.open(batch(3))
    state.record([staged("player-1", fence=fence) for fence in (3, 1, 2)])
    state.record([failed("player-2", fence=7), of_batch(staged("player-3", fence=9), "of another batch")])
    before = state.progress(SLATE)
    state.prune_outcomes(SLATE)
    assert state.progress(SLATE) == before
    assert state.prune_outcomes(SLATE) == 0
    assert state.prune_outcomes(OTHER_SLATE) == 0
    state.record([skipped("player-1", fence=2)])
    assert state.progress(SLATE) == before, "a low fence that comes after the pruning doesn't count either"


# Outcomes


@pytest.mark.parametrize(
    "outcome",
    [
        staged("player-1"),
        failed("player-1", "PartMismatch: a reason with\nlines, \u201cquotes\u201d and 100 % more"),
        PlayerOutcome(
            SLATE,
            f"{SLATE}@test",
            "player-1",
            Outcome.SKIPPED,
            "",
            NOW.replace(microsecond=123456),
            99_999_999,
            123_456_789_012,
            reason="hurt",
        ),
    ],
    ids=lambda c: c.outcome.value,
)
def test_an_outcome_is_read_back_whole(state: BatchState, outcome: PlayerOutcome) -> None:
    state.open(batch(1))
    state.record([outcome])
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {"player-1": outcome}


def test_recording_again_changes_nothing(state: BatchState) -> None:
    state.open(batch(2))
    state.record([staged("player-1")])
    before = state.progress(SLATE)
    state.record([staged("player-1")])
    state.record([staged("player-1"), staged("player-1")])
    assert state.progress(SLATE) == before


def test_a_later_outcome_replaces_the_earlier_one(state: BatchState) -> None:
    state.open(batch(1))
    state.record([failed("player-1")])
    state.record([staged("player-1")])
    progress = state.progress(SLATE)
    assert progress is not None
    assert (progress.count(Outcome.FAILED), progress.count(Outcome.STAGED)) == (0, 1)


def test_the_last_outcome_of_a_group_counts(state: BatchState) -> None:
    state.open(batch(1))
    state.record([failed("player-1"), staged("player-1", "other run")])
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes["player-1"] == staged("player-1", "other run")


def test_recording_nothing_is_a_no_op(state: BatchState) -> None:
    state.open(batch(1))
    state.record([])
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {}


def test_an_outcome_of_a_player_who_is_not_expected_does_not_count(state: BatchState) -> None:
    state.open(batch(1))
    state.record([staged("player-1"), staged("somebody-else")])
    progress = state.progress(SLATE)
    assert progress is not None
    assert list(progress.outcomes) == ["player-1"]


def test_an_outcome_that_arrives_before_the_batch_neither_opens_it_nor_is_lost(state: BatchState) -> None:
    state.record([staged("player-1")])
    assert state.progress(SLATE) is None
    assert state.recent_slates(NOW - timedelta(days=1)) == []
    state.open(batch(2))
    progress = state.progress(SLATE)
    assert progress is not None
    assert list(progress.outcomes) == ["player-1"]


def test_a_players_key_is_never_taken_apart(state: BatchState) -> None:
    slugs = ("p.j.-washington", "deaaron-fox-2", "a`b", "x[0]*~", "1", "_", "__a")
    state.open(replace(batch(1), expected=tuple(player(n, slug) for n, slug in enumerate(slugs))))
    state.record([staged(slug) for slug in slugs])
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {slug: staged(slug) for slug in slugs}


def test_some_players_outcomes_are_those_that_all_have(state: BatchState) -> None:
    state.open(batch(90))
    state.record([staged(f"player-{n}") for n in range(1, 91)])
    state.record([failed(f"player-{n}", fence=2) for n in range(1, 91, 7)])
    state.record([skipped(f"player-{n}") for n in range(90, 96)])
    whole = state.progress(SLATE)
    assert whole is not None
    for asked in (0, 1, 30, 31, 45, 46, 90):
        asked_for = {f"player-{n}" for n in range(1, asked + 1)} | {"player-92", "nobody"}
        some = state.progress(SLATE, asked_for)
        assert some is not None
        assert {slug: some.outcomes.get(slug) for slug in asked_for} == {
            slug: whole.outcomes.get(slug) for slug in asked_for
        }
        assert some.outcomes.items() <= whole.outcomes.items()
        assert replace(some, outcomes={}) == replace(whole, outcomes={})


def test_another_process_sees_what_was_recorded(store: Store) -> None:
    store.opened().open(batch(2))
    store.opened().record([staged("player-2")])
    progress = store.opened().progress(SLATE)
    assert progress is not None
    assert progress.unsettled == ("player-1",)


# Recent slates


def test_recent_slates_come_oldest_first_and_begin_at_the_moment_asked_for(state: BatchState) -> None:
    opened = {"2026-01-05": 0, "2026-01-04": 2, "2026-01-03": 1, "2026-01-02": 1}
    for slate, hours in opened.items():
        state.open(replace(batch(1, slate), opened_at=NOW + timedelta(hours=hours)))
    assert list(state.recent_slates(NOW)) == ["2026-01-05", "2026-01-02", "2026-01-03", "2026-01-04"]
    assert list(state.recent_slates(NOW + timedelta(hours=2))) == ["2026-01-04"]
    assert list(state.recent_slates(NOW + timedelta(hours=3))) == []


# Receipts


def test_a_mirrored_receipt_is_read_back_whole(state: BatchState) -> None:
    state.open(batch(1))
    state.mark_consolidated(receipt())
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.receipt == receipt()
    assert isinstance(progress.receipt.merge_ms, float)


def test_a_mirrored_receipt_that_was_edited_by_hand_is_ignored_named_and_mirrored_again(
    state: BatchState, caplog: pytest.LogCaptureFixture
) -> None:
    state.open(batch(1))
    made = receipt()
    state.mark_consolidated(replace(made, status="success"))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.receipt is None
    assert f"slate {SLATE}: the copy of receipt r1 in" in caplog.text
    state.mark_consolidated(made)
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.receipt == made


def test_a_receipt_without_parts_is_read_back(state: BatchState) -> None:
    state.open(batch(1))
    state.mark_consolidated(receipt(parts=0, missing=()))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.receipt == receipt(parts=0, missing=())


@pytest.mark.parametrize("clock", [1, -1], ids=["a clock that goes on", "a clock that is set back"])
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (3, 3, 2)])
def test_the_newest_revision_stays_whatever_order_they_come_in(
    state: BatchState, order: tuple[int, ...], clock: int
) -> None:
    state.open(batch(1))
    for revision in order:
        state.mark_consolidated(receipt(f"r{revision}", clock * revision, parts=revision, revision=revision))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.receipt == receipt("r3", clock * 3, parts=3, revision=3)


@pytest.mark.parametrize("minutes", [(0, 0), (1, 0), (0, 1)])
def test_of_two_receipts_of_one_revision_the_one_mirrored_last_stays(
    state: BatchState, minutes: tuple[int, int]
) -> None:
    state.open(batch(1))
    state.mark_consolidated(receipt("r1", minutes[0]))
    state.mark_consolidated(receipt("r2", minutes[1]))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.receipt is not None
    assert progress.receipt.receipt_id == "r2"


def test_the_newest_receipt_is_read_without_its_batch(state: BatchState) -> None:
    assert state.consolidated(SLATE) is None
    state.mark_consolidated(receipt(parts=2000))
    assert state.progress(SLATE) is None
    assert state.consolidated(SLATE) == receipt(parts=2000)
    state.mark_consolidated(replace(receipt("r2", revision=2), status="success"))
    assert state.consolidated(SLATE) is None  # edited by hand


def test_decisions_follow_from_what_is_read(state: BatchState) -> None:
    state.open(batch(2))
    steps = []

    def step() -> None:
        progress = state.progress(SLATE)
        assert progress is not None
        steps.append(next_step(progress, NOW))

    step()
    pin(state, "snapshot1")
    step()
    state.record([staged("player-1")])
    step()
    state.record([failed("player-2")])
    step()
    progress = state.progress(SLATE)
    assert progress is not None
    state.mark_consolidated(receipt(receipt_id(progress)))
    step()
    state.record([staged("player-2")])
    step()
    assert steps == [
        Step.FEATURES, Step.STAGE, Step.STAGE, Step.CONSOLIDATE, Step.NOTHING, Step.CONSOLIDATE,
    ]  # fmt: skip


# Size


def test_a_slate_larger_than_a_document_fits_with_its_outcomes_and_receipt(state: BatchState) -> None:
    players = 2000
    large = by_slug(batch(players))
    state.open(large)
    assert state.open(batch(players)) == large
    state.record([staged(p.slug) for p in large.expected])
    state.mark_consolidated(receipt(parts=players))
    progress = state.progress(SLATE)
    assert progress is not None
    assert (progress.batch, progress.receipt) == (large, receipt(parts=players))
    assert (progress.count(Outcome.STAGED), progress.unsettled) == (players, ())

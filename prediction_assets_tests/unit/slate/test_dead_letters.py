"""Dead letters: how failures make letters, and which of them are settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from prediction_assets.slate.dead_letter import (
    Closing,
    DeadLetter,
    Failure,
    common_cause,
    letters_of,
    letters_settled_by,
    replay_payload,
)
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, progress_of, receipt, staged

HOUR = timedelta(hours=1)
PART_ID = f"{0:032}"  # the first part that the made-up receipt names


def failure(number: int = 1, run: str = "run", after: timedelta = 0 * HOUR, **changes: object) -> Failure:
    made = Failure(SLATE, f"player-{number}", run, "OSError", "full", "digest", 3, 1, NOW + after, {})
    return replace(made, **changes)


def letter(number: int = 1, digest: str = "digest") -> DeadLetter:
    return DeadLetter(SLATE, f"player-{number}", (failure(number, traceback_digest=digest),))


def test_a_letter_sums_up_its_failures():
    # The clock of the second run was an hour ahead when it failed, and the first one's was right.
    first = failure(run="b", after=HOUR)
    second = failure(run="a", fence=2, message="still full", attempts=2)
    (made,) = letters_of([second, first])
    assert made.failures == (first, second)
    assert (made.newest, made.attempts) == (second, 5)
    assert (made.first_seen, made.last_seen) == (NOW, NOW + HOUR)


def test_failures_are_grouped_by_slate_and_player_and_letters_sorted_by_both():
    other = replace(failure(1), slate="2026-01-01")
    found = letters_of([failure(2), failure(1), other, failure(1, "again")])
    assert [(made.slate, made.player_slug, len(made.failures)) for made in found] == [
        ("2026-01-01", "player-1", 1), (SLATE, "player-1", 2), (SLATE, "player-2", 1),
    ]  # fmt: skip
    assert [each.run_id for each in found[1].failures] == ["again", "run"]  # of one moment: by run
    assert letters_of([]) == []


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        ([None], None),
        ([Closing.REPLAYED, None], None),
        ([None, Closing.REPLAYED], None),
        ([Closing.DISCARDED, Closing.REPLAYED], Closing.REPLAYED),
    ],
)
def test_a_letter_is_closed_when_all_its_failures_are_and_as_the_newest_was(closed, expected):
    failures = [failure(run=f"run {n}", after=n * HOUR, closed=how) for n, how in enumerate(closed)]
    assert letters_of(failures)[0].closed is expected


def part(part_id: str) -> PlayerOutcome:
    return replace(staged(PartRef(SLATE, "player-1", 101, part_id, 25, "c" * 64, 1, "snapshot1")), fence=5)


def ended(kind: Outcome) -> PlayerOutcome:
    return PlayerOutcome(SLATE, f"{SLATE}@test", "player-1", kind, "run", NOW, 5, 1, reason="because")


@pytest.mark.parametrize(
    ("outcomes", "expected_players", "settled"),
    [
        ([part(PART_ID)], 1, {"player-1": 5}),
        ([part("not merged yet")], 1, {}),
        ([ended(Outcome.SKIPPED)], 1, {"player-1": 5}),
        ([ended(Outcome.FAILED)], 1, {}),
        ([], 1, {}),
        ([], 0, {"player-1": 1}),
    ],
    ids=["merged", "staged", "skipped", "failed", "without an outcome", "not expected any more"],
)
def test_a_letter_is_settled_by_a_merged_part_a_skip_or_a_roster_without_the_player(
    outcomes, expected_players, settled
):
    progress = progress_of(batch(expected_players), *outcomes)
    assert letters_settled_by(progress, [receipt()], [letter()]) == settled
    assert letters_settled_by(progress, [receipt()], []) == {}


@pytest.mark.parametrize(
    ("digests", "players", "cause"),
    [
        ([], 9, None),
        (["a"] * 4, 4, None),
        (["a"] * 5, 9, "a"),
        (["a"] * 5, 10, None),
        (["a"] * 5 + ["b"] * 6, 11, "b"),
        ([""] * 9, 9, None),
    ],
    ids=["no letters", "too few", "most players", "exactly half", "the commonest", "nothing was raised"],
)
def test_most_players_who_failed_alike_have_a_common_cause(digests, players, cause):
    found = common_cause([letter(n, digest) for n, digest in enumerate(digests)], players)
    assert (found and found.newest.traceback_digest) == cause


def test_a_replay_knows_the_player_his_batch_and_his_features():
    assert replay_payload(progress_of(batch(1)), player(1)) == {
        "partition_key": f"{SLATE}:player-1",
        "player_id": 101,
        "batch_id": f"{SLATE}@test",
        "feature_snapshot": "snapshot1",
    }

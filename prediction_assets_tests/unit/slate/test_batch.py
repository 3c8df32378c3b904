"""A batch's players, and the rule that freezes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prediction_assets.errors import BatchConflict
from prediction_assets.slate.batch import Batch
from prediction_assets.slate.roster_freeze import keeping, require_same_work, unchanged
from prediction_assets_tests.made_up import batch, player


def with_players(*players, **changes: object) -> Batch:
    return replace(batch(0), expected=players, **changes)


def test_players_are_found_by_their_slugs_in_the_slugs_order():
    assert batch(3).players(["player-3", "player-1"]) == [player(3), player(1)]
    assert batch(3).players([]) == []


def test_a_slug_that_is_not_expected_is_refused_with_the_command_that_lists_them():
    with pytest.raises(
        BatchConflict,
        match=r"'player-9' is not among its 3 expected players; see `prediction-assets status --slate 2026-01-02`",
    ):
        batch(3).players(["player-1", "player-9"])


def test_the_same_work_in_another_order_or_at_another_time_is_the_batch_that_was_opened_first():
    first = batch(3)
    later = replace(
        first,
        expected=first.expected[::-1],
        batch_id="another",
        opened_at=first.deadline,
        deadline=first.deadline,
    )
    assert require_same_work(first, later) is first


ELSEWHERE = replace(player(1), team="S03")


@pytest.mark.parametrize(
    ("later", "change"),
    [
        (batch(4), "would add 1 (player-4). "),
        (batch(2), "would drop 1 (player-3). "),
        (batch(7), "would add 4 (player-4, player-5, player-6, ...). "),
        (with_players(player(2), player(3), player(4)), "would add 1 (player-4) and drop 1 (player-1). "),
        (with_players(ELSEWHERE, player(2), player(3)), "would change a player's team, opponent or game. "),
        (replace(batch(3), league="NBA"), "would change its league from simulated-3 to NBA. "),
        (
            replace(batch(2), league="NBA"),
            "would drop 1 (player-3) and change its league from simulated-3 to NBA. ",
        ),
    ],
)
def test_other_work_is_refused_with_what_would_change(later, change):
    with pytest.raises(BatchConflict) as refused:
        require_same_work(batch(3), later)
    assert change in str(refused.value)
    assert "opened at 2026-01-02T15:00:00.000000+00:00 with 3 expected players and is frozen" in str(
        refused.value
    )
    assert "run with --reopen" in str(refused.value)


@pytest.mark.parametrize(
    ("earlier", "later", "slugs"),
    [
        (batch(3), batch(3), {"player-1", "player-2", "player-3"}),
        (batch(3), batch(2), {"player-1", "player-2"}),
        (batch(1), batch(2), {"player-1"}),
        (batch(2), with_players(ELSEWHERE, player(2)), {"player-2"}),
        (batch(1), with_players(replace(player(1), player_id=7)), set()),
        (batch(1), with_players(replace(player(1), game_id="9000000002")), set()),
        (None, batch(2), {"player-1", "player-2"}),
    ],
)
def test_outcomes_count_on_for_the_players_who_are_the_same(earlier, later, slugs):
    assert unchanged(earlier, later) == slugs


@pytest.mark.parametrize(
    ("begun", "slugs"),
    [
        ((), ["c-new", "a-moved"]),
        (("game-1",), ["c-new", "a-was"]),
        (("game-1", "game-2"), ["c-new", "a-was", "b-gone"]),
        (("game-9",), ["a-moved"]),
    ],
)
def test_who_was_expected_in_a_game_that_has_begun_is_final(begun, slugs):
    earlier = with_players(
        replace(player(1, "a-was"), game_id="game-1"), replace(player(2, "b-gone"), game_id="game-2")
    )
    later = with_players(
        replace(player(1, "a-moved"), game_id="game-8"), replace(player(3, "c-new"), game_id="game-9")
    )
    assert [each.slug for each in keeping(earlier, later, begun).expected] == sorted(slugs)

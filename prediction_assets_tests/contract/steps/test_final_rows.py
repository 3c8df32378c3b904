"""At tip-off a player's rows are final: what is staged or merged later changes none of them."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.slate.basis import Basis
from prediction_assets.slate.final_rows import final_outcomes, final_players
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.part_states import PartState, part_states
from prediction_assets.steps.merge import consolidate
from prediction_assets.steps.revert import read_reversal
from prediction_assets.stores.sql import queries
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, rows_of, staged

HOUR = timedelta(hours=1)


def game(tip_off) -> Basis:
    return Basis("9000000001", "S02", tip_off="" if tip_off is None else tip_off.isoformat(), features="f")


class Slate:
    """A made-up slate of two players, with its stores."""

    def __init__(self, stores):
        self.state, self.warehouse = stores.batch_state, stores.warehouse
        self.dead_letters = stores.dead_letters
        self.state.open(replace(batch(2), deadline=NOW - HOUR))

    def stage(self, number, points, tip_off):
        fence = self.state.claim_fence(SLATE)
        part = self.warehouse.parts.write(
            SLATE, f"player-{number}", rows_of(player(number), {"24.5": points}), fence
        )
        self.state.record([replace(staged(part), basis=game(tip_off))])

    def leave_out(self, number, tip_off, outcome=Outcome.SKIPPED, reason="out"):
        fence = self.state.claim_fence(SLATE)
        done = PlayerOutcome(
            SLATE,
            f"{SLATE}@test",
            f"player-{number}",
            outcome,
            "run",
            NOW,
            fence,
            1,
            reason,
            basis=game(tip_off),
        )
        self.state.record([done])

    def merge(self, now):
        """Consolidate as a run does, and return the points in force by player."""
        stores = self.warehouse, self.state, self.dead_letters
        _, receipt = consolidate(SLATE, *stores, plan, run_id="merge", now=now)
        self.state.mark_consolidated(receipt)
        return self.points()

    def points(self):
        rows = self.warehouse.query(queries.PUBLISHED_FORECASTS, {"slate": NOW.date()}).to_pylist()
        return {row["player_id"] - 100: row["predicted_points"] for row in rows}

    def receipts(self):
        return self.warehouse.receipts(SLATE)


@pytest.fixture(scope="module")
def merged_twice():
    """Both are merged; the first game begins in an hour by the warehouse's clock, the second one in five."""
    from prediction_assets_tests.in_memory import (
        InMemoryStores,  # imports DuckDB: not when tests are collected
    )

    made = Slate(InMemoryStores())
    made.stage(1, 20.0, NOW)
    made.stage(2, 20.0, NOW)
    made.merge(NOW)
    (receipt,) = made.receipts()
    made.first, made.second = receipt.consolidated_at + HOUR, receipt.consolidated_at + 5 * HOUR
    made.stage(1, 21.0, made.first)
    made.stage(2, 21.0, made.second)
    assert made.merge(made.first - HOUR) == {1: 21.0, 2: 21.0}
    return made


@pytest.fixture
def slate(merged_twice):
    made = copy(merged_twice)
    made.warehouse, made.state = merged_twice.warehouse.copied(), merged_twice.state.copied()
    return made


@pytest.mark.parametrize(
    ("minutes", "points"),
    [
        (-1, {1: 22.0, 2: 22.0}),
        (-0.5, {1: 21.0, 2: 22.0}),
        (0, {1: 21.0, 2: 22.0}),
        (60, {1: 21.0, 2: 22.0}),
        (240, {1: 21.0, 2: 21.0}),
    ],
)
def test_what_is_merged_after_a_player_s_tip_off_changes_none_of_his_rows(slate, minutes, points):
    slate.stage(1, 22.0, slate.first)
    slate.stage(2, 22.0, slate.second)
    before = {row["receipt_id"] for row in slate.warehouse.query(
        "SELECT receipt_id FROM predictions.player_prop_predictions WHERE is_active AND player_id = 101"
    ).to_pylist()}  # fmt: skip
    assert slate.merge(slate.first + timedelta(minutes=minutes)) == points
    kept = {row["receipt_id"] for row in slate.warehouse.query(
        "SELECT receipt_id FROM predictions.player_prop_predictions WHERE is_active AND player_id = 101"
    ).to_pylist()}  # fmt: skip
    assert (kept == before) is (minutes > -1)


@pytest.mark.parametrize(
    ("game", "seconds", "points"),
    [
        ("first", -1, {1: 22.0, 2: 22.0}),
        ("first", 0, {1: 21.0, 2: 22.0}),
        ("second", 0, {1: 21.0, 2: 21.0}),
    ],
)
def test_a_merge_that_was_paused_until_a_game_began_leaves_out_its_player_and_no_other(
    slate, monkeypatch, game, seconds, points
):
    class Paused(datetime):
        @classmethod
        def now(cls, tz=None):
            return getattr(slate, game) + timedelta(seconds=seconds)

    slate.stage(1, 22.0, slate.first)
    slate.stage(2, 22.0, slate.second)
    monkeypatch.setattr("prediction_assets.stores.local.warehouse.datetime", Paused)
    for _ in range(2):
        assert slate.merge(slate.first - HOUR) == points


def test_first_rows_are_dated_after_a_tip_off_that_their_merge_was_paused_across(stores, monkeypatch):
    slate, tip_off = Slate(stores), datetime(2027, 1, 1, 19, tzinfo=NOW.tzinfo)
    began, seconds = [], iter(range(99))

    class Paused(datetime):
        @classmethod
        def now(cls, tz=None):
            began.append(tip_off - HOUR / 2 if not began else tip_off + timedelta(seconds=next(seconds)))
            return began[-1]

    monkeypatch.setattr("prediction_assets.stores.local.warehouse.datetime", Paused)
    slate.stage(1, 20.0, tip_off)
    slate.stage(2, 20.0, tip_off - HOUR / 4)  # two games began meanwhile, and one repetition is enough
    assert slate.merge(tip_off - HOUR / 2) == {1: 20.0, 2: 20.0}
    (receipt,) = slate.receipts()
    assert (receipt.consolidated_at >= tip_off, len(began)) == (True, 4)
    assert final_players([receipt], tip_off + HOUR) == frozenset()


def test_a_game_that_was_moved_has_begun_at_the_earlier_of_its_tip_offs(slate):
    slate.stage(1, 22.0, slate.first - HOUR / 2)
    slate.stage(2, 22.0, slate.second + HOUR)
    assert slate.merge(slate.first - HOUR / 2) == {1: 21.0, 2: 22.0}


def test_a_late_staging_alone_gives_no_receipt_and_its_part_is_dropped(slate):
    receipts = slate.receipts()
    slate.stage(1, 22.0, slate.first)
    for _ in range(2):  # a run that is started again finds nothing to do
        slate.merge(slate.first)
        assert slate.receipts() == receipts
    progress = slate.state.progress(SLATE)
    states = part_states(progress, slate.warehouse.parts.staged(SLATE), receipts)
    (late,) = [state for (slug, _), state in sorted(states.items()) if slug == "player-1"][-1:]
    assert late is PartState.ORPHANED
    assert final_outcomes(progress, receipts, slate.first) == []


def test_a_player_who_is_ruled_out_after_his_tip_off_keeps_his_rows(slate):
    slate.leave_out(1, slate.first)
    assert slate.merge(slate.first) == {1: 21.0, 2: 21.0}
    assert slate.state.progress(SLATE).outcomes["player-1"].outcome is Outcome.STAGED


def test_a_player_who_was_left_out_before_his_tip_off_gets_no_rows_after_it(slate):
    slate.leave_out(1, slate.first)
    assert slate.merge(slate.first - HOUR) == {2: 21.0}
    slate.stage(1, 22.0, slate.first)
    assert slate.merge(slate.first) == {2: 21.0}
    assert slate.state.progress(SLATE).outcomes["player-1"].reason == "out"


def test_a_failure_after_the_tip_off_takes_no_rows_and_stays(slate):
    slate.leave_out(1, slate.first, Outcome.FAILED, "no disk")
    assert slate.merge(slate.first) == {1: 21.0, 2: 21.0}
    assert slate.state.progress(SLATE).outcomes["player-1"].outcome is Outcome.FAILED


def test_rows_are_final_although_their_newest_merge_was_committed_after_the_tip_off(slate, monkeypatch):
    # It began before it, and was paused.
    slate.stage(1, 22.0, slate.first)
    monkeypatch.setattr("prediction_assets.stores.local.warehouse.later_than", lambda *_: slate.first + HOUR)
    assert slate.merge(slate.first - HOUR) == {1: 22.0, 2: 21.0}
    assert slate.receipts()[-1].consolidated_at == slate.first + HOUR
    slate.stage(1, 23.0, slate.first)
    assert slate.merge(slate.first + HOUR) == {1: 22.0, 2: 21.0}


def test_rows_that_were_first_merged_after_the_tip_off_are_not_final(stores):
    slate = Slate(stores)
    for points in (20.0, 21.0):  # a past slate that is run now, and run again with corrected facts
        slate.stage(1, points, NOW - HOUR)
        slate.stage(2, points, None)
        assert slate.merge(NOW + timedelta(days=400)) == {1: points, 2: points}
    assert final_players(slate.receipts(), NOW + timedelta(days=400)) == frozenset()


def test_a_revert_is_refused_once_rows_are_final(slate):
    assert final_players(slate.receipts(), slate.first) == {"player-1"}
    read_reversal(SLATE, 1, slate.warehouse, slate.state, slate.first - HOUR)
    with pytest.raises(BadInput, match="the games of 1 of its players have begun, and their rows are final"):
        read_reversal(SLATE, 1, slate.warehouse, slate.state, slate.first)

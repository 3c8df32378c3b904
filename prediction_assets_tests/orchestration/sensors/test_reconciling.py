"""Which run brings up a batch state that is behind the warehouse."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from prediction_assets.orchestration.sensors.reconciling import reconciling
from prediction_assets.orchestration.sensors.requests import Gap, Skipped
from prediction_assets.slate.reconcile import SlateCopies
from prediction_assets_tests.made_up import NOW, SLATE, batch, player
from prediction_assets_tests.published_slate import Slate, published

NEEDS = SimpleNamespace(now=NOW + timedelta(hours=2))


@pytest.fixture
def slate(monkeypatch) -> Slate:
    monkeypatch.setattr("prediction_assets.orchestration.sensors.reconciling.UNDER_WAY", timedelta(0))
    return published()


def found(slate: Slate, progress, *, is_followed: bool = True):
    """Return what is requested for a batch state that has another receipt than the warehouse."""
    receipt = slate.warehouse.receipts(SLATE)[-1]
    copies = SlateCopies(receipt, None, (), None)
    return next(reconciling(SLATE, progress, copies, NEEDS, slate.warehouse, is_followed=is_followed))


def restored(slate: Slate):
    """Return the batch as a backup has it from before the newest receipt: its step is done."""
    progress = slate.state.progress(SLATE)
    before = {**progress.outcomes, "player-3": replace(progress.outcomes["player-3"], fence=0)}
    return replace(progress, outcomes=before, receipt=None)


def job_and_config(gap: Gap) -> tuple[str, object]:
    (need,) = gap.needs
    (config,) = (need.run_config or {"ops": {"": {"config": None}}})["ops"].values()
    return need.job, config["config"]


def test_a_batch_state_without_the_copy_alone_is_given_it_by_a_consolidation(slate):
    assert job_and_config(found(slate, slate.state.progress(SLATE), is_followed=False)) == (
        "consolidation",
        None,
    )


def test_an_older_batch_state_gets_what_is_in_force_and_not_what_the_facts_say_now(slate):
    slate.revert(1)
    older = published().state.progress(SLATE)
    gap = found(slate, older, is_followed=False)
    assert job_and_config(gap) == ("consolidation", {"revert_to": 4})


def test_an_older_batch_that_expects_other_players_is_opened_again_first(slate):
    older = replace(restored(slate), batch=replace(batch(3), expected=(player(1), player(2))), outcomes={})
    gap = found(slate, older, is_followed=False)
    assert job_and_config(gap) == ("roster", {"slate": SLATE, "reopen": True})


def test_a_step_of_a_slate_is_left_to_the_other_sensors_only_while_they_look_at_it(slate):
    unmerged = replace(restored(slate), outcomes={})
    waits = found(slate, unmerged, is_followed=True)
    assert isinstance(waits, Skipped)
    assert "the other sensors have to try first" in waits.reason
    assert isinstance(found(slate, unmerged, is_followed=False), Gap)


def test_a_slate_whose_batch_is_lost_names_the_command_that_opens_it(slate):
    waits = found(slate, None)
    assert isinstance(waits, Skipped)
    assert f"`prediction-assets run --slate {SLATE}` opens it again" in waits.reason

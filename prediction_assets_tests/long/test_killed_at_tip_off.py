"""A consolidation that is killed or paused around a tip-off: the points that ``acceptance/`` leaves out, and gcp."""

from __future__ import annotations

from datetime import timedelta

import pytest

from prediction_assets_tests.acceptance.test_killed_at_tip_off import (
    POINTS,
    SHORT_OF_AFTER,
    SHORT_OF_BEFORE,
    change_no_final_row_after,
    keep_what_was_committed_before,
    kill,
    local,
    merge_the_players_of_the_others,
    pause_until_tip_off,
    require_final,
    waiting,
)
from prediction_assets_tests.fault_fixtures import (
    bigquery_endpoint,
    firestore_emulator,
    gcp_cases,
    pubsub_emulator,
)

__all__ = ["bigquery_endpoint", "firestore_emulator", "gcp_cases", "local", "pubsub_emulator"]  # fixtures


@pytest.mark.parametrize("point", [point for point in POINTS if point not in SHORT_OF_BEFORE])
def test_what_a_killed_consolidation_committed_before_the_tip_off_stays_and_the_rest_is_never_merged(
    local, point
):
    keep_what_was_committed_before(local, point)


@pytest.mark.parametrize("point", [point for point in POINTS if point not in SHORT_OF_AFTER])
def test_a_consolidation_that_is_killed_after_the_tip_off_changes_no_final_row(local, point):
    change_no_final_row_after(local, point)


def test_a_consolidation_that_is_paused_in_its_transaction_merges_the_players_of_the_others(local):
    merge_the_players_of_the_others(local, "in_the_transaction")


def test_on_the_gcp_profile_a_paused_one_does_too(gcp_cases, monkeypatch):
    monkeypatch.setenv("PREDICTION_ASSETS_CALL_TIMEOUT", "600")
    _, run = gcp_cases()
    slate, _ = pause_until_tip_off(run.stores, "final_rows_kept")
    assert slate.points() == {1: 20.0, 2: 21.0}


@pytest.mark.parametrize(
    ("point", "minutes", "points"),
    [("merge_committed", -2, 21.0), ("merge_committed", 0, 20.0)],
)
def test_on_the_gcp_profile_too(gcp_cases, monkeypatch, point, minutes, points):
    monkeypatch.setenv("PREDICTION_ASSETS_CALL_TIMEOUT", "600")  # a busy machine takes its time
    _, run = gcp_cases()
    slate, tip_off = waiting(run.stores)
    kill(point, tip_off + timedelta(minutes=minutes))
    require_final(run.stores, slate, tip_off, {1: points, 2: 21.0})

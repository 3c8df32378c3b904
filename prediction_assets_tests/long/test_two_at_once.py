"""Two merges at once on BigQuery: a player who is staged again meanwhile, and a merge that is killed."""

from __future__ import annotations

from prediction_assets.slate.merge_plan import plan
from prediction_assets_tests.acceptance.test_two_at_once import (
    MERGING_ON_BIGQUERY,
    on_bigquery,
    on_the_emulator,
    stage_on_bigquery,
)
from prediction_assets_tests.contract.warehouse.conftest import (
    bigquery_client,
    bigquery_endpoint,
    open_bigquery,
)
from prediction_assets_tests.made_up import SLATE
from prediction_assets_tests.stopped import running

__all__ = ["bigquery_client", "bigquery_endpoint", "on_the_emulator", "open_bigquery"]  # fixtures


def test_a_player_staged_again_beside_a_merge_is_merged_by_the_next_one_on_bigquery(on_the_emulator):
    warehouse, state, child = on_the_emulator
    with running(MERGING_ON_BIGQUERY, *child) as first:
        first.until("decided")
        first.go_on()
        stage_on_bigquery(warehouse, state, 1, 22.0)
        with running(MERGING_ON_BIGQUERY, *child) as second:
            second.until("decided")
            second.go_on()
            first.said()
            second.said()
    progress = state.progress(SLATE)
    assert progress is not None
    receipt = warehouse.merge(plan(progress, warehouse.receipts(SLATE)))
    assert warehouse.receipts(SLATE)[-1].content_digest == receipt.content_digest
    assert on_bigquery(warehouse) == [(101, 22.0, True), (102, 20.0, True)]


def test_a_killed_merge_is_taken_up_by_the_next_process_on_bigquery(on_the_emulator):
    warehouse, state, child = on_the_emulator
    with running(MERGING_ON_BIGQUERY, *child) as killed:
        killed.until("decided")
        killed.go_on()
        killed.kill()  # before, while or after the job runs
    progress = state.progress(SLATE)
    assert progress is not None
    warehouse.merge(plan(progress, warehouse.receipts(SLATE)))
    assert len(warehouse.receipts(SLATE)) == 1
    assert on_bigquery(warehouse) == [(101, 20.0, True), (102, 20.0, True)]

"""The packaged instance's settings: a killed run is retried, a dead run's slot in a pool is given back."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration
from dagster._time import get_current_datetime

from prediction_assets.orchestration.build import build_defs
from prediction_assets_tests.orchestration.sensors.ticking import fail, kill, retry


def test_no_asset_waits_for_a_pool(settings):
    graph = build_defs(settings).resolve_asset_graph()
    assert {node.key.to_user_string(): node.pools for node in graph.asset_nodes if node.pools} == {}


def test_the_packaged_instance_gives_back_the_slot_of_a_run_that_crashed(instance, monkeypatch):
    @dg.job
    def work():
        pass

    run = instance.create_run_for_job(job_def=work)
    storage = instance.event_log_storage
    storage.set_concurrency_slots("somebody-s-pool", 1)
    assert storage.claim_concurrency_slot("somebody-s-pool", run.run_id, "step").is_claimed
    assert not storage.claim_concurrency_slot("somebody-s-pool", "another", "step").is_claimed

    instance.report_run_failed(run)
    later = get_current_datetime() + timedelta(seconds=61)
    monkeypatch.setattr("dagster._daemon.monitoring.concurrency.get_current_datetime", lambda: later)
    list(execute_concurrency_slots_iteration(SimpleNamespace(instance=instance), logging.getLogger()))
    assert storage.claim_concurrency_slot("somebody-s-pool", "another", "step").is_claimed


@pytest.mark.parametrize("job", ["staging", "consolidation"])
def test_a_run_whose_worker_was_killed_is_retried_twice_and_one_whose_step_failed_never(slate_run, job):
    def will_retry(run_id: str) -> str:
        return slate_run._instance.get_run_by_id(run_id).tags[WILL_RETRY_TAG]

    first, other = (
        slate_run._instance.create_run_for_job(job_def=slate_run._defs.resolve_job_def(job)).run_id
        for _ in range(2)
    )
    kill(slate_run, first)
    assert will_retry(first) == "true"
    second = retry(slate_run, first)
    kill(slate_run, second)
    assert will_retry(second) == "true"
    third = retry(slate_run, second)
    kill(slate_run, third)
    assert will_retry(third) == "false"
    fail(slate_run, other)
    assert will_retry(other) == "false"

"""The platform needs no pool; a pool that somebody adds gives back what a dead run held."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace

import dagster as dg
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration
from dagster._time import get_current_datetime

from prediction_assets.orchestration.build import build_defs


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

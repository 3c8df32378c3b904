"""The packaged instance's settings: a killed run is retried, a dead run's slot in a pool is given back."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration
from dagster._time import get_current_datetime

from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.instance_config import packaged_text
from prediction_assets_tests.deployment import DEPLOY
from prediction_assets_tests.orchestration.sensors.ticking import fail, kill, retry


def test_consolidations_alone_wait_for_a_pool(settings):
    graph = build_defs(settings).resolve_asset_graph()
    pools = {node.key.to_user_string(): node.pools for node in graph.asset_nodes if node.pools}
    assert pools == {"predictions": {"consolidation"}}


@pytest.mark.parametrize(
    ("packaged", "waits"),
    [((DEPLOY / "dagster.yaml").read_text("utf-8"), True), (packaged_text(), False)],
    ids=["deployment", "home"],
)
def test_in_a_deployment_a_consolidation_starts_when_no_other_runs(tmp_path, settings, packaged, waits):
    (tmp_path / "dagster.yaml").write_text(
        yaml.safe_dump({"concurrency": yaml.safe_load(packaged)["concurrency"]})
    )
    jobs = build_defs(settings)
    consolidation, staging = (jobs.resolve_job_def(name) for name in ("consolidation", "staging"))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        running = instance.create_run_for_job(consolidation, status=dg.DagsterRunStatus.STARTED)
        waiting = instance.create_run_for_job(consolidation, status=dg.DagsterRunStatus.NOT_STARTED)
        other = instance.create_run_for_job(staging, status=dg.DagsterRunStatus.NOT_STARTED)
        assert is_blocked(instance, waiting) is waits
        assert not is_blocked(instance, other)
        # The run's end is enough: Dagster has no slot to give back.
        instance.report_run_failed(running)
        assert not is_blocked(instance, waiting)


def is_blocked(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether the daemon would leave a run in the queue because of a pool."""
    pools = instance.get_concurrency_config().pool_config
    for _ in range(2):  # the first look creates the pool with its default limit
        storage = instance.event_log_storage
        counter = GlobalOpConcurrencyLimitsCounter(
            instance,
            [run],
            instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])),
            storage.get_concurrency_keys(),
            storage.get_pool_limits(),
            pool_granularity=pools.pool_granularity,
        )
    return counter.is_blocked(run)


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

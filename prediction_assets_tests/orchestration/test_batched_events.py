"""Asset events in batches: each arrives once, whatever the batch size and however the step ends."""

import dagster as dg
import pytest

from prediction_assets.orchestration import batched_events as module
from prediction_assets.orchestration.batched_events import EVENTS_PER_BATCH, batched_events

KEYS = [f"k{n}" for n in range(EVENTS_PER_BATCH * 2 + 3)]
RANGE = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}


@dg.multi_asset(
    specs=[dg.AssetSpec("many", skippable=True, partitions_def=dg.StaticPartitionsDefinition(KEYS))],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def many(context: dg.AssetExecutionContext):
    with batched_events(context) as events:
        for number, key in enumerate(KEYS):
            if "fail" in context.run.tags and number == 60:
                raise dg.Failure("in the middle")
            kind = dg.AssetObservation if number % 10 == 9 else dg.AssetMaterialization
            events.log(kind("many", partition=key))
    yield from ()


def logged(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    entries = instance.all_logs(
        run_id,
        of_type={dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION},
    )
    return [entry.dagster_event.partition for entry in entries]


@pytest.fixture(params=[None, "0", "7"], ids=lambda size: f"DAGSTER_EVENT_BATCH_SIZE={size}")
def batch_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    if request.param is not None:
        monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", request.param)
    return request.param


def test_every_event_arrives_once_and_in_order(instance, batch_size):
    result = dg.materialize([many], instance=instance, tags=RANGE)
    assert logged(instance, result.run_id) == KEYS
    assert instance.get_materialized_partitions(dg.AssetKey("many")) == {
        key for number, key in enumerate(KEYS) if number % 10 != 9
    }


def test_what_was_logged_before_a_failure_arrives(instance, batch_size):
    result = dg.materialize([many], instance=instance, tags={**RANGE, "fail": "1"}, raise_on_error=False)
    assert not result.success
    assert logged(instance, result.run_id) == KEYS[:60]


def test_what_waits_for_the_events_is_called_after_each_batch_and_not_without_one(instance):
    stored = []

    @dg.multi_asset(
        specs=[dg.AssetSpec("many", skippable=True, partitions_def=dg.StaticPartitionsDefinition(KEYS))],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def logging(context: dg.AssetExecutionContext):
        def count_stored() -> None:
            stored.append(len(logged(instance, context.run.run_id)))

        with batched_events(context, count_stored) as events:
            for key in KEYS:
                events.log(dg.AssetMaterialization("many", partition=key))
            events.store()
            events.store()
        yield from ()

    dg.materialize([logging], instance=instance, tags=RANGE)
    assert stored == [EVENTS_PER_BATCH, EVENTS_PER_BATCH * 2, len(KEYS)]


def test_an_event_does_not_wait_longer_than_it_may_for_its_batch(instance, monkeypatch):
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "500")
    monkeypatch.setattr(module, "LONGEST_WAIT_SECONDS", 0.0)
    stored = []
    store = instance.event_log_storage.store_event_batch
    monkeypatch.setattr(
        instance.event_log_storage,
        "store_event_batch",
        lambda events: stored.append(len(events)) or store(events),
    )
    result = dg.materialize([many], instance=instance, tags=RANGE)
    assert logged(instance, result.run_id) == KEYS
    assert len(KEYS) in stored  # Dagster's own batch, of the planned ones
    assert EVENTS_PER_BATCH not in stored

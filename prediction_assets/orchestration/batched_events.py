"""The asset events of one step, stored fifty at a time.

Dagster stores the events that an op logs one by one; for the events of a range's output it has a batch mechanism, which
this module uses. Without ``DAGSTER_EVENT_BATCH_SIZE``, or in a storage without batches, each event is stored
alone. https://docs.dagster.io/guides/build/assets/metadata-and-tags
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

# `context.log_event` takes no batch, so the events are made as it makes them, with the private metadata.
from dagster._core.definitions.data_version import compute_logical_data_version
from dagster._core.events import DagsterEventBatchMetadata
from dagster._core.execution.plan.execute_step import (
    _build_data_version_tags,
    _get_code_version,
    _get_input_provenance_data,
)

AssetEvent = dg.AssetMaterialization | dg.AssetObservation

EVENTS_PER_BATCH = 50
LONGEST_WAIT_SECONDS = 0.5
"""An event that has waited so long is stored when the next one is logged, or when the caller is idle."""


class EventBatch:
    """Collects the asset events of a step and stores them together.

    Args:
        on_stored: called after each stored batch.
    """

    def __init__(self, context: dg.AssetExecutionContext, on_stored: Callable[[], None]) -> None:
        self._context = context
        self._on_stored = on_stored
        self._waiting: list[AssetEvent] = []
        self._since = time.monotonic()
        self._versions: dict[dg.AssetKey, dict[str, str]] = {}

    def log(self, event: AssetEvent) -> None:
        """Add an event to the batch, and store the batch when it is full or has waited long enough."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(event)
        waited = time.monotonic() - self._since
        if len(self._waiting) >= EVENTS_PER_BATCH or waited >= LONGEST_WAIT_SECONDS:
            self.store()

    def store(self) -> None:
        events, batch = list(self._waiting), uuid.uuid4().hex
        self._waiting.clear()
        for number, event in enumerate(events, 1):
            if isinstance(event, dg.AssetMaterialization):
                versions = self._versions.setdefault(event.asset_key, {}) or _versions(self._context, event)
                self._versions[event.asset_key] = versions
                event = event._replace(tags={**versions, **(event.tags or {})})
            _log(self._context, event, DagsterEventBatchMetadata(batch, number == len(events)))
        if events:
            self._on_stored()


@contextmanager
def batched_events(
    context: dg.AssetExecutionContext, on_stored: Callable[[], None] = lambda: None
) -> Iterator[EventBatch]:
    """Yield a batch for the asset events of this step; what waits is stored at the end, also after an error."""
    events = EventBatch(context, on_stored)
    try:
        yield events
    finally:
        events.store()


def _log(
    context: dg.AssetExecutionContext, event: AssetEvent, batch: DagsterEventBatchMetadata
) -> dg.DagsterEvent:
    step = context.get_step_execution_context()
    if isinstance(event, dg.AssetMaterialization):
        return dg.DagsterEvent.asset_materialization(step, event, batch)
    return dg.DagsterEvent.asset_observation(step, event, batch)


def _versions(context: dg.AssetExecutionContext, event: dg.AssetMaterialization) -> dict[str, str]:
    """Return the tags that say what a materialization was made from, as Dagster tags an output.

    Without them the UI compares times instead, and calls a partition unsynced if an input was never materialized.
    """
    step = context.get_step_execution_context()
    if not step.is_external_input_asset_version_info_loaded:
        step.fetch_external_input_asset_version_info()
    code_version = _get_code_version(event.asset_key, step)
    made_from = _get_input_provenance_data(event.asset_key, step)
    inputs = {key: version["data_version"] for key, version in made_from.items()}
    version = compute_logical_data_version(code_version, inputs)
    return _build_data_version_tags(version, code_version, made_from, data_version_is_user_provided=False)

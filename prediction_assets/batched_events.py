"""Many asset events of one step, stored a few dozen at a time instead of one by one.

Dagster batches the events of a range's output itself; what an op logs one by one it stores one by one. This uses
the same mechanism for the latter. Where ``DAGSTER_EVENT_BATCH_SIZE`` is not set, or the storage knows no
batches, each event is stored on its own, as ``context.log_event`` does.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._core.events import DagsterEventBatchMetadata

AssetEvent = dg.AssetMaterialization | dg.AssetObservation

EVENTS_PER_BATCH = 50
LONGEST_WAIT_SECONDS = 0.5
"""An event that waited this long for its batch goes out with the next one that is logged."""


@contextmanager
def batched_events(context: dg.AssetExecutionContext) -> Iterator[Callable[[AssetEvent], None]]:
    """Lend a function that logs an asset event of this step; what waits is stored at the end, come what may.

    Example:
        >>> with batched_events(context) as log_event:
        ...     log_event(dg.AssetMaterialization("staged", partition="2026-01-02:stephen-curry"))
    """
    waiting: list[AssetEvent] = []
    since = time.monotonic()

    def log_event(event: AssetEvent) -> None:
        nonlocal since
        if not waiting:
            since = time.monotonic()
        waiting.append(event)
        if len(waiting) >= EVENTS_PER_BATCH or time.monotonic() - since >= LONGEST_WAIT_SECONDS:
            store()

    def store() -> None:
        events, batch = list(waiting), uuid.uuid4().hex
        waiting.clear()
        for number, event in enumerate(events, 1):
            _log(context, event, DagsterEventBatchMetadata(batch, number == len(events)))

    try:
        yield log_event
    finally:
        store()


def _log(
    context: dg.AssetExecutionContext, event: AssetEvent, batch: DagsterEventBatchMetadata
) -> dg.DagsterEvent:
    step = context.get_step_execution_context()
    if isinstance(event, dg.AssetMaterialization):
        return dg.DagsterEvent.asset_materialization(step, event, batch)
    return dg.DagsterEvent.asset_observation(step, event, batch)

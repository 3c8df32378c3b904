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
"""An event that waited this long for its batch goes out with the next one that is logged, or when nothing comes."""


class EventBatch:
    """Collects a step's asset events and stores them together.

    Args:
        context: of the step whose events they are.
        on_stored: called after each batch is stored, for what has to wait for it.
    """

    def __init__(self, context: dg.AssetExecutionContext, on_stored: Callable[[], None]) -> None:
        self._context = context
        self._on_stored = on_stored
        self._waiting: list[AssetEvent] = []
        self._since = time.monotonic()

    def log(self, event: AssetEvent) -> None:
        """Log an event: with the next batch, now if that is full or has waited long enough."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(event)
        waited = time.monotonic() - self._since
        if len(self._waiting) >= EVENTS_PER_BATCH or waited >= LONGEST_WAIT_SECONDS:
            self.store()

    def store(self) -> None:
        """Store what waits."""
        events, batch = list(self._waiting), uuid.uuid4().hex
        self._waiting.clear()
        for number, event in enumerate(events, 1):
            _log(self._context, event, DagsterEventBatchMetadata(batch, number == len(events)))
        if events:
            self._on_stored()


@contextmanager
def batched_events(
    context: dg.AssetExecutionContext, on_stored: Callable[[], None] = lambda: None
) -> Iterator[EventBatch]:
    """Lend a batch for the asset events of this step; what waits is stored at the end, come what may.

    Example:
        >>> with batched_events(context) as events:
        ...     events.log(dg.AssetMaterialization("staged", partition="2026-01-02:stephen-curry"))
    """
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

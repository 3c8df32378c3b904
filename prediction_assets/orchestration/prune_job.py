"""The maintenance job: one slice of every kind of history, each night.

A kind that fails doesn't hold up the others; the run fails at the end and names it.
https://docs.dagster.io/guides/build/ops
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import dagster as dg
from pydantic import Field

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.orchestration.jobs import WHOLE_RETRIES
from prediction_assets.orchestration.partition_pruning import prune_partition_keys
from prediction_assets.orchestration.run_pruning import prune_runs
from prediction_assets.retention.kinds import History, Kind, Pruned
from prediction_assets.retention.receipts import prune_receipts, prune_superseded_rows
from prediction_assets.retention.records import (
    expire_dead_letters,
    prune_alerts,
    prune_dead_letters,
    prune_events,
)
from prediction_assets.retention.snapshots import prune_snapshots
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock
from prediction_assets.stores.protocols import AlertStore, BatchState, DeadLetters, Outbox, Warehouse

_keep_days = attrgetter("keep_days")

KINDS = (
    Kind("partition keys", _keep_days, prune_partition_keys),
    Kind("feature snapshots", lambda settings: settings.snapshot_days, prune_snapshots),
    Kind("superseded rows", _keep_days, prune_superseded_rows),
    Kind("receipts", _keep_days, prune_receipts),
    Kind("events", _keep_days, prune_events),
    Kind("open dead letters", lambda _: RECENT_DAYS, expire_dead_letters, verb="expire"),
    Kind("dead letters", _keep_days, prune_dead_letters),
    Kind("alerts", _keep_days, prune_alerts),
    Kind("runs", _keep_days, prune_runs),
)
"""In the order in which they are pruned: superseded rows name receipts, and runs are what tells of the rest."""

_SHOWN = 20


class PruneConfig(dg.Config):
    """How to prune."""

    dry_run: bool = Field(default=False, description="Say what would be removed and remove nothing.")


def prune_slices(
    history: History, settings: Settings, *, dry_run: bool
) -> Iterator[tuple[Kind, Pruned | PredictionAssetsError]]:
    """Prune one slice of each kind that isn't kept for ever, and yield the result or the error.

    An error of one kind doesn't stop the next.
    """
    for kind in KINDS:
        if days := kind.days(settings):
            try:
                yield kind, kind.prune(history, days, dry_run)
            except PredictionAssetsError as error:
                yield kind, error


@dg.op(description="Remove a slice of what is older than keep_days, kind by kind; 0 keeps it for ever.")
def prune_history(
    context: dg.OpExecutionContext,
    config: PruneConfig,
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    outbox: dg.ResourceParam[Outbox],
    alerts: dg.ResourceParam[AlertStore],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    dead_letters: dg.ResourceParam[DeadLetters],
) -> None:
    """Remove one slice of every kind of history."""
    history = History(
        context.instance, warehouse, batch_state, dead_letters, outbox,
        alerts, clock.now(),
    )  # fmt: skip
    failed: dict[str, str] = {}
    metadata: dict[str, Any] = {"dry_run": config.dry_run}
    for kind, outcome in prune_slices(history, settings, dry_run=config.dry_run):
        if isinstance(outcome, PredictionAssetsError):
            failed[kind.name] = str(outcome)
            continue
        name = ("" if kind.verb == "remove" else f"{kind.verb}d_") + kind.name.replace(" ", "_")
        metadata[name] = outcome.removed
        if outcome.left:
            metadata[f"{name}_left"] = outcome.left
        if outcome.kept:
            metadata[f"{name}_kept"] = len(outcome.kept)
            metadata[f"{name}_kept_because"] = dg.MetadataValue.json(dict([*outcome.kept.items()][:_SHOWN]))
        context.log.info(
            "%s %d %s; %d kept, %d left for later slices",
            f"would {kind.verb}" if config.dry_run else f"{kind.verb}d",
            outcome.removed, kind.name, len(outcome.kept), outcome.left,
        )  # fmt: skip
    context.add_output_metadata(metadata)
    if failed:
        raise dg.Failure(
            "; ".join(f"{name}: {error}" for name, error in failed.items()),
            metadata=metadata,
            allow_retries=False,
        )


@dg.job(
    name="prune",
    tags=WHOLE_RETRIES,
    description="Remove a slice of history that is older than it is kept: partition keys, feature snapshots, "
    "superseded rows, receipts, events, dead letters, alerts, runs. What is in force, open, undelivered or in "
    "progress stays. Letters of finished slates that nobody dealt with expire.",
)
def prune_job() -> None:
    """Prune history."""
    prune_history()

"""Partition keys of old slates, deleted a slice at a time.

Every key that is registered is read again and again by Dagster, and nobody re-runs a slate of last year by a
click. Only keys go: rows, receipts, batch state and the history of runs stay, and `prediction-assets run
--slate` registers a slate's keys again.
https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import dagster as dg
from pydantic import Field

from prediction_assets.batch_state.port import BatchState
from prediction_assets.consolidation import Step, next_step
from prediction_assets.errors import BadInput
from prediction_assets.jobs import WHOLE_RETRIES
from prediction_assets.keys import GAME_TIME_ZONE, parse_slate
from prediction_assets.partitions import SLATE_PLAYERS, SLATES
from prediction_assets.resources import BatchStateResource, SettingsResource, WarehouseResource
from prediction_assets.sensors.requests import pending_runs, slate_of
from prediction_assets.warehouse.port import Warehouse

KEYS_PER_SLICE = 5_000
"""Keys that one run deletes, at some 10 ms each: Dagster deletes one at a time. A day adds at most 450."""


@dataclass(frozen=True)
class Slice:
    """What one run deletes.

    Attributes:
        keys: the slate players' keys of each slate to prune, oldest slate first.
        kept: why an old slate keeps its keys, by slate.
        later: old slates whose turn comes in a later run.
    """

    keys: Mapping[str, Sequence[str]]
    kept: Mapping[str, str]
    later: int

    @property
    def key_count(self) -> int:
        """The number of keys to delete, slates' and slate players'."""
        return len(self.keys) + sum(map(len, self.keys.values()))


def old_slates(
    slates: Iterable[str], slate_players: Iterable[str], today: date, keep_days: int
) -> dict[str, list[str]]:
    """Return the slate players' keys of each slate that is older than it is kept, oldest slate first.

    A simulated league plays in the future, so age never prunes it.

    Args:
        slates: the registered slates.
        slate_players: the registered slate players; of a slate that was half pruned some may be left.
        today: the US Eastern date.
        keep_days: days for which keys are kept.
    """
    oldest = today - timedelta(days=keep_days)
    found: dict[str, list[str]] = defaultdict(list)
    for slate in slates:
        found[slate] = []
    for key in slate_players:
        found[key.partition(":")[0]].append(key)
    return {slate: found[slate] for slate in sorted(found) if _is_before(slate, oldest)}


def _is_before(slate: str, oldest: date) -> bool:
    try:
        return parse_slate(slate) < oldest
    except BadInput:  # somebody typed it into the UI; it is his to delete
        return False


def next_slice(
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    state: BatchState,
    now: datetime,
    keep_days: int,
    *,
    limit: int | None = None,
) -> Slice:
    """Return what may be deleted now: whole slates, as many as fit, but at least one.

    A slate keeps its keys while it has parts in staging, while its batch isn't finished, and while a run is
    at work on it.

    Args:
        keep_days: days for which keys are kept.
        limit: the most keys, :data:`KEYS_PER_SLICE` when not given.
    """
    candidates = old_slates(
        instance.get_dynamic_partitions(SLATES.name or ""),
        instance.get_dynamic_partitions(SLATE_PLAYERS.name or ""),
        now.astimezone(GAME_TIME_ZONE).date(),
        keep_days,
    )
    in_staging = set(warehouse.parts.slates())
    at_work = {slate_of(run) for run in pending_runs(instance, now)}
    keys: dict[str, Sequence[str]] = {}
    kept: dict[str, str] = {}
    room = KEYS_PER_SLICE if limit is None else limit
    for seen, (slate, players) in enumerate(candidates.items()):
        if keys and len(players) >= room:
            return Slice(keys, kept, len(candidates) - seen)
        reason = _reason_to_keep(slate, state, in_staging, at_work, now)
        if reason is None:
            keys[slate] = players
            room -= len(players) + 1
        else:
            kept[slate] = reason
    return Slice(keys, kept, 0)


def _reason_to_keep(
    slate: str, state: BatchState, in_staging: Collection[str], at_work: Collection[str], now: datetime
) -> str | None:
    if slate in in_staging:
        return "parts in staging"
    if slate in at_work:
        return "a run is at work on it"
    progress = state.progress(slate)
    if progress is not None and next_step(progress, now) is not Step.REST:
        return "not finished"
    return None


def delete(instance: dg.DagsterInstance, chosen: Slice) -> None:
    """Delete a slice's keys; the slate's own goes last, so that whatever is left is found again."""
    for slate, players in chosen.keys.items():
        for key in players:
            instance.delete_dynamic_partition(SLATE_PLAYERS.name or "", key)
        instance.delete_dynamic_partition(SLATES.name or "", slate)


class PruneConfig(dg.Config):
    """How to prune."""

    dry_run: bool = Field(default=False, description="Say what would be deleted and delete nothing.")


@dg.op(description="Delete the partition keys of slates older than keep_partitions_days, a slice per run.")
def prune_partition_keys(
    context: dg.OpExecutionContext,
    config: PruneConfig,
    warehouse: WarehouseResource,
    batch_state: BatchStateResource,
    settings: SettingsResource,
) -> None:
    """Delete one slice of old partition keys."""
    chosen = next_slice(
        context.instance, warehouse.port, batch_state.port, settings.now(), settings.keep_partitions_days
    )
    if not config.dry_run:
        delete(context.instance, chosen)
    context.log.info(
        "%s %d keys of %d slates; %d old slates keep theirs, %d are left for later runs",
        "would delete" if config.dry_run else "deleted",
        chosen.key_count, len(chosen.keys), len(chosen.kept), chosen.later,
    )  # fmt: skip
    context.add_output_metadata(
        {
            "keys": chosen.key_count,
            "slates": len(chosen.keys),
            "kept": dg.MetadataValue.json(dict(chosen.kept)),
            "slates_left": chosen.later,
        }
    )


@dg.job(
    name="prune",
    tags=WHOLE_RETRIES,
    description="Delete the partition keys of slates older than keep_partitions_days, a slice per run. Rows, "
    "receipts and batch state stay.",
)
def prune_job() -> None:
    """Prune old partition keys."""
    prune_partition_keys()

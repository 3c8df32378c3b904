"""The nightly prune job, and the two kinds of history that are Dagster's: partition keys and runs.

The room ``retention`` decides what of the stores is old and not needed any more. A kind that fails doesn't hold up the
others; the run fails at the end and names it.
https://docs.dagster.io/guides/build/ops
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from operator import attrgetter
from typing import Any

import dagster as dg
from pydantic import Field

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.orchestration.event_storage import delete_check_executions
from prediction_assets.orchestration.jobs import WHOLE_RETRIES
from prediction_assets.orchestration.partitions import SLATE_PLAYERS, SLATES
from prediction_assets.orchestration.run_tags import slate_of
from prediction_assets.orchestration.runs import pending_runs
from prediction_assets.retention.dated import prune_answers, prune_boards
from prediction_assets.retention.kinds import History, Kind, Pruned
from prediction_assets.retention.receipts import prune_closed_rows, prune_receipts
from prediction_assets.retention.records import (
    expire_dead_letters,
    prune_alerts,
    prune_dead_letters,
    prune_messages,
)
from prediction_assets.retention.slates import (
    SlatesAtRest,
    is_before,
    oldest_kept,
    prune_kept_fits,
    prune_snapshots,
)
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock
from prediction_assets.stores.protocols import AlertStore, BatchState, DeadLetters, Outbox, Warehouse

KEYS_PER_SLICE = 5_000
"""Keys that one slice deletes, at some 10 ms each: Dagster deletes one at a time. A day adds at most 450."""

RUNS_PER_SLICE = 200
"""Runs that one slice deletes. A day adds some 20."""

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_SHOWN = 20

_keep_days = attrgetter("keep_days")


def kinds(instance: dg.DagsterInstance, settings: Settings) -> tuple[Kind, ...]:
    """Return every kind of history, in the order in which it is pruned.

    Closed rows go before the lists of the receipts that they name. Runs go last: they show what became of the others.
    """
    return (
        Kind("partition keys", _keep_days, partial(prune_partition_keys, instance)),
        Kind("feature snapshots", attrgetter("snapshot_days"), prune_snapshots),
        Kind("kept fits", attrgetter("snapshot_days"), prune_kept_fits),
        Kind("closed rows", _keep_days, prune_closed_rows),
        Kind("receipts", _keep_days, prune_receipts),
        Kind("completion messages", _keep_days, prune_messages),
        Kind("open dead letters", lambda _: RECENT_DAYS, expire_dead_letters, verb="expire"),
        Kind("dead letters", _keep_days, prune_dead_letters),
        Kind("alerts", _keep_days, prune_alerts),
        Kind("answer folders", attrgetter("answers_days"), partial(prune_answers, settings.answers_folder)),
        Kind("boards", _keep_days, partial(prune_boards, settings.boards_folder)),
        Kind("runs", _keep_days, partial(prune_runs, instance)),
    )


def prune_slices(
    instance: dg.DagsterInstance, history: History, settings: Settings, *, dry_run: bool
) -> Iterator[tuple[Kind, Pruned | PredictionAssetsError]]:
    """Prune one slice of each kind and yield its result, which may be an error; the next kind is pruned all the same.

    A kind that is kept for 0 days is left out: it is kept for ever.
    """
    for kind in kinds(instance, settings):
        if days := kind.days(settings):
            # Read for each kind: a slice may take a minute, and a run may start meanwhile.
            at_work = slates_at_work(instance, history.now)
            try:
                yield kind, kind.prune(replace(history, slates_at_work=at_work), days, dry_run)
            except PredictionAssetsError as error:
                yield kind, error


def slates_at_work(instance: dg.DagsterInstance, now: datetime) -> frozenset[str]:
    """Return the slates that a run is at work on, or will be when it is retried."""
    return frozenset(slate_of(run.tags) for run in pending_runs(instance, now))


@dataclass(frozen=True)
class KeySlice:
    """The partition keys that one slice deletes."""

    keys: Mapping[str, Sequence[str]]  # the slate players' keys of each slate to prune, oldest slate first
    kept: Mapping[str, str]  # why an old slate keeps its keys, by slate
    later: int  # old slates that a later slice deletes

    @property
    def key_count(self) -> int:
        """The number of keys to delete, slates' and slate players'."""
        return len(self.keys) + sum(map(len, self.keys.values()))


def old_slates(slates: Iterable[str], slate_players: Iterable[str], oldest: date) -> dict[str, list[str]]:
    """Return the slate players' keys of each slate that is older than it is kept, oldest slate first.

    A simulated league plays in the future, so age never prunes it.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for slate in slates:
        found[slate] = []
    for key in slate_players:
        found[key.partition(":")[0]].append(key)
    return {slate: found[slate] for slate in sorted(found) if is_before(slate, oldest)}


def next_slice(instance: dg.DagsterInstance, history: History, keep_days: int) -> KeySlice:
    """Return the keys that may be deleted now: whole slates, as many as fit, but at least one.

    Dagster reads every registered key again and again. `prediction-assets run --slate` registers a slate's keys again.
    """
    candidates = old_slates(
        instance.get_dynamic_partitions(SLATES.name or ""),
        instance.get_dynamic_partitions(SLATE_PLAYERS.name or ""),
        oldest_kept(history, keep_days),
    )
    at_rest = SlatesAtRest(history)
    keys: dict[str, Sequence[str]] = {}
    kept: dict[str, str] = {}
    room = KEYS_PER_SLICE
    for seen, (slate, players) in enumerate(candidates.items()):
        if keys and len(players) >= room:
            return KeySlice(keys, kept, len(candidates) - seen)
        reason = at_rest.reason_to_keep(slate)
        if reason is None:
            keys[slate] = players
            room -= len(players) + 1
        else:
            kept[slate] = reason
    return KeySlice(keys, kept, 0)


def delete(instance: dg.DagsterInstance, chosen: KeySlice) -> None:
    """Delete a slice's keys; the slate's own goes last, so that a slice that was cut short is found again."""
    for slate, players in chosen.keys.items():
        for key in players:
            instance.delete_dynamic_partition(SLATE_PLAYERS.name or "", key)
        instance.delete_dynamic_partition(SLATES.name or "", slate)


def prune_partition_keys(
    instance: dg.DagsterInstance, history: History, keep_days: int, dry_run: bool
) -> Pruned:
    """Delete one slice of the partition keys of old slates."""
    chosen = next_slice(instance, history, keep_days)
    if not dry_run:
        delete(instance, chosen)
    return Pruned(chosen.key_count, tuple(chosen.keys), chosen.kept, chosen.later)


def prune_runs(instance: dg.DagsterInstance, history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Delete one slice of the runs that ended long ago, oldest first, with their events, check results and logs.

    A run in progress is never deleted. Dagster purges ticks itself (``retention`` in ``dagster.yaml``).
    """
    ended_before = dg.RunsFilter(statuses=_ENDED, updated_before=history.before(keep_days))
    old = instance.get_runs_count(ended_before)
    found = instance.get_run_records(ended_before, limit=RUNS_PER_SLICE, ascending=True)
    if not dry_run:
        run_ids = [record.dagster_run.run_id for record in found]
        # The run goes last: what belongs to it is found by its id, so nothing is orphaned by a crash.
        for run_id in run_ids:
            instance.event_log_storage.delete_events(run_id)
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        delete_check_executions(instance.event_log_storage, run_ids)
        for run_id in run_ids:
            instance.delete_run(run_id)
    return Pruned(len(found), left=old - len(found))


class PruneConfig(dg.Config):
    """How to prune."""

    dry_run: bool = Field(default=False, description="Show what would be pruned; prune nothing.")


@dg.op(
    description="Prunes one slice of each kind of history that is older than keep_days. 0 days keep it for ever."
)
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
    """Prune one slice of every kind of history."""
    history = History(warehouse, batch_state, dead_letters, outbox, alerts, clock.now())
    failed: dict[str, str] = {}
    metadata: dict[str, Any] = {"dry_run": config.dry_run}
    for kind, outcome in prune_slices(context.instance, history, settings, dry_run=config.dry_run):
        if isinstance(outcome, PredictionAssetsError):
            failed[kind.name] = str(outcome)
            continue
        name = ("" if kind.verb == "prune" else f"{kind.verb}d_") + kind.name.replace(" ", "_")
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
    description="Prunes one slice of each kind of old history: partition keys, feature snapshots, kept fits, closed "
    "rows, receipts, completion messages, dead letters, alerts, recorded answers, boards, runs. Keeps what is in "
    "force, open, undelivered or in progress. Open dead letters of finished slates expire.",
)
def prune_job() -> None:
    """Prune history."""
    prune_history()

"""Partition keys of old slates, deleted a slice at a time.

Every key that is registered is read again and again by Dagster, and nobody re-runs a slate of last year by a
click. `prediction-assets run --slate` registers a slate's keys again.
https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from prediction_assets.orchestration.partitions import SLATE_PLAYERS, SLATES
from prediction_assets.retention.kinds import History, Pruned
from prediction_assets.retention.slates import SlatesAtRest, is_before, oldest_kept

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


def old_slates(slates: Iterable[str], slate_players: Iterable[str], oldest: date) -> dict[str, list[str]]:
    """Return the slate players' keys of each slate that is older than it is kept, oldest slate first.

    A simulated league plays in the future, so age never prunes it.

    Args:
        slates: the registered slates.
        slate_players: the registered slate players; of a slate that was half pruned some may be left.
        oldest: the first US Eastern date that is kept.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for slate in slates:
        found[slate] = []
    for key in slate_players:
        found[key.partition(":")[0]].append(key)
    return {slate: found[slate] for slate in sorted(found) if is_before(slate, oldest)}


def next_slice(history: History, keep_days: int, *, limit: int | None = None) -> Slice:
    """Return what may be deleted now: whole slates, as many as fit, but at least one.

    A slate keeps its keys while it has parts in staging, while its batch isn't finished, and while a run is
    at work on it.

    Args:
        keep_days: days for which keys are kept.
        limit: the most keys, :data:`KEYS_PER_SLICE` when not given.
    """
    instance = history.instance
    candidates = old_slates(
        instance.get_dynamic_partitions(SLATES.name or ""),
        instance.get_dynamic_partitions(SLATE_PLAYERS.name or ""),
        oldest_kept(history, keep_days),
    )
    at_rest = SlatesAtRest(history)
    keys: dict[str, Sequence[str]] = {}
    kept: dict[str, str] = {}
    room = KEYS_PER_SLICE if limit is None else limit
    for seen, (slate, players) in enumerate(candidates.items()):
        if keys and len(players) >= room:
            return Slice(keys, kept, len(candidates) - seen)
        reason = at_rest.reason_to_keep(slate)
        if reason is None:
            keys[slate] = players
            room -= len(players) + 1
        else:
            kept[slate] = reason
    return Slice(keys, kept, 0)


def delete(instance: dg.DagsterInstance, chosen: Slice) -> None:
    """Delete a slice's keys; the slate's own goes last, so that whatever is left is found again."""
    for slate, players in chosen.keys.items():
        for key in players:
            instance.delete_dynamic_partition(SLATE_PLAYERS.name or "", key)
        instance.delete_dynamic_partition(SLATES.name or "", slate)


def prune_partition_keys(history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Delete one slice of the keys of old slates."""
    chosen = next_slice(history, keep_days)
    if not dry_run:
        delete(history.instance, chosen)
    return Pruned(chosen.key_count, tuple(chosen.keys), chosen.kept, chosen.later)

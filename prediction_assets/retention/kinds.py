"""The values that every kind of history is pruned with: the stores, the age, and the result of one slice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prediction_assets.settings import Settings
from prediction_assets.stores.protocols import AlertStore, BatchState, DeadLetters, Outbox, Warehouse


@dataclass(frozen=True)
class History:
    """The stores whose history is pruned."""

    warehouse: Warehouse
    state: BatchState
    letters: DeadLetters
    outbox: Outbox
    alerts: AlertStore
    now: datetime  # the present moment
    slates_at_work: frozenset[str] = frozenset()  # slates that a run is at work on

    def before(self, keep_days: int) -> datetime:
        """Return the moment before which things are old."""
        return self.now - timedelta(days=keep_days)


@dataclass(frozen=True)
class Pruned:
    """The result of one slice, or of a dry run."""

    removed: int  # how many things were pruned
    # the slates that they belonged to, oldest first; empty when they belong to none
    slates: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)  # why something old is kept, by slate or id
    left: int = 0  # old things, or slates, that a later slice prunes


Prune = Callable[[History, int, bool], Pruned]
"""Prunes one slice of the history that is older than the days; a dry run (True) only counts it."""


@dataclass(frozen=True)
class Kind:
    """One kind of history."""

    name: str  # in the plural: `dead letters`
    days: Callable[[Settings], int]  # returns for how many days the settings keep it; 0 keeps it for ever
    prune: Prune  # prunes one slice
    verb: str = "prune"  # what happens to it

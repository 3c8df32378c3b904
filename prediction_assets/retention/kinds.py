"""What every kind of history has in common when it is pruned: where it is, how long it is kept, what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dagster as dg

from prediction_assets.settings import Settings
from prediction_assets.stores.protocols import AlertStore, BatchState, DeadLetters, Outbox, Warehouse


@dataclass(frozen=True)
class History:
    """The stores whose history is pruned, and the present moment."""

    instance: dg.DagsterInstance
    warehouse: Warehouse
    state: BatchState
    letters: DeadLetters
    outbox: Outbox
    alerts: AlertStore
    now: datetime

    def before(self, keep_days: int) -> datetime:
        """Return the moment before which things are old."""
        return self.now - timedelta(days=keep_days)


@dataclass(frozen=True)
class Pruned:
    """What one slice of pruning did, or would do.

    Attributes:
        removed: how many things went.
        slates: the slates that they were of, oldest first; empty where they are of none.
        kept: why something old is kept, by slate or id.
        left: old things, or slates, whose turn comes in a later slice.
    """

    removed: int
    slates: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    left: int = 0


Prune = Callable[[History, int, bool], Pruned]
"""Prunes one slice of what is older than so many days, or only says what it would remove."""


@dataclass(frozen=True)
class Kind:
    """One kind of history.

    Attributes:
        name: what it is called, in the plural: ``dead letters``.
        days: returns for how many days the settings keep it; 0 is for ever.
        prune: removes one slice.
        verb: what is done to it, where it isn't removed.
    """

    name: str
    days: Callable[[Settings], int]
    prune: Prune
    verb: str = "remove"

"""The stores of an installation, opened from its settings: the one place that knows what a profile is.

Each store is opened at its first use, so that a command that reads batch state opens no warehouse.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from prediction_assets.errors import BadInput, StoreUnreadable, TransientError
from prediction_assets.settings import Settings
from prediction_assets.stores.protocols import (
    AlertStore,
    BatchState,
    DeadLetters,
    Outbox,
    Publisher,
    Warehouse,
)
from prediction_assets.stores.versions import VersionedStore

STORES = ("warehouse", "batch_state", "dead_letters", "outbox", "publisher", "alerts")
"""The names of the ports in :class:`Stores`, which are the keys of Dagster's resources too."""

_LOOK_SECONDS = 1.0
"""Seconds that :func:`refuse_newer` waits for a store; the command that follows waits for it as long as it may."""


class Stores(Protocol):
    """Every port of one profile."""

    @property
    def warehouse(self) -> Warehouse:
        """Facts, parts, features and predictions."""

    @property
    def batch_state(self) -> BatchState:
        """The expected players of each slate and their outcomes."""

    @property
    def dead_letters(self) -> DeadLetters:
        """The records of the players who failed."""

    @property
    def outbox(self) -> Outbox:
        """The completion messages, and which of them are delivered."""

    @property
    def publisher(self) -> Publisher:
        """Delivers completion messages to phase 6."""

    @property
    def alerts(self) -> AlertStore:
        """What is wrong now, and which destinations know."""

    def versioned(self) -> list[VersionedStore]:
        """Return the stores that have a schema with a version."""


def refuse_newer(settings: Settings) -> None:
    """Look at every store that is there, before a command creates or changes anything."""
    look = settings.model_copy(update={"call_timeout": min(settings.call_timeout, _LOOK_SECONDS)})
    for store in open_stores(look).versioned():
        # A store that can't be looked at now is the command's own matter: it waits, shows the error, or needs another.
        with suppress(StoreUnreadable, TransientError, OSError):
            store.schema()


def make_home(settings: Settings) -> None:
    """Create the home's folder unless it is there.

    Raises:
        BadInput: the home isn't a folder that this user can write.
    """
    hint = "set PREDICTION_ASSETS_HOME to a folder that this user can write"
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(error.filename or settings.home, str(error.strerror), hint=hint) from error
    if not os.access(settings.home, os.W_OK):
        raise BadInput(settings.home, "not writable", hint=hint)


def missing_stores(settings: Settings) -> list[str]:
    """Return the ports whose file isn't there yet, which opening them for use would create; none on gcp."""
    if settings.profile == "gcp":
        return []
    if settings.home.exists() and not settings.home.is_dir():
        raise BadInput(settings.home, "not a folder", hint="set PREDICTION_ASSETS_HOME to a folder")
    warehouse = [] if (settings.home / "warehouse.duckdb").exists() else ["warehouse"]
    of_state = ["batch_state", "dead_letters", "outbox", "alerts"]
    return [*warehouse, *([] if (settings.home / "state.sqlite").exists() else of_state)]


@contextmanager
def empty_stores(settings: Settings) -> Iterator[Stores]:
    """Open stores that are empty, in a folder that is gone afterwards."""
    with TemporaryDirectory() as folder:
        yield open_stores(settings.model_copy(update={"home": Path(folder)}))


def open_stores(settings: Settings, **replaced: object) -> Stores:
    """Return the stores of the settings' profile.

    Args:
        replaced: ports to use instead of the profile's own, by name.
    """
    stores: Stores
    if settings.profile == "gcp":
        from prediction_assets.stores.gcp.stores import GcpStores  # Google's clients take seconds to import

        stores = GcpStores(settings)
    else:
        from prediction_assets.stores.local.stores import LocalStores

        stores = LocalStores(settings)
    vars(stores).update(replaced)  # where a cached property keeps what it opened
    return stores

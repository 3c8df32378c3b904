"""The version of a store's schema, and the rule that every store keeps.

A store records its version. A newer one than the running code knows is refused, because it may mean what this code
would misread. An older one gets what it lacks when it is opened, or by ``prediction-assets migrate``. A release only
adds tables and nullable columns, so what is stored stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from prediction_assets import __version__
from prediction_assets.errors import SchemaTooNew


@dataclass(frozen=True, slots=True)
class StoreSchema:
    """A store's schema, as it was found."""

    store: str  # the store's name for people: a file's path, or a place in a project
    found: int | None  # the version that the store records, None while it records none
    known: int  # the version that the running code knows
    changes: tuple[str, ...] = ()  # what the store lacks, one line each
    is_there: bool = True  # False before the first write

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to migrate: the store has the known version, or isn't there yet."""
        return not self.is_there or (self.found == self.known and not self.changes)


class VersionedStore(Protocol):
    """A store that records the version of its schema."""

    def schema(self) -> StoreSchema:
        """Look at the store and change nothing.

        Raises:
            SchemaTooNew: a newer version made or migrated it.
        """

    def migrate(self) -> StoreSchema:
        """Add what the store lacks, record the version, and return what was found before; safe to repeat."""


def require_known(store: str, found: int | None, known: int) -> None:
    """Refuse a store of a newer version."""
    if found is not None and found > known:
        raise SchemaTooNew(
            f"{store}: schema version {found}, but prediction_assets {__version__} knows version {known}; nothing was "
            "changed. Install the version that migrated it (docs/runbook.md), or restore a backup from before that"
        )

"""The version that each store's schema has, and the rule that every store keeps.

A store says which version it has. Code that knows a later one adds what is missing, at the first opening or by
``prediction-assets migrate``; a step only ever adds, so what an earlier version wrote stays as it is. Code that
knows an earlier one refuses to open the store. Nothing of Dagster's, no client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from prediction_assets import __version__
from prediction_assets.errors import SchemaTooNew


@dataclass(frozen=True, slots=True)
class StoreSchema:
    """A store's schema, as it was found.

    Attributes:
        store: what a person calls the store: a file, or where it is.
        found: the version that the store says it has; None when it is from before versions were recorded.
        known: the version that the running code knows.
        changes: what it lacks, one line each; empty when nothing but the record of its version is missing.
        is_there: False before the first write.
    """

    store: str
    found: int | None
    known: int
    changes: tuple[str, ...] = ()
    is_there: bool = True

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to migrate: it has the known version, or isn't there yet."""
        return not self.is_there or (self.found == self.known and not self.changes)


class VersionedStore(Protocol):
    """A store that says which version of its schema it has."""

    def schema(self) -> StoreSchema:
        """Look at the store and change nothing.

        Raises:
            SchemaTooNew: a later version migrated it.
        """

    def migrate(self) -> StoreSchema:
        """Add what the store lacks, record the version, and return what was found before; safe to repeat.

        Raises:
            SchemaTooNew: a later version migrated it.
        """


def require_known(store: str, found: int | None, known: int) -> None:
    """Refuse a store of a later version.

    Raises:
        SchemaTooNew: it is one.
    """
    if found is not None and found > known:
        raise SchemaTooNew(
            f"{store}: schema version {found}, and prediction_assets {__version__} knows {known}; nothing was "
            "changed. Install the version that migrated it (docs/upgrading.md), or restore the backup from before"
        )

"""Real ports with one fault in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prediction_assets.stores.local.outbox import FilePublisher
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse


class FailingParts(ArrowParts):
    """Parts that can't be written for some players."""

    def __init__(self, directory: Path, failing: Collection[str]) -> None:
        super().__init__(directory)
        self._failing = failing

    def write(self, slate, player_slug, rows, fence):  # type: ignore[no-untyped-def]
        if player_slug in self._failing or "*" in self._failing:
            raise OSError(28, "No space left on device")
        return super().write(slate, player_slug, rows, fence)


class FailingWarehouse(DuckDBWarehouse):
    """A home's warehouse whose staging fails for these players, ``*`` for all."""

    def __init__(self, home: Path, *, failing: Collection[str]) -> None:
        parts = FailingParts(home / "staging", failing)
        super().__init__(home / "warehouse.duckdb", parts, ArrowSnapshots(home / "features"))


class FailingPublisher(FilePublisher):
    """A home's publisher that can't deliver, or that dies after it delivered."""

    def __init__(self, home: Path, *, after: bool) -> None:
        super().__init__(home / "outbox")
        self._after = after

    def publish(self, message: Mapping[str, Any]) -> str:
        if self._after:
            super().publish(message)
        raise ConnectionError("the connection was lost")

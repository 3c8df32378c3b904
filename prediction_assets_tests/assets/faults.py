"""Real ports with one fault in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prediction_assets.orchestration.resources.local import DuckDBWarehouseResource, FileMessagingResource
from prediction_assets.stores.local.parts import ParquetParts, ParquetSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse


class FailingParts(ParquetParts):
    """Parts that can't be written for some players."""

    def __init__(self, directory: Path, failing: frozenset[str]) -> None:
        super().__init__(directory)
        self._failing = failing

    def write(self, slate, player_slug, rows):  # type: ignore[no-untyped-def]
        if player_slug in self._failing or "*" in self._failing:
            raise OSError(28, "No space left on device")
        return super().write(slate, player_slug, rows)


class FailingWarehouse(DuckDBWarehouseResource):
    """A warehouse whose staging fails for these players, ``*`` for all."""

    failing: list[str]

    @property
    def port(self) -> DuckDBWarehouse:
        parts = FailingParts(Path(self.staging), frozenset(self.failing))
        return DuckDBWarehouse(Path(self.database), parts, ParquetSnapshots(Path(self.features)))


class FailingPublisher:
    """A publisher that can't deliver, or that dies after it delivered."""

    def __init__(self, real: Any, *, after: bool) -> None:
        self._real, self._after = real, after

    def publish(self, message: Mapping[str, Any]) -> str:
        if self._after:
            self._real.publish(message)
        raise ConnectionError("the connection was lost")


class FailingMessaging(FileMessagingResource):
    """Messaging whose delivery fails, before or after the message went out."""

    after: bool

    @property
    def publisher(self) -> FailingPublisher:
        return FailingPublisher(super().publisher, after=self.after)

"""The steps' stores, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from prediction_assets_tests.in_memory import InMemoryStores


@pytest.fixture
def stores() -> InMemoryStores:
    """Return every store of an installation, in memory."""
    from prediction_assets_tests.in_memory import (
        InMemoryStores,  # imports DuckDB: not when tests are collected
    )

    return InMemoryStores()

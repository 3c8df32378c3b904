"""The stores of steps that MERGE several times, in memory: each MERGE is a tenth of a second of DuckDB's."""

from __future__ import annotations

import pytest

from prediction_assets_tests.in_memory import InMemoryStores


@pytest.fixture
def stores() -> InMemoryStores:
    """Return every store of an installation, in memory."""
    return InMemoryStores()

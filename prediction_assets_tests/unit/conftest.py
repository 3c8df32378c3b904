"""The limit of a unit test: half a second of the processor. What takes longer belongs into a slower folder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

LONGEST_CALL = 0.5
"""Seconds of processor time, of all threads."""


def allowed() -> float:
    """Return the limit on the machine as it is now.

    Whoever shares a processor's caches lengthens processor time too, though less than the wall clock's: beside one busy
    process for each processor, as `-n auto` starts them, a test has twice as long, and at most four times.
    """
    return LONGEST_CALL * min(1.0 + os.getloadavg()[0] / (os.cpu_count() or 1), 4.0)


IMPORTED_BY_COLLECTING = pytest.StashKey[frozenset[str]]()
"""The names of all modules that were imported when nothing but this folder had been collected."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Record what collecting has imported, if only this folder was collected."""
    here = Path(__file__).parent
    if all(item.path.is_relative_to(here) for item in items):
        config.stash[IMPORTED_BY_COLLECTING] = frozenset(sys.modules)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test whose own part, without its fixtures, takes longer than the limit."""
    began = time.process_time()
    result = yield
    used = time.process_time() - began
    if used > allowed():
        pytest.fail(
            f"{item.nodeid} took {used:.2f} s of the processor, and a unit test may take {allowed():.1f} s; make its "
            "data smaller, make them once in a fixture, or move the test to contract/ or orchestration/",
            pytrace=False,
        )
    return result

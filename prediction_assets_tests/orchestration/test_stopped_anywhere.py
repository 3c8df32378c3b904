"""A run that is stopped behind a durable write, for however long, keeps nobody from the warehouse."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.steps import failpoints
from prediction_assets.stores.profiles import open_stores
from prediction_assets_tests.homes import SIMULATED


@pytest.fixture
def at_each_point() -> Iterator[None]:
    yield
    failpoints.install(failpoints._go_on)


@pytest.mark.usefixtures("at_each_point")
def test_behind_each_durable_write_of_a_slate_another_process_may_write_the_warehouse(
    ingested: SlateRun,
) -> None:
    others = open_stores(ingested._settings).warehouse.waiting_at_most(0.0)
    seen, turn = [], threading.Lock()  # parts are written by several threads

    def write(point: str) -> None:
        with turn:
            seen.append(point)
            others.migrate()  # takes the lock that a writer takes

    failpoints.install(write)
    assert ingested.whole(SIMULATED).published
    without_failures = [
        p for p in failpoints.POINTS if p not in ("dead_letter_written", "dead_letters_closed")
    ]
    assert set(without_failures) <= set(seen)

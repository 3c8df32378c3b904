"""Processes stopped at the points that ``acceptance/`` leaves out, and with a system clock that is a day off."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from google.cloud import firestore

from prediction_assets.settings import load_settings
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.gcp.dead_letters import FirestoreDeadLetters
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.profiles import open_stores
from prediction_assets_tests.acceptance.stale_writers import (
    begin,
    deliver,
    go_on,
    opened,
    overtake,
    require_newer_facts_in_force,
    require_newer_revision_in_force_and_announced,
)
from prediction_assets_tests.acceptance.test_stale_writers import (
    POINTS,
    PUBLISHING,
    PUBLISHING_POINTS,
    SHORT_OF_PUBLISHING,
    SHORT_OF_STAGING,
    STAGING,
    pause,
    stop_a_publishing_process,
    stop_a_staging_process,
    stopped_at,
)
from prediction_assets_tests.contract.warehouse.conftest import (
    bigquery_client,
    bigquery_endpoint,
    open_bigquery,
)
from prediction_assets_tests.emulator_fixtures import firestore_client, firestore_emulator, project
from prediction_assets_tests.in_memory import InMemoryStores

__all__ = [
    "bigquery_client",
    "bigquery_endpoint",
    "firestore_client",
    "firestore_emulator",
    "open_bigquery",
    "pause",
    "project",
]  # fixtures


@pytest.mark.parametrize("point", [point for point in POINTS if point not in SHORT_OF_STAGING])
def test_a_process_that_was_stopped_changes_nothing_of_what_another_process_left(tmp_path: Path, point: str):
    stop_a_staging_process(tmp_path, point)


@pytest.mark.parametrize("point", [point for point in PUBLISHING_POINTS if point not in SHORT_OF_PUBLISHING])
def test_a_consolidation_or_completion_that_was_stopped_changes_nothing_of_a_newer_one(
    tmp_path: Path, point: str
):
    stop_a_publishing_process(tmp_path, point)


def test_on_the_gcp_profile_a_run_that_was_paused_changes_nothing_of_what_a_newer_run_left(
    firestore_client: firestore.Client, open_bigquery: Callable[..., BigQueryWarehouse], pause
):
    calls = FirestoreCalls(firestore_client)
    made = InMemoryStores(open_bigquery(), FirestoreBatchState(calls), FirestoreDeadLetters(calls))
    opened(made)
    pause("part_written", lambda: overtake(made))
    go_on(begin(made, "paused"))
    require_newer_facts_in_force(made, fence=2)


_FAKETIMES = (
    os.environ.get("LIBFAKETIME", ""),
    *map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")),
)
FAKETIME = next((path for path in _FAKETIMES if path and Path(path).exists()), None)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime isn't installed: `apt-get install libfaketime`")
@pytest.mark.parametrize("days", ["-1d", "+1d"])
@pytest.mark.parametrize(("code", "point"), [(STAGING, "part_written"), (PUBLISHING, "outbox_written")])
def test_a_stopped_process_whose_system_clock_is_a_day_off_changes_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: str, code: str, point: str
):
    stores = open_stores(load_settings(home=tmp_path))
    opened(stores)
    if code is PUBLISHING:
        go_on(begin(stores, "older"))
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME", days)
    with stopped_at(point, f"{REAL_CLOCK}{code}", tmp_path):
        monkeypatch.delenv("LD_PRELOAD")
        newer = overtake(stores)
        deliver(stores, newer)
    if code is PUBLISHING:
        require_newer_revision_in_force_and_announced(stores, newer)
    else:
        require_newer_facts_in_force(stores, fence=2)


REAL_CLOCK = """
from datetime import datetime, UTC
from prediction_assets_tests.acceptance import stale_writers
stale_writers.ClockOff.now = lambda self: datetime.now(UTC)
"""
"""Let the steps of a process go by its system clock."""

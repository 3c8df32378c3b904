"""A day of the gcp profile in calls, counted on the emulators, is what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.google_bill import usd
from prediction_assets_tests.emulator_fixtures import firestore_emulator, project
from prediction_assets_tests.google_calls import DELETES, LOADS, QUERIES, READS, TABLES_READ, WRITES
from prediction_assets_tests.google_day import SETTLING_TICKS, measured

__all__ = ["firestore_emulator", "project"]  # fixtures

PLAYERS = 4
KINDS = {READS, WRITES, DELETES, LOADS, QUERIES, TABLES_READ}


def test_an_idle_day_and_a_day_with_a_slate_take_no_more_calls_than_the_page_says(
    firestore_emulator: str, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    day = measured(tmp_path / "home", project, PLAYERS)
    reads = {name: each.calls[READS] for name, each in day.sensors.items()}
    assert reads["staging_sensor"] == reads["consolidation_sensor"] == 1 + 1 + 3, "version, slates, one slate"
    assert max(reads.values()) <= 12
    assert day.slate[LOADS] == PLAYERS + 2 + 1, "parts, features, the model"
    assert day.slate[TABLES_READ] >= PLAYERS
    assert day.slate.keys() <= KINDS
    idle, busy = day.idle(), day.with_slate()
    assert idle[READS] < 100_000
    assert idle[WRITES] == idle[LOADS] == 0
    assert busy[READS] == idle[READS] + day.slate[READS] + SETTLING_TICKS * 2 * PLAYERS
    assert usd(idle) < usd(busy) < 0.5
    assert usd(day.idle(players=450)) > 2.0, "what reading every outcome at each look would cost"

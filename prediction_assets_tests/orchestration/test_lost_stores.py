"""Stores lost, emptied or restored older: `run` repairs the slate, and so do the sensors.

A few cases of each; ``long/`` has the rest of the matrix.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prediction_assets.slate.completion_message import message_id
from prediction_assets_tests.homes import SIMULATED, OpenHome
from prediction_assets_tests.orchestration.lost_stores import STORES, Recovery, recovery, second_home

__all__ = ["recovery", "second_home"]

ALONE = [[(store, how)] for store in STORES for how in ("lost", "older")]
EMPTIED = [[("warehouse", "emptied")]]
PAIRS = [
    [(first, how), (second, how)]
    for first, second in itertools.combinations(STORES, 2)
    for how in ("lost", "older")
]
DAMAGES = [*ALONE, *EMPTIED, *PAIRS]
BOTH_LOST = [("warehouse", "lost"), ("batch_state", "lost")]
SHORT_OF_A_RUN = [[("warehouse", "older")], [("batch_state", "lost")]]
SHORT_OF_SENSORS = [[("warehouse", "older")]]
NUMBERS_LOST = [
    (),
    ("warehouse",),
    ("outbox",),
    ("batch_state",),
    ("warehouse", "outbox"),
    ("warehouse", "batch_state"),
    ("batch_state", "outbox"),
    ("warehouse", "batch_state", "outbox"),  # the delivered files alone have seen a number
]
SHORT_OF_NUMBERS = [NUMBERS_LOST[-1]]


def named(damages: list[tuple[str, str]]) -> str:
    return " and ".join(f"{store} {how}" for store, how in damages)


def repair_by_a_run(recovery: Recovery, damages: list[tuple[str, str]]) -> None:
    for store, how in damages:
        recovery.damage(store, how)
    recovery.restore_facts()
    recovery.by_command()
    recovery.check()


def repair_by_the_sensors(
    recovery: Recovery, damages: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [datetime.now(UTC)]
    monkeypatch.setattr("prediction_assets.slate.deadlines.Clock.now", lambda self: clock[0])
    monkeypatch.setattr("prediction_assets.orchestration.sensors.requests.FIRST_PAUSE", timedelta(0))
    for store, how in damages:
        recovery.damage(store, how)
    recovery.restore_facts()
    if {*BOTH_LOST} <= {*damages}:  # nobody knows a simulated slate any more; a real one is in the schedule
        recovery.run.roster(SIMULATED)
    clock[0] += timedelta(minutes=31)
    recovery.by_sensors(clock)
    recovery.check()


def number_the_next_content(
    recovery: Recovery, open_home: OpenHome, second_home: Path, lost: tuple[str, ...]
) -> None:
    for store in lost:
        recovery.damage(store, "lost")
    recovery.restore_facts()
    result = open_home(second_home).whole(SIMULATED)  # without the setting that made the second revision
    assert result.receipt is not None
    assert result.entry is not None
    assert (result.receipt.revision, result.published) == (3, True)
    assert result.entry.message_id == message_id(result.receipt)
    assert recovery.files() == {**recovery.sent, message_id(result.receipt): 3}


@pytest.mark.parametrize("damages", SHORT_OF_A_RUN, ids=named)
def test_a_run_repairs(recovery: Recovery, damages: list[tuple[str, str]]) -> None:
    repair_by_a_run(recovery, damages)


@pytest.mark.parametrize("damages", SHORT_OF_SENSORS, ids=named)
def test_the_sensors_repair(
    recovery: Recovery, damages: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    repair_by_the_sensors(recovery, damages, monkeypatch)


@pytest.mark.parametrize("lost", SHORT_OF_NUMBERS, ids=" and ".join)
def test_the_next_other_content_gets_a_number_that_was_never_seen(
    recovery: Recovery, open_home: OpenHome, second_home: Path, lost: tuple[str, ...]
) -> None:
    number_the_next_content(recovery, open_home, second_home, lost)

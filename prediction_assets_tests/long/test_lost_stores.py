"""Each store lost, emptied or restored older, alone and in pairs: the cases that ``orchestration/`` leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from prediction_assets_tests.homes import OpenHome
from prediction_assets_tests.orchestration.lost_stores import Recovery, recovery, second_home
from prediction_assets_tests.orchestration.test_lost_stores import (
    DAMAGES,
    NUMBERS_LOST,
    SHORT_OF_A_RUN,
    SHORT_OF_NUMBERS,
    SHORT_OF_SENSORS,
    named,
    number_the_next_content,
    repair_by_a_run,
    repair_by_the_sensors,
)

__all__ = ["recovery", "second_home"]  # fixtures


@pytest.mark.parametrize("damages", [each for each in DAMAGES if each not in SHORT_OF_A_RUN], ids=named)
def test_a_run_repairs(recovery: Recovery, damages: list[tuple[str, str]]) -> None:
    repair_by_a_run(recovery, damages)


@pytest.mark.parametrize("damages", [each for each in DAMAGES if each not in SHORT_OF_SENSORS], ids=named)
def test_the_sensors_repair(
    recovery: Recovery, damages: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    repair_by_the_sensors(recovery, damages, monkeypatch)


@pytest.mark.parametrize(
    "lost", [each for each in NUMBERS_LOST if each not in SHORT_OF_NUMBERS], ids=" and ".join
)
def test_the_next_other_content_gets_a_number_that_was_never_seen(
    recovery: Recovery, open_home: OpenHome, second_home: Path, lost: tuple[str, ...]
) -> None:
    number_the_next_content(recovery, open_home, second_home, lost)

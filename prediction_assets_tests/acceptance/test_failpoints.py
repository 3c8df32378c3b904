"""Stopped anywhere, and run again: what is left is what an undisturbed run would have left.

One case on the local profile; ``long/`` has the rest of the matrix, on both profiles.
"""

from __future__ import annotations

import shutil

import pytest

from prediction_assets.steps import failpoints
from prediction_assets_tests.acceptance.fault_matrix import KILL, Case
from prediction_assets_tests.fault_fixtures import assert_survived, local_cases, undisturbed
from prediction_assets_tests.homes import PLAYERS, SIMULATED, opened

__all__ = ["local_cases", "undisturbed"]  # fixtures

# Where what is durable changes hands. A case takes some eight seconds, most of them imports of Dagster.
SHORT = [Case("local", "merge_committed", KILL)]


@pytest.mark.parametrize("case", SHORT, ids=lambda case: f"{case.point}-{case.fault}")
def test_a_slate_that_was_stopped_anywhere_ends_like_an_undisturbed_one(case, undisturbed, request):
    assert_survived(case, undisturbed, request)


def test_every_point_is_reached_once_a_slate_in_flow_order(ingested_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(ingested_home, home)
    seen: list[str] = []
    failpoints.install(seen.append)
    try:
        with opened(home) as run:
            run.whole(SIMULATED)
    finally:
        failpoints.install(failpoints._go_on)
    in_passing = [point for point in failpoints.POINTS if point != "dead_letter_written"]
    assert list(dict.fromkeys(seen)) == in_passing
    assert seen.count("part_written") == PLAYERS
    assert seen.count("events_stored") == seen.count("outcome_recorded")

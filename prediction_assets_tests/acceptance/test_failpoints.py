"""Stopped anywhere, and run again: what is left is what an undisturbed run would have left.

The local profile's whole matrix, and of the gcp profile's the four cases that matter most; `make faults` has all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from unittest import mock

import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.steps import failpoints
from prediction_assets_tests.acceptance.fault_matrix import (
    CASES,
    FAIL,
    KILL,
    Case,
    Left,
    OpenCase,
    gcp_opener,
    homes,
    left_behind,
    slate_of,
    survive,
)
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint
from prediction_assets_tests.emulator_fixtures import firestore_emulator, pubsub_emulator
from prediction_assets_tests.emulators import FIRESTORE, PUBSUB
from prediction_assets_tests.homes import PLAYERS, SIMULATED

__all__ = ["bigquery_endpoint", "firestore_emulator", "pubsub_emulator"]  # fixtures


@pytest.fixture(scope="session")
def local_cases() -> Iterator[OpenCase]:
    """Opens homes of the local profile with the league's facts in them."""
    with homes("local") as open_case:
        yield open_case


@pytest.fixture(scope="session")
def gcp_cases(
    bigquery_endpoint: str,
    firestore_emulator: str,
    pubsub_emulator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OpenCase]:
    """Opens projects of the gcp profile on the emulators with the league's facts in them."""
    addresses = {
        FIRESTORE.variable: firestore_emulator,
        PUBSUB.variable: pubsub_emulator,
        "PREDICTION_ASSETS_BIGQUERY_ENDPOINT": bigquery_endpoint,
    }
    with ExitStack() as stack:
        yield gcp_opener(stack, tmp_path_factory.mktemp("gcp"), addresses)


@pytest.fixture(scope="session")
def undisturbed() -> Callable[[str, OpenCase], Left]:
    """What a profile's slate leaves without a fault, run once."""
    seen: dict[str, Left] = {}

    def of(profile: str, open_case: OpenCase) -> Left:
        if profile not in seen:
            _, run = open_case()
            run.whole(slate_of(profile))
            seen[profile] = left_behind(run, slate_of(profile))
        return seen[profile]

    return of


# On the emulators a case takes minutes; these are the places where what is durable changes hands.
_GCP_CASES = {
    ("part_written", KILL),
    ("merge_committed", KILL),
    ("published", KILL),
    ("outbox_written", FAIL),
}
SHORT = [c for c in CASES if c.profile == "local" or (c.point, c.fault) in _GCP_CASES]


@pytest.mark.parametrize("case", SHORT, ids=lambda case: f"{case.profile}-{case.point}-{case.fault}")
def test_a_slate_that_was_stopped_anywhere_ends_like_an_undisturbed_one(
    case: Case, undisturbed: Callable[[str, OpenCase], Left], request: pytest.FixtureRequest
):
    open_case = request.getfixturevalue(f"{case.profile}_cases")
    with mock.patch.dict(os.environ):  # opening a case sets what the clients look for
        expected = undisturbed(case.profile, open_case)
        environment, run = open_case()
        found = survive(case, environment, run)
    assert found == expected
    assert (found.revisions, len(found.events), found.undelivered, found.parts, found.next_step) == (
        (1,),
        1,
        (),
        (),
        "nothing",
    )


def test_every_point_is_reached_once_a_slate_in_flow_order(ingested_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(ingested_home, home)
    settings = load_settings(home=home)
    seen: list[str] = []
    failpoints.install(seen.append)
    try:
        with open_instance(settings) as instance:
            SlateRun(settings, instance).whole(SIMULATED)
    finally:
        failpoints.install(failpoints._go_on)
    in_passing = [point for point in failpoints.POINTS if point != "dead_letter_written"]
    assert list(dict.fromkeys(seen)) == in_passing
    assert seen.count("part_written") == PLAYERS
    assert seen.count("events_stored") == seen.count("outcome_recorded")

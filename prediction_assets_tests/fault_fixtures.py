"""Fixtures of the fault matrix, which the short and the whole matrix share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from prediction_assets_tests.acceptance.fault_matrix import (
    Case,
    Left,
    OpenCase,
    gcp_opener,
    left_behind,
    local_opener,
    slate_of,
    survive,
)
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint
from prediction_assets_tests.emulator_fixtures import firestore_emulator, pubsub_emulator
from prediction_assets_tests.emulators import FIRESTORE, PUBSUB
from prediction_assets_tests.homes import opened

__all__ = ["bigquery_endpoint", "firestore_emulator", "pubsub_emulator"]  # fixtures


@pytest.fixture(scope="session")
def local_cases(ingested_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenCase]:
    """Opens homes of the local profile with the league's facts in them."""
    with ExitStack() as stack:
        yield local_opener(stack, tmp_path_factory.mktemp("cases"), ingested_home)


@pytest.fixture(scope="module")
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
    with mock.patch.dict(os.environ), ExitStack() as stack:  # a case sets the profile for the clients
        yield gcp_opener(stack, tmp_path_factory.mktemp("gcp"), addresses)


@pytest.fixture(scope="session")
def undisturbed(
    finished_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, OpenCase], Left]:
    """What a profile's slate leaves without a fault, run once."""
    home = tmp_path_factory.mktemp("undisturbed") / "home"
    shutil.copytree(finished_home, home)
    with opened(home) as run:
        seen = {"local": left_behind(run, slate_of("local"))}

    def of(profile: str, open_case: OpenCase) -> Left:
        if profile not in seen:
            _, run = open_case()
            run.whole(slate_of(profile))
            seen[profile] = left_behind(run, slate_of(profile))
        return seen[profile]

    return of


def assert_survived(
    case: Case, undisturbed: Callable[[str, OpenCase], Left], request: pytest.FixtureRequest
) -> None:
    """Stop a slate as the case says, run it again, and compare what is left with an undisturbed run's."""
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

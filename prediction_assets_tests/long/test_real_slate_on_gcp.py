"""A real slate through both profiles. Skipped where the data isn't; none of it is in the repository."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import Settings, load_settings
from prediction_assets_tests.acceptance.test_gcp_profile import (
    gcp,
    gcp_environment,
    gcp_settings,
    open_run,
    rows,
)
from prediction_assets_tests.acceptance.test_real_slates import FILES
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint
from prediction_assets_tests.emulator_fixtures import firestore_emulator, pubsub_emulator
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA

__all__ = [
    "bigquery_endpoint",
    "firestore_emulator",
    "gcp",
    "gcp_environment",
    "gcp_settings",
    "open_run",
    "pubsub_emulator",
]  # fixtures


@pytest.fixture(scope="module")
def local(open_run: Callable[[Settings], SlateRun], tmp_path_factory: pytest.TempPathFactory) -> SlateRun:
    return open_run(load_settings(profile="local", home=tmp_path_factory.mktemp("local")))


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=WITHOUT_REAL_DATA)
def test_a_real_slate_is_the_same_on_both_profiles(gcp, local):
    slate = "2025-01-10"
    for run in (gcp, local):
        run.ingest({name: {"path": str(REAL_DATA / file)} for name, file in FILES.items()})
        assert run.whole(slate).receipt.status == "success"
    found = rows(gcp.stores.warehouse, slate)
    assert len(found) > 3000
    assert found == rows(local.stores.warehouse, slate)

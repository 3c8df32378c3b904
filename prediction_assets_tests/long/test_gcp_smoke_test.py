"""The smoke test of a Google Cloud project, on the emulators."""

from __future__ import annotations

from prediction_assets.orchestration.gcp_smoke_test import smoke_test
from prediction_assets_tests.acceptance.test_gcp_profile import gcp_environment, gcp_settings
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint
from prediction_assets_tests.emulator_fixtures import firestore_emulator, pubsub_emulator

__all__ = [
    "bigquery_endpoint",
    "firestore_emulator",
    "gcp_environment",
    "gcp_settings",
    "pubsub_emulator",
]  # fixtures


def test_the_smoke_test_finds_on_the_emulators_only_what_emulators_cannot_show(gcp_settings):
    found = dict(smoke_test(gcp_settings))
    assert len(found) == 6
    beyond_emulators = {
        "a job id that exists is refused",
        "the predictions can't be read without a date",
        "jobs report the bytes they are billed for",
    }
    assert {name for name, problem in found.items() if problem} <= beyond_emulators

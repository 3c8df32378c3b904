"""Stopped behind every durable step, in every way, on both profiles: the matrix that ``make faults`` prints."""

from __future__ import annotations

import pytest

from prediction_assets_tests.acceptance.fault_matrix import CASES
from prediction_assets_tests.acceptance.test_failpoints import SHORT
from prediction_assets_tests.fault_fixtures import (
    assert_survived,
    bigquery_endpoint,
    firestore_emulator,
    gcp_cases,
    local_cases,
    pubsub_emulator,
    undisturbed,
)

__all__ = [
    "bigquery_endpoint",
    "firestore_emulator",
    "gcp_cases",
    "local_cases",
    "pubsub_emulator",
    "undisturbed",
]  # fixtures

WITHOUT_SHORT = [case for case in CASES if case not in SHORT]


@pytest.mark.parametrize("case", WITHOUT_SHORT, ids=lambda case: f"{case.profile}-{case.point}-{case.fault}")
def test_a_slate_that_was_stopped_anywhere_ends_like_an_undisturbed_one(case, undisturbed, request):
    assert_survived(case, undisturbed, request)

"""Every other failure, caused for real: it is delivered once to a local webhook, with its link, and its end once."""

from __future__ import annotations

import pytest

from prediction_assets_tests.orchestration.alerts.test_failures import (
    CASES,
    SHORT,
    Watched,
    deliver_once_with_its_end,
    watched,
)
from prediction_assets_tests.webhooks import webhook

__all__ = ["watched", "webhook"]  # fixtures


@pytest.mark.parametrize("name", [name for name in CASES if name not in SHORT])
def test_a_failure_is_delivered_once_with_its_link_and_its_end_once(watched: Watched, name):
    deliver_once_with_its_end(watched, name)

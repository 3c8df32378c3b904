"""The suite's fixtures for this folder."""

from types import SimpleNamespace

import pytest

from prediction_assets_tests.fixtures import batch_state, history, instance, settings, slate_run, warehouse
from prediction_assets_tests.homes import (
    finished,
    finished_home,
    ingested,
    ingested_home,
    open_home,
    published,
    published_home,
    ready,
    ready_home,
    small_league,
    staged,
    staged_home,
)
from prediction_assets_tests.source_server import source_server

__all__ = [
    "batch_state",
    "finished",
    "finished_home",
    "history",
    "ingested",
    "ingested_home",
    "instance",
    "open_home",
    "published",
    "published_home",
    "ready",
    "ready_home",
    "settings",
    "slate_run",
    "small_league",
    "source_server",
    "staged",
    "staged_home",
    "warehouse",
]


@pytest.fixture(autouse=True)
def _attempts_follow_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a part that failed be tried again without its pause of up to a second."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))

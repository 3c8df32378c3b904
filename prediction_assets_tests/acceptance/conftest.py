"""The suite's fixtures for this folder."""

from prediction_assets_tests.fixtures import batch_state, history, instance, settings, slate_run, warehouse
from prediction_assets_tests.homes import (
    finished,
    finished_home,
    ingested,
    ingested_home,
    open_home,
    ready_home,
    small_league,
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
    "ready_home",
    "settings",
    "slate_run",
    "small_league",
    "source_server",
    "warehouse",
]

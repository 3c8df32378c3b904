"""Fixtures shared by the suite: a home in a temporary folder, the ports in it, and made-up players."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.retention.kinds import History
from prediction_assets.settings import Settings, load_settings
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.dead_letters import SqliteDeadLetters
from prediction_assets.stores.local.outbox import SqliteOutbox
from prediction_assets.stores.local.parts import ParquetParts, ParquetSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets_tests.homes import finished, finished_home, ingested, ingested_home, open_home
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, progress_of, rows_of, staged

__all__ = [
    "NOW",
    "SLATE",
    "batch",
    "finished",
    "finished_home",
    "ingested",
    "ingested_home",
    "open_home",
    "player",
    "progress_of",
    "rows_of",
    "staged",
]  # fixtures and made-up values of the whole suite


# Whole slates and emulators take seconds each; what needs one is slow without saying so in every test.
_SLOW_FIXTURES = {
    "ingested_home",
    "slate_run",
    "bigquery_endpoint",
    "firestore_emulator",
    "pubsub_emulator",
    "home",
}
_SLOW_KINDS = {"bigquery", "firestore", "pubsub"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the browser test renew the documentation's pictures: ``make pictures``."""
    parser.addoption("--pictures", metavar="FOLDER", help="keep the documentation's pictures in this folder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs a slate or needs an emulator as slow."""
    for item in items:
        kinds = set(map(str, getattr(getattr(item, "callspec", None), "params", {}).values()))
        if _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())) or _SLOW_KINDS & kinds:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _usual_garbage_collection() -> Iterator[None]:
    """Set back what the command line does for a process of its own: garbage here may hold files open."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own settings or Dagster instance."""
    import os

    for name in list(os.environ):
        if name.startswith("PREDICTION_ASSETS_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Whatever a test configures, the next one finds logging as it was."""
    root, made_by, disabled = logging.getLogger(), logging.getLoggerClass(), logging.root.manager.disable
    loggers = [root, *(logging.getLogger(name) for name in ("dagster", "dagster-webserver", "dagit"))]
    kept = [(each, type(each), each.level, list(each.handlers)) for each in loggers]
    yield
    logging.setLoggerClass(made_by)
    logging.disable(disabled)
    for each, kind, level, handlers in kept:
        each.__class__ = kind
        each.setLevel(level)
        each.handlers[:] = handlers


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", call_timeout=10.0)


@pytest.fixture
def warehouse(settings: Settings) -> DuckDBWarehouse:
    home = settings.home
    return DuckDBWarehouse(
        home / "warehouse.duckdb", ParquetParts(home / "staging"), ParquetSnapshots(home / "features"), 10.0
    )


@pytest.fixture
def batch_state(settings: Settings) -> SqliteBatchState:
    return SqliteBatchState(settings.home / "state.sqlite")


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as opened:
        yield opened


@pytest.fixture
def history(
    settings: Settings,
    warehouse: DuckDBWarehouse,
    batch_state: SqliteBatchState,
) -> History:
    """Everything that is pruned, in the test's own home, three days after the made-up slate."""
    file = settings.home / "state.sqlite"
    return History(
        warehouse, batch_state, SqliteDeadLetters(file), SqliteOutbox(file), SqliteAlertStore(file),
        NOW + timedelta(days=3),
    )  # fmt: skip


@pytest.fixture
def slate_run(settings: Settings, instance: dg.DagsterInstance) -> SlateRun:
    return SlateRun(settings, instance)

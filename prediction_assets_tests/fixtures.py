"""Fixtures of the folders above ``unit``: a home in a temporary folder, the ports in it, and finished homes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.retention.kinds import History
from prediction_assets.settings import Settings, load_settings
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.dead_letters import SqliteDeadLetters
from prediction_assets.stores.local.outbox import SqliteOutbox
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets_tests.made_up import NOW

_read_migrations = ScriptDirectory.from_config
_migrations: dict[str | None, ScriptDirectory] = {}


def _migrations_read_once(config: Config) -> ScriptDirectory:
    """Dagster reads its migrations for each file that it opens or creates: half of what opening a home costs."""
    folder = config.get_main_option("script_location")
    if folder not in _migrations:
        _migrations[folder] = _read_migrations(config)
    return _migrations[folder]


ScriptDirectory.from_config = _migrations_read_once  # type: ignore[method-assign,assignment]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", call_timeout=10.0)


@pytest.fixture
def warehouse(settings: Settings) -> DuckDBWarehouse:
    home = settings.home
    return DuckDBWarehouse(
        home / "warehouse.duckdb", ArrowParts(home / "staging"), ArrowSnapshots(home / "features"), 10.0
    )


@pytest.fixture
def batch_state(settings: Settings) -> SqliteBatchState:
    return SqliteBatchState(settings.home / "state.sqlite")


@pytest.fixture
def instance(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """A new instance, copied from one that is made once a session: the schemas of its files take a second."""
    template = tmp_path_factory.getbasetemp() / "new-instance"
    if not template.exists():
        with open_instance(load_settings(home=template)):
            pass
    shutil.copytree(template / "dagster", settings.instance_folder)
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

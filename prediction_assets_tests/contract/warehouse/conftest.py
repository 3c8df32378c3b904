"""The warehouse port's implementations, for a suite in which every case runs on each."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import cache, partial
from typing import Any

import pytest
from google.cloud import bigquery

from prediction_assets.settings import Settings
from prediction_assets.stores.gcp import bigquery_scripts
from prediction_assets.stores.gcp import warehouse as warehouse_module
from prediction_assets.stores.gcp.parts import BigQueryParts
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.protocols import Warehouse
from prediction_assets_tests.contract.warehouse.bigquery_emulator import (
    NoEmulator,
    copy_project,
    emulator_client,
    running_emulator,
)
from prediction_assets_tests.in_memory import InMemoryWarehouse


@pytest.fixture(scope="session")
def bigquery_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator's address; one emulator for each test process."""
    try:
        with running_emulator(tmp_path_factory.mktemp("bigquery") / "emulator.log") as endpoint:
            yield endpoint
    except NoEmulator as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has to have the BigQuery emulator: {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture
def bigquery_client(bigquery_endpoint: str) -> Iterator[bigquery.Client]:
    """A client of a project that no other test uses."""
    client = emulator_client(bigquery_endpoint, f"test-{uuid.uuid4().hex[:12]}")
    yield client
    client.close()


@pytest.fixture
def open_new_bigquery(bigquery_client: bigquery.Client) -> Callable[..., BigQueryWarehouse]:
    """Opens a BigQuery warehouse in the test's project, which is empty; a busy machine takes its time."""
    return partial(BigQueryWarehouse, bigquery_client, dataset_prefix="t_", call_timeout=300.0)


@cache
def _project_that_is_set_up(endpoint: str) -> str:
    with closing(emulator_client(endpoint, f"test-{uuid.uuid4().hex[:12]}")) as client:
        BigQueryWarehouse(client, dataset_prefix="t_", call_timeout=300.0).set_up()
        return str(client.project)


@pytest.fixture
def open_bigquery(
    bigquery_endpoint: str, bigquery_client: bigquery.Client
) -> Callable[..., BigQueryWarehouse]:
    """Opens the test's BigQuery warehouse, again or with other arguments; its tables are there already.

    They are copied from a project that the warehouse has set up itself: to set up takes it 60 requests.
    """
    copy_project(bigquery_endpoint, _project_that_is_set_up(bigquery_endpoint), bigquery_client.project)

    def opened(**options: Any) -> BigQueryWarehouse:
        made = BigQueryWarehouse(bigquery_client, **{"dataset_prefix": "t_", "call_timeout": 300.0} | options)
        made._tables._is_set_up = True
        return made

    return opened


@pytest.fixture
def open_gathering_bigquery(
    open_bigquery: Callable[..., BigQueryWarehouse], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., BigQueryWarehouse]:
    """Opens the test's BigQuery warehouse; every slate is too large for one job's text, three parts too."""
    monkeypatch.setattr(bigquery_scripts, "SCRIPT_BYTES", 0)
    monkeypatch.setattr(bigquery_scripts, "TABLES_PER_STATEMENT", 2)
    return open_bigquery


class LoadedAtALook(BigQueryParts):
    """Parts of several players in one table; those that were written since the last look are loaded at the next."""

    def _listed(self, slate: str | None = None) -> Any:
        for each in {table.slate for table in self._unloaded}:
            self.flush(each)
        return super()._listed(slate)

    def drop(self, slate: str, parts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        self.flush(slate)
        return super().drop(slate, parts)


@pytest.fixture
def open_shared_bigquery(
    open_bigquery: Callable[..., BigQueryWarehouse], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., BigQueryWarehouse]:
    """Opens the test's BigQuery warehouse; parts share tables, and MERGEs are as with a table per part."""
    monkeypatch.setattr(warehouse_module, "BigQueryParts", LoadedAtALook)
    return partial(open_bigquery, staging_layout="per_run")


@pytest.fixture
def open_duckdb(settings: Settings) -> Callable[[], DuckDBWarehouse]:
    """Opens the test's embedded warehouse."""
    home = settings.home
    return lambda: DuckDBWarehouse(
        home / "warehouse.duckdb", ArrowParts(home / "staging"), ArrowSnapshots(home / "features"), 10.0
    )


KINDS = ["duckdb", "in_memory", "bigquery"]
OTHERWISE = ["shared_bigquery", "gathering_bigquery"]
READ_OTHERWISE = pytest.mark.parametrize("warehouse", OTHERWISE, indirect=True)
GATHERING_TOO = pytest.mark.parametrize("warehouse", [*KINDS, *OTHERWISE], indirect=True)
"""For what a MERGE does with parts: BigQuery gathers them first when a slate is too large for one job's text."""

SHARED_TOO = pytest.mark.parametrize("warehouse", [*KINDS, "shared_bigquery"], indirect=True)
"""For what the staging area does: players may share a table of BigQuery's."""


BY_DIALECT = ["in_memory", "bigquery"]
"""For what statements say: the embedded warehouse in a file runs the same text as the one in memory."""


def opened(request: pytest.FixtureRequest) -> Warehouse:
    """Return a new warehouse of the kind that the fixture's parameter names."""
    if request.param == "in_memory":
        return InMemoryWarehouse()
    return request.getfixturevalue(f"open_{request.param}")()


@pytest.fixture(params=KINDS)
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    """A new warehouse, of each kind in turn."""
    return opened(request)


@pytest.fixture(scope="module")
def equal_rows_are_fitted_once() -> Iterator[None]:
    """Fit no model twice in a module: a fit follows from its rows alone (``contract/nba/test_systems.py``)."""
    from prediction_assets.nba import backtest
    from prediction_assets.nba.forecasting import model
    from prediction_assets.slate.staged_rows import content_id

    fit, fits = model.fit_all, {}

    def fit_once(history: Any, sides: Any = None) -> Any:
        rows = model.data_hash(content_id(history), sides)
        if rows not in fits:
            fits[rows] = fit(history, sides)
        return dict(fits[rows])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "fit_all", fit_once)
        patch.setattr(backtest, "fit_all", fit_once)
        yield

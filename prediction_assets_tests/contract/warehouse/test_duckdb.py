"""What only the embedded warehouse has to see to."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.local.warehouse_file import engine_of
from prediction_assets.stores.sql.tables import SCHEDULE


@pytest.mark.parametrize(("setting", "value"), [("enable_progress_bar", "false"), ("TimeZone", "UTC")])
def test_a_connection_prints_no_progress_into_a_command_s_output_and_reads_times_as_utc(
    open_duckdb, setting, value
):
    asked = "SELECT value FROM duckdb_settings() WHERE name = $setting"
    assert open_duckdb().query(asked, {"setting": setting}).to_pylist() == [{"value": value}]


@pytest.mark.parametrize("failures", [1, 2])
def test_a_read_that_an_assertion_of_duckdbs_own_interrupts_is_repeated_once(
    open_duckdb, monkeypatch, failures
):
    left = failures
    select = DuckDBWarehouse._select

    def interrupted(self, *arguments):
        nonlocal left
        if left:
            left -= 1
            raise duckdb.InternalException("INTERNAL Error: dict-surviving cache: changed identity")
        return select(self, *arguments)

    monkeypatch.setattr(DuckDBWarehouse, "_select", interrupted)
    if failures == 1:
        assert open_duckdb().query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    else:
        with pytest.raises(duckdb.InternalException):
            open_duckdb().query("SELECT 1 AS one")


def test_between_two_operations_another_process_may_write_the_file(open_duckdb):
    warehouse = open_duckdb()
    warehouse.facts_version()
    write = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('CREATE TABLE theirs AS SELECT 7 AS n')"
    subprocess.run([sys.executable, "-c", write, str(warehouse._database)], check=True)
    assert warehouse.query("SELECT n FROM theirs").to_pylist() == [{"n": 7}]


def test_threads_read_at_once_and_the_last_one_lets_the_file_go(open_duckdb):
    warehouse = open_duckdb()
    warehouse.facts_version()
    both, found = threading.Barrier(2, timeout=60), []

    def read() -> None:
        with warehouse._session(write=False) as connection:
            both.wait()
            found.append(connection.execute("SELECT COUNT(*) FROM predictions.points_models").fetchone())
            both.wait()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(0,), (0,)]
    with warehouse._session(write=True) as connection:
        connection.execute("CREATE TABLE ours (n INTEGER)")


_THEIRS = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('CREATE TABLE theirs AS SELECT 7 AS n')"


def test_reads_that_follow_each_other_keep_the_file_and_let_it_go_at_their_end(open_duckdb):
    warehouse = open_duckdb()
    asked = [sys.executable, "-c", _THEIRS, str(warehouse._database)]
    with warehouse.reading():
        warehouse.facts_version()
        assert subprocess.run(asked, check=False, capture_output=True).returncode != 0
        assert open_duckdb().facts_version() == 0, "others read at the same time"
    subprocess.run(asked, check=True)
    assert warehouse.query("SELECT n FROM theirs").to_pylist() == [{"n": 7}]


def test_an_error_amid_reads_lets_the_file_go(open_duckdb):
    warehouse = open_duckdb()

    def fail() -> None:
        with warehouse.reading():
            warehouse.facts_version()
            warehouse.query("SELECT no_column FROM facts.versions")

    with pytest.raises(duckdb.BinderException):
        fail()
    subprocess.run([sys.executable, "-c", _THEIRS, str(warehouse._database)], check=True)


def test_a_thread_keeps_the_file_for_itself_alone(open_duckdb):
    warehouse = open_duckdb()
    with warehouse.reading(), ThreadPoolExecutor(1) as other:
        warehouse.facts_version()
        mine = warehouse._reading.connection
        assert mine is not None
        assert other.submit(lambda: warehouse._reading.connection).result() is None
        assert other.submit(warehouse.facts_version).result() == 0
        assert warehouse._reading.connection is mine
    assert warehouse._reading.connection is None


def test_amid_reads_an_engine_that_failed_is_replaced(open_duckdb):
    warehouse = open_duckdb()
    with warehouse.reading():
        warehouse.facts_version()
        engine = engine_of(warehouse._database)
        engine._root.close()  # as after a fatal error
        warehouse._reading.connection.close()
        with pytest.raises(duckdb.Error):
            warehouse.facts_version()
        assert warehouse.facts_version() == 0
        assert engine_of(warehouse._database) is not engine


def test_amid_reads_a_file_may_be_brought_up_to_date(open_duckdb):
    warehouse = open_duckdb().waiting_at_most(0.0)
    with warehouse.reading():
        warehouse.facts_version()
        assert not warehouse.migrate().changes
        assert warehouse.facts_version() == 0


def test_an_engine_that_failed_is_replaced(open_duckdb):
    warehouse = open_duckdb()
    warehouse.facts_version()
    engine = engine_of(warehouse._database)

    def fail() -> None:
        with warehouse._session(write=False) as connection:
            engine._root.close()  # as after a fatal error: it executes nothing more
            connection.execute("no statement")

    with pytest.raises(duckdb.Error):
        fail()
    assert warehouse.facts_version() == 0
    assert engine_of(warehouse._database) is not engine


def test_ctrl_c_amid_reads_is_raised_as_such_and_lets_the_file_go(open_duckdb):
    warehouse = open_duckdb()
    for write in (False, True):
        with pytest.raises(KeyboardInterrupt), warehouse._connect(write=write):
            raise RuntimeError("Query interrupted")  # as DuckDB says it
    with warehouse.reading():
        assert warehouse.facts_version() == 0
        with pytest.raises(KeyboardInterrupt), warehouse._connect(write=False):
            raise RuntimeError("Query interrupted")  # as DuckDB says it
        assert open_duckdb().upsert(SCHEDULE, SCHEDULE.arrow_table([])).inserted == 0, (
            "a writer isn't kept out"
        )
        with pytest.raises(RuntimeError, match="another"), warehouse._connect(write=False):
            raise RuntimeError("another")

"""The pooled event log: it answers like Dagster's own, and its open connections do no harm.

Modelled on the behaviours that Dagster's own suite asks of an event log storage.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import EventRecordsFilter
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.sql import get_alembic_config, run_alembic_downgrade
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from prediction_assets.orchestration.event_storage import PooledSqliteEventLogStorage
from prediction_assets_tests.orchestration.event_storage import logged
from prediction_assets_tests.orchestration.event_storage.logged import (
    ASSET,
    CHECK,
    materialized,
    partitions,
    said,
    texts,
)

CHECK_KEY = dg.AssetCheckKey(ASSET, CHECK)
PACKAGED = Path(__file__).parents[3] / "prediction_assets" / "orchestration" / "dagster.yaml"
DEADLINE_SECONDS = 120

POOLED = {
    "module": "prediction_assets.orchestration.event_storage",
    "class": "PooledSqliteEventLogStorage",
    "config": {},
}


def instance_in(folder: Path, storage: dict | None) -> dg.DagsterInstance:
    """Open a Dagster instance in a folder, on this event log or on Dagster's own."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"telemetry": {"enabled": False}} | ({"event_log_storage": storage} if storage else {})
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return dg.DagsterInstance.from_config(str(folder))


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail after a generous while."""
    pause = threading.Event()
    ends = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < ends, f"waited {DEADLINE_SECONDS} s for {what}"
        pause.wait(0.05)


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that Dagster's own storages have set up, to be copied: setting up takes many commits."""
    home = tmp_path_factory.mktemp("instance") / "home"
    with instance_in(home, None):
        return home


@pytest.fixture(params=[pytest.param("Dagster's own"), "pooled"])
def either(request: pytest.FixtureRequest, new_home: Path, tmp_path: Path) -> Iterator[SqliteEventLogStorage]:
    """Dagster's storage and ours: each test that takes this holds for both."""
    home = shutil.copytree(new_home, tmp_path / "home")
    with instance_in(home, POOLED if request.param == "pooled" else None) as instance:
        yield instance.event_log_storage


@pytest.fixture
def folder(new_home: Path, tmp_path: Path) -> Path:
    return shutil.copytree(new_home / "history" / "runs", tmp_path / "events")


@pytest.fixture
def storage(folder: Path) -> Iterator[PooledSqliteEventLogStorage]:
    with logged.storage_in(folder) as opened:
        yield opened


class TestAnswersLikeDagstersOwn:
    def test_a_runs_log_is_read_in_order_from_any_cursor(self, either):
        for number in range(10):
            either.store_event(said("run", str(number)))
        first = either.get_records_for_run("run", limit=4)
        rest = either.get_records_for_run("run", cursor=first.cursor)
        newest = either.get_records_for_run("run", limit=2, ascending=False)
        assert [r.event_log_entry.user_message for r in first.records] == ["0", "1", "2", "3"]
        assert first.has_more
        assert [r.event_log_entry.user_message for r in rest.records] == [str(n) for n in range(4, 10)]
        assert [r.event_log_entry.user_message for r in newest.records] == ["9", "8"]
        assert either.get_records_for_run("run", cursor=rest.cursor).records == []

    def test_runs_do_not_see_each_others_logs(self, either):
        either.store_event(said("one", "a"))
        either.store_event(said("two", "b"))
        assert texts(either, "one") == ["a"]
        assert texts(either, "two") == ["b"]
        assert texts(either, "three") == []

    def test_materializations_of_all_runs_have_growing_ids(self, either):
        for number, run_id in enumerate(["one", "two", "one", "three"]):
            either.store_event(materialized(run_id, str(number)))
        page = either.fetch_materializations(ASSET, limit=3, ascending=True)
        rest = either.fetch_materializations(ASSET, limit=3, ascending=True, cursor=page.cursor)
        ids = [r.storage_id for r in [*page.records, *rest.records]]
        assert partitions([*page.records, *rest.records]) == ["0", "1", "2", "3"]
        assert ids == sorted(set(ids))
        assert page.has_more
        assert not rest.has_more

    def test_records_after_an_id(self, either):
        for number in range(4):
            either.store_event(materialized("run", str(number)))
        second = either.fetch_materializations(ASSET, limit=2, ascending=True).records[-1].storage_id
        after = either.get_event_records(
            EventRecordsFilter(
                dg.DagsterEventType.ASSET_MATERIALIZATION, asset_key=ASSET, after_cursor=second
            ),
            ascending=True,
        )
        assert partitions(after) == ["2", "3"]

    def test_partitions_and_tags_of_an_asset(self, either):
        for partition in ("a", "b", "a"):
            either.store_event(materialized("run", partition))
        assert either.get_materialized_partitions(ASSET) == {"a", "b"}
        tags = either.get_latest_tags_by_partition(
            ASSET, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
        )
        assert tags == {p: {"dagster/data_version": f"version of {p}"} for p in ("a", "b")}

    def test_an_assets_record_is_its_last_materialization(self, either):
        either.store_event(materialized("one", "a"))
        either.store_event(materialized("two", "b"))
        (record,) = either.get_asset_records([ASSET])
        assert record.asset_entry.last_run_id == "two"
        assert record.asset_entry.last_materialization.asset_materialization.partition == "b"
        assert either.all_asset_keys() == [ASSET]

    def test_a_wiped_asset_is_gone_and_comes_back(self, either):
        either.store_event(materialized("run", "a"))
        either.wipe_asset(ASSET)
        assert either.get_materialized_partitions(ASSET) == set()
        assert not either.has_asset_key(ASSET)
        later = materialized("run", "b")._replace(timestamp=time.time() + 1)
        either.store_event(later)
        assert either.get_materialized_partitions(ASSET) == {"b"}

    def test_a_wipe_leaves_nothing_and_the_storage_usable(self, either):
        either.store_event(materialized("run", "a"))
        either.add_dynamic_partitions("players", ["x"])
        either.wipe()
        assert texts(either, "run") == []
        assert either.all_asset_keys() == []
        assert either.get_dynamic_partitions("players") == []
        either.store_event(said("run", "again"))
        assert texts(either, "run") == ["again"]

    @pytest.mark.parametrize("passed", [True, False])
    def test_a_check_is_planned_then_evaluated(self, either, passed):
        either.store_event(logged.check_planned("run"))
        (planned,) = either.get_asset_check_execution_history(CHECK_KEY, limit=10)
        either.store_event(logged.check_evaluated("run", passed=passed))
        (evaluated,) = either.get_asset_check_execution_history(CHECK_KEY, limit=10)
        assert planned.status.value == "PLANNED"
        assert evaluated.status.value == ("SUCCEEDED" if passed else "FAILED")
        assert evaluated.event.dagster_event.asset_check_evaluation_data.passed is passed
        assert either.get_latest_asset_check_execution_by_key([CHECK_KEY]).keys() == {CHECK_KEY}

    def test_run_status_changes_are_found_across_runs(self, either):
        for run_id in ("one", "two"):
            either.store_event(logged.run_started(run_id))
        page = either.fetch_run_status_changes(dg.DagsterEventType.RUN_START, limit=5, ascending=True)
        assert [r.event_log_entry.run_id for r in page.records] == ["one", "two"]

    def test_dynamic_partitions_keep_their_order(self, either):
        either.add_dynamic_partitions("players", ["c", "a"])
        either.add_dynamic_partitions("players", ["b", "a"])
        either.delete_dynamic_partition("players", "c")
        assert either.get_dynamic_partitions("players") == ["a", "b"]
        assert either.has_dynamic_partition("players", "b")
        assert not either.has_dynamic_partition("players", "c")

    def test_a_deleted_run_has_no_events(self, either):
        either.store_event(materialized("gone", "a"))
        either.store_event(materialized("kept", "b"))
        either.delete_events("gone")
        assert either.get_logs_for_run("gone") == []
        assert either.get_materialized_partitions(ASSET) == {"b"}

    def test_slots_are_claimed_once_by_many_threads(self, either):
        either.set_concurrency_slots("pool", 5)
        with ThreadPoolExecutor(8) as pool:
            claims = pool.map(
                lambda n: either.claim_concurrency_slot("pool", "run", f"step {n}").is_claimed, range(20)
            )
            assert sum(claims) == 5
        info = either.get_concurrency_info("pool")
        assert (info.slot_count, info.active_slot_count) == (5, 5)

    def test_what_an_exception_interrupts_is_rolled_back(self, either):
        either.store_event(said("run", "before"))

        def interrupted() -> None:
            with either.run_connection("run") as connection:
                connection.execute(text("DELETE FROM event_logs"))
                raise KeyError("interrupted")

        with pytest.raises(KeyError):
            interrupted()
        assert texts(either, "run") == ["before"]

    def test_a_file_that_is_no_database_is_an_error_until_it_is_replaced(self, either):
        either.store_event(said("run", "a"))
        shard = Path(either.path_for_shard("other"))
        shard.write_text("some nonsense, long enough to be read as a header " * 5, encoding="utf-8")
        with pytest.raises(DatabaseError):
            either.get_logs_for_run("other")
        shard.unlink()
        assert texts(either, "other") == []
        assert texts(either, "run") == ["a"]


class TestStoresLikeDagstersOwn:
    EVENTS = (
        said("one", "a line"),
        logged.materialization_planned("one", "a"),
        logged.materialization_planned("one", "b"),
        logged.check_planned("one"),
        materialized("one", "a"),
        materialized("one", "b", dg.AssetKey("another")),
        logged.observed("one", "b"),
        logged.check_evaluated("one", passed=True),
        logged.run_started("two"),
        materialized("two", "b"),
        materialized("one", "c"),
        logged.materialization_planned("two", "c"),
    )

    @pytest.mark.parametrize("batched", [False, True], ids=["one by one", "in a batch"])
    def test_every_table_holds_the_same(self, new_home, tmp_path, batched):
        held = {}
        for name, kind in (("own", None), ("pooled", POOLED)):
            home = shutil.copytree(new_home, tmp_path / name)
            with instance_in(home, kind) as instance:
                if batched:
                    instance.event_log_storage.store_event_batch(self.EVENTS)
                else:
                    for event in self.EVENTS:
                        instance.event_log_storage.store_event(event)
            held[name] = {
                shard: _contents(home / "history" / "runs" / f"{shard}.db")
                for shard in ("index", "one", "two")
            }
        assert len(held["own"]["index"]["event_logs"]) == 11
        assert held["pooled"] == held["own"]

    def test_a_batch_that_fails_leaves_nothing(self, storage):
        class Unserializable:
            pass

        bad = materialized("run", "b")._replace(user_message=Unserializable())
        with pytest.raises(Exception, match="Unserializable"):
            storage.store_event_batch([materialized("run", "a"), bad])
        assert texts(storage, "run") == []
        assert storage.get_materialized_partitions(ASSET) == set()

    def test_a_failing_index_leaves_the_run_without_the_event(self, storage):
        storage.store_event(materialized("run", "a"))
        with closing(sqlite3.connect(storage.path_for_shard("index"))) as connection:
            connection.execute("ALTER TABLE asset_keys RENAME TO gone")
            connection.commit()
        with pytest.raises(OperationalError, match="asset_keys"):
            storage.store_event(materialized("run", "b"))
        assert len(texts(storage, "run")) == 1
        with closing(sqlite3.connect(storage.path_for_shard("index"))) as connection:
            assert connection.execute("SELECT COUNT(*) FROM event_logs").fetchone() == (1,)

    def test_dagster_s_own_batches_of_planned_events_arrive(self, new_home, tmp_path, monkeypatch):
        monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "100")
        batches: list[int] = []
        with instance_in(shutil.copytree(new_home, tmp_path / "home"), POOLED) as instance:
            storage = instance.event_log_storage
            store = storage.store_event_batch
            monkeypatch.setattr(
                storage, "store_event_batch", lambda events: batches.append(len(events)) or store(events)
            )
            tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}
            assert dg.materialize([_ranged], instance=instance, tags=tags).success
            assert storage.get_materialized_partitions(_ranged.key) == {"a", "b"}
        assert batches.count(2) == 2  # planned, materialized


class TestWatching:
    def test_a_watcher_is_called_for_each_event_of_its_run(self, either):
        heard: list[str] = []
        callback = lambda entry, _cursor: heard.append(entry.user_message)  # noqa: E731
        either.store_event(said("run", "before"))
        cursor = either.get_records_for_run("run").cursor
        either.watch("run", cursor, callback)
        for number in range(5):
            either.store_event(said("run", str(number)))
            either.store_event(said("other", str(number)))
        until(lambda: len(heard) >= 5, "the watcher")
        either.end_watch("run", callback)
        assert heard == ["0", "1", "2", "3", "4"]

    def test_a_watcher_hears_of_another_process(self, storage, folder):
        heard: list[str] = []
        storage.store_event(said("run", "before"))
        storage.watch(
            "run",
            storage.get_records_for_run("run").cursor,
            lambda entry, _: heard.append(entry.user_message),
        )
        subprocess.run(
            [sys.executable, "-m", logged.__name__, str(folder), "run", "0", "5"],
            check=True,
            timeout=DEADLINE_SECONDS,
            capture_output=True,
        )
        until(lambda: [said for said in heard if said] == ["0", "1", "2", "3", "4"], "the other process")


class TestConnections:
    def test_a_shard_is_connected_to_once(self, storage, monkeypatch):
        opened: list[str] = []
        connect = sqlite3.connect
        monkeypatch.setattr(
            "sqlite3.dbapi2.connect", lambda *a, **k: opened.append(Path(a[0]).stem) or connect(*a, **k)
        )
        for number in range(50):
            storage.store_event(materialized("run", str(number)))
        # The schema is looked at and created on connections of its own, the first time.
        before = len(opened)
        for number in range(50):
            storage.store_event(materialized("run", str(number)))
        assert before
        assert len(opened) == before

    def test_open_files_are_bounded_however_many_runs_there_are(self, folder):
        # A database, its log and its shared memory each; SQLite keeps one closed descriptor for use again.
        most = 3 * (4 + 1) + 1
        with logged.storage_in(folder, max_open_runs=4) as storage:
            for number in range(40):
                storage.store_event(materialized(f"run {number}", "a"))
            assert _open_shards(storage) == [*(f"run {n}" for n in range(36, 40)), "index"]
            assert len(_open_files(folder)) <= most
            assert [texts(storage, f"run {n}") for n in range(40)] == [[""]] * 40
            assert len(_open_files(folder)) <= most

    def test_more_threads_than_open_runs_all_get_through(self, folder):
        with logged.storage_in(folder, max_open_runs=1) as storage:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: storage.store_event(said(f"run {n % 8}", str(n))), range(80)))
            assert sum(len(texts(storage, f"run {n}")) for n in range(8)) == 80
            assert len(_open_shards(storage)) <= 2

    def test_a_new_runs_file_has_the_schema_that_dagster_gives_it(self, tmp_path):
        schemas = {}
        for name, kind in (("own", None), ("pooled", POOLED)):
            with instance_in(tmp_path / name, kind) as instance:
                for run_id in ("first", "second"):
                    instance.event_log_storage.store_event(said(run_id, "a"))
            for shard in ("index", "first", "second"):
                file = tmp_path / name / "history" / "runs" / f"{shard}.db"
                with closing(sqlite3.connect(file)) as connection:
                    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
                    schemas[name, shard] = [
                        set(connection.execute("SELECT type, name, sql FROM sqlite_master")),
                        connection.execute("SELECT * FROM alembic_version").fetchall(),
                        set(connection.execute("SELECT name FROM secondary_indexes")),
                    ]
        for shard in ("index", "first", "second"):
            assert schemas["pooled", shard] == schemas["own", shard]
        assert sorted(p.name for p in (tmp_path / "pooled" / "history" / "runs").iterdir()) == [
            "first.db", "index.db", "second.db",
        ]  # fmt: skip

    def test_disposing_closes_everything_and_a_later_call_opens_again(self, storage, folder):
        storage.store_event(said("run", "a"))
        assert _open_files(folder)
        storage.dispose()
        assert _open_files(folder) == []
        assert texts(storage, "run") == ["a"]

    def test_a_storage_that_nobody_holds_any_more_leaves_nothing_open(self, folder):
        storage = PooledSqliteEventLogStorage(str(folder))
        storage.store_event(said("run", "a"))
        del storage
        gc.collect()
        assert _open_files(folder) == []

    @pytest.mark.parametrize(
        ("mode", "config", "synchronous"),
        [("WAL", {}, 1), ("WAL", {"synchronous": "FULL"}, 2), ("DELETE", {}, 2)],
    )
    def test_synchronous_is_lowered_only_with_a_write_ahead_log(self, folder, mode, config, synchronous):
        with logged.storage_in(folder, **config) as storage:
            storage.store_event(said("run", "a"))
            storage.dispose()
            with closing(sqlite3.connect(storage.path_for_shard("run"))) as connection:
                connection.execute(f"PRAGMA journal_mode = {mode}")
            with storage.run_connection("run") as connection:
                assert connection.execute(text("PRAGMA synchronous")).scalar() == synchronous

    def test_a_file_that_another_process_replaced_is_opened_anew(self, storage, folder):
        storage.store_event(said("run", "in the old file"))
        other = PooledSqliteEventLogStorage(str(folder))
        other.wipe()
        storage.store_event(said("run", "in the new file"))
        assert texts(storage, "run") == ["in the new file"]
        assert texts(other, "run") == ["in the new file"]
        other.dispose()

    def test_a_lock_that_another_process_holds_is_waited_for(self, folder, storage, monkeypatch):
        storage.store_event(said("run", "first"))
        holder = sqlite3.connect(storage.path_for_shard("run"), isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(storage.store_event, said("run", "second"))
            threading.Event().wait(0.2)
            assert not waiting.done()
            holder.execute("COMMIT")
            waiting.result(timeout=DEADLINE_SECONDS)
        holder.close()
        assert texts(storage, "run") == ["first", "second"]


class TestProcesses:
    def test_processes_that_open_a_new_folder_at_once_write_the_same_run_and_the_index(self, tmp_path):
        folder, count, processes = tmp_path / "new", 40, 2
        writers = [
            subprocess.Popen(
                [sys.executable, "-m", logged.__name__, str(folder), "shared", str(n * count), str(count)],
                stdout=subprocess.DEVNULL,
            )
            for n in range(processes)
        ]
        assert [writer.wait(timeout=DEADLINE_SECONDS) for writer in writers] == [0] * processes
        numbers = {str(n) for n in range(count * processes)}
        with logged.storage_in(folder) as storage:
            assert {said for said in texts(storage, "shared") if said} == numbers
            assert storage.get_materialized_partitions(ASSET) == numbers

    def test_what_was_stored_survives_a_kill_and_the_files_stay_sound(self, folder):
        writer = subprocess.Popen(
            [sys.executable, "-m", logged.__name__, str(folder), "run", "0", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        stored = [writer.stdout.readline().strip() for _ in range(100)]
        os.kill(writer.pid, signal.SIGKILL)
        stored += [
            line.strip() for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")
        ]
        assert writer.wait(timeout=DEADLINE_SECONDS) == -signal.SIGKILL
        writer.stdout.close()
        for name in ("run", "index"):
            with closing(sqlite3.connect(folder / f"{name}.db")) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with logged.storage_in(folder) as storage:
            assert stored[0] == "0"
            assert set(stored) <= set(texts(storage, "run"))
            assert set(stored) <= storage.get_materialized_partitions(ASSET)
            storage.store_event(said("run", "after"))
            assert texts(storage, "run")[-1] == "after"


class TestForks:
    def test_a_child_writes_on_connections_of_its_own(self, storage, folder):
        storage.store_event(materialized("run", "parent, before"))
        child = os.fork()
        if child == 0:
            _end_child(lambda: storage.store_event(materialized("run", "child")))
        assert _exit_code(child) == 0
        storage.store_event(materialized("run", "parent, after"))
        assert storage.get_materialized_partitions(ASSET) == {"parent, before", "child", "parent, after"}

    def test_a_child_inherits_no_open_file(self, storage, folder):
        storage.store_event(materialized("run", "a"))
        assert _open_files(folder)
        child = os.fork()
        if child == 0:
            os._exit(len(_open_files(folder)))
        assert _exit_code(child) == 0

    def test_a_child_forked_while_another_thread_writes_can_write_too(self, storage):
        storage.store_event(said("run", "before"))
        inside, go_on = threading.Event(), threading.Event()

        def write_slowly() -> None:
            with storage.run_connection("slow") as connection:
                connection.execute(text("SELECT 1"))
                inside.set()
                go_on.wait(DEADLINE_SECONDS)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write_slowly)
            assert inside.wait(DEADLINE_SECONDS)
            child = os.fork()
            if child == 0:
                _end_child(lambda: storage.store_event(said("slow", "child")))
            code = _exit_code(child)
            go_on.set()
            writing.result(timeout=DEADLINE_SECONDS)
        assert code == 0
        storage.store_event(said("slow", "parent"))
        assert texts(storage, "slow") == ["child", "parent"]


class TestSwitchingAndMigrating:
    def test_an_instance_is_switched_over_and_back(self, tmp_path):
        home = tmp_path / "home"
        said_so_far = []
        for number, kind in enumerate([None, POOLED, None, POOLED]):
            with instance_in(home, kind) as instance:
                storage = instance.event_log_storage
                assert isinstance(storage, PooledSqliteEventLogStorage) == (kind is not None)
                assert texts(storage, "run") == said_so_far
                storage.store_event(said("run", str(number)))
                storage.store_event(materialized("run", str(number)))
                said_so_far += [str(number), ""]
        with instance_in(home, POOLED) as instance:
            assert instance.event_log_storage.get_materialized_partitions(ASSET) == {"0", "1", "2", "3"}

    def test_the_packaged_instance_keeps_its_events_where_dagster_looks_for_them(self, tmp_path):
        home = tmp_path / "home"
        home.mkdir()
        shutil.copy(PACKAGED, home / "dagster.yaml")
        with dg.DagsterInstance.from_config(str(home)) as instance:
            assert type(instance.event_log_storage) is PooledSqliteEventLogStorage
            instance.event_log_storage.store_event(said("run", "a"))
            again = dg.DagsterInstance.from_ref(instance.get_ref())  # as a run worker opens it
            assert texts(again.event_log_storage, "run") == ["a"]
            again.dispose()
        assert (home / "history" / "runs" / "run.db").exists()
        with instance_in(home, None) as instance:
            assert texts(instance.event_log_storage, "run") == ["a"]

    def test_migrating_brings_old_files_to_the_newest_revision(self, tmp_path):
        home = tmp_path / "home"
        with instance_in(home, None) as instance:
            instance.event_log_storage.store_event(said("run", "old"))
            newest = instance.event_log_storage.alembic_version()
        runs = home / "history" / "runs"
        for shard in ("index", "run"):
            engine = create_engine(f"sqlite:///{runs / shard}.db", poolclass=NullPool)
            with engine.begin() as connection:
                run_alembic_downgrade(get_alembic_config(sqlite_event_log.__file__), connection, "-1")
        with instance_in(home, POOLED) as instance:
            storage = instance.event_log_storage
            assert storage.alembic_version()[0] != newest[0]
            assert texts(storage, "run") == ["old"]
            instance.upgrade()
            assert storage.alembic_version() == newest
            for shard in ("index", "run"):
                with closing(sqlite3.connect(runs / f"{shard}.db")) as connection:
                    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
                        (newest[1],)
                    ]
            storage.store_event(materialized("run", "new"))
            assert storage.get_materialized_partitions(ASSET) == {"new"}

    @pytest.mark.parametrize(
        "config", [{"synchronous": "OFF"}, {"max_open_runs": "many"}, {"unknown": 1}], ids=str
    )
    def test_a_config_that_makes_no_sense_is_refused(self, tmp_path, config):
        with pytest.raises(dg.DagsterInvalidConfigError), instance_in(tmp_path, {**POOLED, "config": config}):
            raise AssertionError("it was taken")

    def test_a_whole_run_is_recorded_alike(self, tmp_path):
        seen = {}
        for name, kind in (("own", None), ("pooled", POOLED)):
            with instance_in(tmp_path / name, kind) as instance:
                result = dg.materialize([_partitioned], instance=instance, partition_key="b")
                assert result.success
                storage = instance.event_log_storage
                assert storage.get_materialized_partitions(_partitioned.key) == {"b"}
                stats = storage.get_stats_for_run(result.run_id)
                seen[name] = [
                    (e.dagster_event.event_type_value if e.dagster_event else e.user_message)
                    for e in storage.get_logs_for_run(result.run_id)
                ]
                assert (stats.steps_succeeded, stats.materializations) == (1, 1)
        assert seen["own"] == seen["pooled"]
        assert "ASSET_MATERIALIZATION" in seen["pooled"]


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def _partitioned() -> None:
    pass


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition(["a", "b"]), backfill_policy=dg.BackfillPolicy.single_run()
)
def _ranged() -> None:
    pass


def _contents(file: Path) -> dict[str, list[tuple]]:
    """Return every table's rows, but for the time at which a row was made."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        held = {}
        for table in tables:
            columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
            kept = ", ".join(
                f'"{c}"' for c in columns if c not in ("create_timestamp", "migration_completed")
            )
            held[table] = connection.execute(f"SELECT {kept} FROM {table} ORDER BY 1").fetchall()
        return held


def _open_shards(storage) -> list[str]:
    """Return the shards with an open connection, least recently used first."""
    return [name for name, shard in storage._shards._shards.items() if shard.engine is not None]


def _open_files(folder: Path) -> list[str]:
    """Return the files of a folder that this process has open."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith(f"{folder}/"):
            targets.append(target)
    return targets


def _end_child(work: Callable[[], None]) -> None:
    """Do a forked child's work and end it, without the parent's clean-up."""
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def _exit_code(child: int) -> int:
    """Wait for a forked child; kill it when it takes too long."""
    found: list[int] = []

    def ended() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            found.append(os.waitstatus_to_exitcode(status))
        return bool(pid)

    try:
        until(ended, "a forked child")
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        raise
    return found[0]

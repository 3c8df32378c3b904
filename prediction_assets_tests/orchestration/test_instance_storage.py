"""The storages of runs and ticks: they answer like Dagster's own, and their open connections do no harm."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from prediction_assets.orchestration.instance_storage import KeptRunStorage, KeptScheduleStorage

KEPT = {
    kind: {
        "module": "prediction_assets.orchestration.instance_storage",
        "class": f"Kept{kind.title()}Storage",
    }
    for kind in ("run", "schedule")
}


def instance_in(folder: Path, *, kept: bool) -> dg.DagsterInstance:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"telemetry": {"enabled": False}}
    if kept:
        config |= {f"{kind}_storage": storage for kind, storage in KEPT.items()}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return dg.DagsterInstance.from_config(str(folder))


@pytest.fixture(scope="module")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("instance") / "home"
    with instance_in(home, kept=True) as instance:
        assert isinstance(instance.run_storage, KeptRunStorage)
        assert isinstance(instance.schedule_storage, KeptScheduleStorage)
    return home


@pytest.fixture
def home(new_home: Path, tmp_path: Path) -> Path:
    return shutil.copytree(new_home, tmp_path / "home")


@pytest.fixture
def kept(home: Path) -> Iterator[dg.DagsterInstance]:
    with instance_in(home, kept=True) as instance:
        yield instance


def runs(instance: dg.DagsterInstance) -> list[str]:
    return sorted(run.job_name for run in instance.get_runs())


def test_an_instance_switches_over_and_back(home):
    for number, kept in enumerate((False, True, False)):
        with instance_in(home, kept=kept) as instance:
            create_run_for_test(instance, job_name=f"job_{number}", tags={"number": str(number)})
            assert runs(instance) == [f"job_{n}" for n in range(number + 1)]
            assert [r.job_name for r in instance.get_runs(dg.RunsFilter(tags={"number": "0"}))] == ["job_0"]


@pytest.mark.parametrize("database", ["history/runs.db", "schedules/schedules.db"])
def test_a_new_file_is_what_dagster_makes(new_home, tmp_path, database):
    with instance_in(tmp_path / "own", kept=False):
        pass

    def contents(home: Path) -> list[str]:
        with closing(sqlite3.connect(home / database)) as connection:
            return [line for line in connection.iterdump() if "secondary_indexes" not in line]

    assert contents(new_home) == contents(tmp_path / "own")


@pytest.mark.parametrize("kind", ["run_storage", "schedule_storage"])
def test_a_call_within_a_call_and_beside_one_has_a_connection_of_its_own(kept, kind):
    storage = getattr(kept, kind)
    count = text("SELECT COUNT(*) FROM alembic_version")
    with storage.connect() as outer, storage.connect() as inner, ThreadPoolExecutor(1) as pool:
        assert inner is not outer
        assert inner.execute(count).scalar() == outer.execute(count).scalar() == 1

        def beside() -> object:
            with storage.connect() as connection:
                return connection.execute(count).scalar()

        assert pool.submit(beside).result(timeout=60) == 1


def test_statements_of_a_call_that_failed_are_rolled_back(kept):
    def fail() -> None:
        with kept.run_storage.connect() as connection:
            for statement in ("DELETE FROM runs", "DELETE FROM no_table"):
                connection.execute(text(statement))

    create_run_for_test(kept, job_name="before")
    with pytest.raises(OperationalError):
        fail()
    assert runs(kept) == ["before"]
    create_run_for_test(kept, job_name="after")
    assert runs(kept) == ["after", "before"]


def test_many_threads_write_runs_at_once(kept):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: create_run_for_test(kept, job_name=f"job_{n:02}"), range(40)))
    assert runs(kept) == [f"job_{n:02}" for n in range(40)]


@pytest.mark.parametrize("is_in_use", [False, True])
def test_a_forked_child_and_its_parent_write_runs_each_on_connections_of_its_own(kept, is_in_use):
    create_run_for_test(kept, job_name="before")

    def write(name: str) -> int:
        child = os.fork()
        if child == 0:
            try:
                create_run_for_test(kept, job_name=name)
                os._exit(0)
            finally:
                os._exit(1)
        return child

    if is_in_use:
        with kept.run_storage.connect() as connection:
            connection.execute(text("SELECT 1"))
            child = write("child")
    else:
        child = write("child")
    create_run_for_test(kept, job_name="parent")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    create_run_for_test(kept, job_name="parent_again")
    assert runs(kept) == ["before", "child", "parent", "parent_again"]


def test_a_file_that_was_replaced_is_opened_again(kept, home, new_home):
    create_run_for_test(kept, job_name="lost")
    for name in ("runs.db", "runs.db-wal", "runs.db-shm"):
        (home / "history" / name).unlink(missing_ok=True)
    shutil.copy(new_home / "history" / "runs.db", home / "history" / "aside.db")
    (home / "history" / "aside.db").rename(home / "history" / "runs.db")
    create_run_for_test(kept, job_name="new")
    assert runs(kept) == ["new"]


def test_a_folder_that_was_deleted_is_made_by_the_next_opening_alone(kept, home):
    assert runs(kept) == []
    shutil.rmtree(home / "history")
    for _ in range(2):
        with pytest.raises(OperationalError, match="unable to open database file"):
            runs(kept)
    assert not (home / "history" / "runs.db").exists()
    with instance_in(home, kept=True) as instance:
        create_run_for_test(instance, job_name="new")
        assert runs(kept) == ["new"]


@pytest.mark.parametrize("kind", ["run_storage", "schedule_storage"])
def test_a_disposed_storage_leaves_no_open_file(kept, home, kind):
    storage = getattr(kept, kind)
    with storage.connect() as connection:
        connection.execute(text("SELECT 1 FROM alembic_version"))
    storage.dispose()
    assert list(home.rglob(f"{storage._database}.db-wal")) == []


@pytest.mark.parametrize("database", ["history/runs.db", "schedules/schedules.db"])
def test_a_file_that_was_left_without_a_revision_is_completed(home, database):
    with closing(sqlite3.connect(home / database)) as connection:
        connection.execute("DELETE FROM alembic_version")
        connection.commit()
    with instance_in(home, kept=True) as instance:
        create_run_for_test(instance, job_name="job")
        assert runs(instance) == ["job"]
        assert all(instance.schedule_storage.alembic_version())


def test_both_files_are_migrated_as_dagster_migrates_them(kept):
    kept.upgrade()
    for storage in (kept.run_storage, kept.schedule_storage):
        have, newest = storage.alembic_version()
        assert have == newest
        assert have is not None
    create_run_for_test(kept, job_name="after")
    assert runs(kept) == ["after"]


def test_a_power_failure_loses_no_run_that_was_stored(kept):
    with kept.run_storage.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL, Dagster's own


def test_another_folder_can_be_named(tmp_path):
    storage = KeptRunStorage.from_config_value(None, {"base_dir": str(tmp_path)})
    with storage.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM runs")).scalar() == 0
    assert (tmp_path / "runs.db").exists()

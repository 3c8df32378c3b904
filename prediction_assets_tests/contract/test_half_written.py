"""SQLite files whose writer was killed: who looks next rolls back what is half-written."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from prediction_assets.errors import StateUnreadable
from prediction_assets.orchestration.instance import _broken_databases
from prediction_assets.stores.local.state_file import StateFile, opened_to_look, quick_check


def left_half_written(path: Path) -> None:
    """Make a file whose writer was killed before it switched the file to WAL: the journal is as long as its pages."""
    made = path.with_name("made.sqlite")
    with closing(sqlite3.connect(made, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE kept (text TEXT)")
        writer.execute("INSERT INTO kept VALUES ('before')")
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN IMMEDIATE")
        writer.executemany("INSERT INTO kept VALUES (?)", [("x" * 1_000,)] * 500)
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{made}{suffix}", f"{path}{suffix}")
    made.unlink()


def test_a_file_with_a_journal_is_rolled_back_and_read(tmp_path):
    left_half_written(tmp_path / "some.sqlite")
    with opened_to_look(tmp_path / "some.sqlite") as connection:
        assert connection.execute("SELECT text FROM kept").fetchall() == [("before",)]
    assert [file.name for file in tmp_path.iterdir()] == ["some.sqlite"]


def test_a_state_file_with_a_journal_is_opened(tmp_path):
    left_half_written(tmp_path / "state.sqlite")
    assert StateFile(tmp_path / "state.sqlite").schema().found is None
    left_half_written(tmp_path / "other.sqlite")
    assert quick_check(tmp_path / "other.sqlite") != "attempt to write a readonly database"


@pytest.mark.parametrize("name", ["runs.db", "index.db", "schedules.db"])
def test_a_database_of_dagster_with_a_journal_is_not_broken(tmp_path, name):
    left_half_written(tmp_path / name)
    assert [*_broken_databases(tmp_path)] == []


def test_a_file_that_is_looked_into_is_not_made_and_a_damaged_one_is_named(tmp_path):
    with (
        pytest.raises(sqlite3.OperationalError, match="unable to open"),
        opened_to_look(tmp_path / "none.sqlite"),
    ):
        pass
    assert not [*tmp_path.iterdir()]
    (tmp_path / "state.sqlite").write_bytes(b"not a database, and longer than a header" * 9)
    with pytest.raises(StateUnreadable, match="not a database"):
        StateFile(tmp_path / "state.sqlite").schema()

"""The embedded profile's state file: one SQLite file, and the one way to open it.

It holds batch state, outbox, dead letters and alerts. Each operation opens its own connection and commits one
transaction, so threads and processes share nothing and a killed one leaves nothing half-written. WAL keeps readers
and the writer from blocking each other. ``synchronous=FULL`` makes each commit survive a power failure: a claim or a
delivery that others saw must not be forgotten.
"""

from __future__ import annotations

import random
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prediction_assets.errors import SchemaTooNew, StateUnreadable
from prediction_assets.stores.local.state_schema import STEPS
from prediction_assets.stores.versions import StoreSchema, require_known

_BUSY_TIMEOUT_SECONDS = 60.0
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What SQLite raises of a damaged file; its own message about a damaged schema may be no text."""
_CHECK_SECONDS = 2.0
_STEPS_BETWEEN_LOOKS = 10_000
_NO_ANSWER = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN)
"""Errors that say nothing about the file's pages."""
_COPIED = re.compile(r"json_array\([^)]*\)")
COPIED_TABLES = ("batches", "expected_players", "outcomes", "outbox", "dead_letters", "alerts")
_ADDED = re.compile(r"CREATE (?:TABLE|INDEX) (\w+)|ALTER TABLE (\w+) ADD COLUMN (\w+)")


def connect(path: Path) -> sqlite3.Connection:
    """Open a state file and add what its schema lacks; autocommit until a transaction begins.

    Raises:
        StateUnreadable: not a database, damaged, or not permitted.
    """
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except (SchemaTooNew, *_DAMAGED, OSError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, SchemaTooNew):
            raise
        raise StateUnreadable(
            f"{path}: {error}; nothing was changed. Check that the disk has room and that this user may write "
            "there, or restore the file from a backup"
        ) from error
    return connection


def moment_text(moment: datetime) -> str:
    """Return a moment as the state file stores it: UTC with microseconds, so that texts sort as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # When processes open a new file at the same moment, SQLite ignores the busy timeout and fails at once.
    deadline = time.monotonic() + _BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.001, 0.02))  # noqa: S311
        else:
            return


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Run one write transaction on a state file."""
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except _DAMAGED as error:
        raise StateUnreadable(
            f"{path}: {error}; this step was rolled back, run it again. If the file is damaged, restore it from a "
            "backup"
        ) from error
    finally:
        connection.close()


def refuse_damage(connection: sqlite3.Connection, tables: Sequence[str], slate: str | None = None) -> None:
    """Compare a slate's rows, or all, with their copies.

    Raises:
        sqlite3.DatabaseError: a row isn't what was written.
    """
    for table in tables:
        declared = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
        ).fetchone()
        copied = _COPIED.search(declared["sql"] if declared else "")
        if copied is None:
            raise sqlite3.DatabaseError(f"table {table} is damaged")
        where = "slate = :slate AND" if slate is not None else ""
        damaged = connection.execute(
            f"SELECT 1 FROM {table} WHERE {where} copy IS NOT {copied[0]} LIMIT 1",  # noqa: S608  our own text
            {"slate": slate},
        ).fetchone()
        if damaged:
            raise sqlite3.DatabaseError(f"a row of {table} is damaged")


@contextmanager
def opened_to_look(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a SQLite file to read it, and change nothing but what a killed process left half-written: it is rolled back.

    A new file has a journal until it is switched to WAL, and only a connection that may write can roll it back.
    """
    for mode in ("ro", "rw"):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True)) as connection:
            try:
                connection.execute("PRAGMA user_version").fetchone()
            except sqlite3.OperationalError as error:
                if mode == "rw" or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                    raise
                continue
            yield connection
            return


def quick_check(path: Path) -> str:
    """Return the first fault that SQLite finds in a state file's pages, ``""`` if none is found in two seconds."""
    if not path.exists():
        return ""
    deadline = time.monotonic() + _CHECK_SECONDS
    try:
        with opened_to_look(path) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            if found == "ok":
                connection.row_factory = sqlite3.Row
                refuse_damage(connection, COPIED_TABLES)
    except sqlite3.OperationalError as error:
        return "" if error.sqlite_errorcode in _NO_ANSWER else str(error)
    except _DAMAGED as error:
        return str(error)
    return "" if found == "ok" else " ".join(found.split())


class StateFile:
    """The state file as a :class:`~prediction_assets.stores.versions.VersionedStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def schema(self) -> StoreSchema:
        if not self._path.exists():
            return StoreSchema(str(self._path), None, len(STEPS), is_there=False)
        try:
            with opened_to_look(self._path) as connection:
                version = _version(connection)
        except _DAMAGED as error:
            raise StateUnreadable(
                f"{self._path}: {error}; nothing was changed. Restore it from a backup"
            ) from error
        require_known(str(self._path), version, len(STEPS))
        added = _ADDED.findall(" ".join(statement for step in STEPS[version:] for statement in step))
        changes = tuple(f"add {created or f'{table}.{column}'}" for created, table, column in added)
        return StoreSchema(str(self._path), version or None, len(STEPS), changes)

    def migrate(self) -> StoreSchema:
        found = self.schema()
        if found.is_there:
            connect(self._path).close()
        return found


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Take the steps that the file lacks, in one transaction: a process killed here leaves the file as it was."""
    version = _version(connection)
    require_known(str(path), version, len(STEPS))
    if version == len(STEPS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again behind the lock: another process, also of a newer version, may have migrated in between.
        version = _version(connection)
        require_known(str(path), version, len(STEPS))
        for step in STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS):d}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")

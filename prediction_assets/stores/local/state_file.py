"""The embedded profile's state file: SQLite, opened the one safe way.

WAL, so that readers and a writer don't block each other; a busy timeout, so that writers queue; short
transactions on connections of their own, so that threads and processes share nothing. Opening it brings its
schema up to date first; see :mod:`prediction_assets.stores.local.state_schema`.
"""

from __future__ import annotations

import random
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prediction_assets.errors import SchemaTooNew, StateUnreadable
from prediction_assets.stores.local.state_schema import STATE_SCHEMA_VERSION, STEPS
from prediction_assets.stores.versions import StoreSchema, require_known

_BUSY_TIMEOUT_SECONDS = 60.0
_CREATED = re.compile(r"CREATE (?:TABLE|INDEX) IF NOT EXISTS (\w+)")


def connect(path: Path) -> sqlite3.Connection:
    """Open a state file and bring its schema up to date; autocommit until a transaction is begun.

    Raises:
        SchemaTooNew: a later version migrated it.
        StateUnreadable: not a database, damaged, or not permitted.
    """
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except (SchemaTooNew, sqlite3.DatabaseError, OSError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, SchemaTooNew):
            raise
        raise StateUnreadable(
            f"{path}: {error}; nothing was changed. See that the disk has room and this user may write there, "
            "or restore the file from a backup"
        ) from error
    return connection


def moment_text(moment: datetime) -> str:
    """Return a moment as the state file keeps it: UTC with microseconds, so that texts sort as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # Processes that open a new file at the same moment are told "locked" at once, whatever the busy timeout.
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
    """Run one write transaction on a state file.

    Raises:
        SchemaTooNew: a later version migrated it.
        StateUnreadable: not a database, damaged, or not permitted.
    """
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise StateUnreadable(f"{path}: {error}; this step was rolled back, run it again") from error
    finally:
        connection.close()


class StateFile:
    """The state file as a :class:`~prediction_assets.stores.versions.VersionedStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def schema(self) -> StoreSchema:
        """Look at the file's version and tables, and change nothing.

        Raises:
            StateUnreadable: not a database, damaged, or not permitted.
        """
        if not self._path.exists():
            return StoreSchema(str(self._path), None, STATE_SCHEMA_VERSION, is_there=False)
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as connection:
                version = _version(connection)
                names = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        except sqlite3.DatabaseError as error:
            raise StateUnreadable(
                f"{self._path}: {error}; nothing was changed. Restore it from a backup"
            ) from error
        require_known(str(self._path), version, STATE_SCHEMA_VERSION)
        created = [name for step in STEPS[version:] for name in _CREATED.findall(" ".join(step))]
        changes = tuple(f"add {name}" for name in created if name not in names)
        return StoreSchema(str(self._path), version or None, STATE_SCHEMA_VERSION, changes)

    def migrate(self) -> StoreSchema:
        """Take the steps that the file hasn't seen, all or none of them."""
        found = self.schema()
        if found.is_there:
            connect(self._path).close()
        return found


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Take the steps that the file hasn't seen, in one transaction; killed in it, the file is as it was."""
    version = _version(connection)
    require_known(str(path), version, STATE_SCHEMA_VERSION)
    if version == STATE_SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # another process may have been first, also one of a later version
        require_known(str(path), version, STATE_SCHEMA_VERSION)
        for step in STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {STATE_SCHEMA_VERSION:d}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")

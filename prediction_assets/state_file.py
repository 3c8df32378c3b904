"""The embedded profile's state file: SQLite, opened the one safe way.

WAL, so that readers and a writer don't block each other; a busy timeout, so that writers queue; short
transactions on connections of their own, so that threads and processes share nothing. Batch state and the
outbox both live in it; each brings its own tables.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prediction_assets.errors import PredictionAssetsError

_BUSY_TIMEOUT_SECONDS = 60.0


class StateUnreadable(PredictionAssetsError):
    """The state store can't be opened or is damaged; nothing was changed."""


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """Open a state file and create its tables; autocommit until a transaction is begun.

    Raises:
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
        connection.executescript(schema)
    except (sqlite3.DatabaseError, OSError) as error:
        if connection is not None:
            connection.close()
        raise StateUnreadable(
            f"{path}: {error}; nothing was changed. See that the disk has room and this user may write there, "
            "or restore the file from a backup"
        ) from error
    return connection


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
def transaction(path: Path, schema: str) -> Iterator[sqlite3.Connection]:
    """Run one write transaction on a state file.

    Raises:
        StateUnreadable: not a database, damaged, or not permitted.
    """
    connection = connect(path, schema)
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

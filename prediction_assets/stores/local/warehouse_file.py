"""A DuckDB file, attached to an engine of this process for the time of one operation.

Starting an engine costs some twenty times what attaching a file costs, so one is kept, for the file that was used
last. Between operations nothing is attached: another process may write the file.
"""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path

import duckdb

_NAME = "warehouse"
"""The attached file's name in statements."""


class Engine:
    """A DuckDB engine without a database of its own."""

    def __init__(self, file: Path) -> None:
        self._file = file
        # Without its background threads DuckDB keeps the memory of the largest query as long as the process lives.
        self._root = duckdb.connect(
            config={"temp_directory": f"{file}.tmp", "allocator_background_threads": True}
        )
        self._turn = threading.Lock()
        self._sessions = 0

    def attach(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Return a connection to the file; sessions of several threads, which only read, share it.

        Raises:
            duckdb.Error: the file can't be opened, or another program holds it.
        """
        with self._turn:
            if not self._sessions:
                quoted = str(self._file).replace("'", "''")
                self._root.execute(f"ATTACH '{quoted}' AS {_NAME}{' (READ_ONLY)' if read_only else ''}")
            self._sessions += 1
        connection = self._root.cursor()
        try:
            # DuckDB writes a progress bar to standard output, amid a command's own, after 2 seconds.
            connection.execute(f"USE {_NAME}; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        except BaseException:
            self.detach(connection)
            raise
        return connection

    def detach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """End a session; what it didn't commit is rolled back."""
        connection.close()
        with self._turn:
            self._sessions -= 1
            if self._sessions:
                return
            try:
                self._root.execute(f"DETACH {_NAME}")
            except duckdb.Error:  # it failed an assertion of its own: it closes the file with itself
                self._root.close()
                _engine_of.cache_clear()


def engine_of(file: Path) -> Engine:
    """Return this process's engine for a file."""
    return _engine_of(file, os.getpid())


@lru_cache(maxsize=1)
def _engine_of(file: Path, _process: int) -> Engine:
    return Engine(file)  # a forked process can't use its parent's

"""A pool of connections to SQLite files: one for each file, a bounded number open, none carried over a fork.

SQLite's rules shape it. A child process must not use or close its parent's connection
(https://www.sqlite.org/howtocorrupt.html, 2.6). A file that was deleted under an open connection still accepts writes,
which are lost. ``synchronous = NORMAL`` keeps a file consistent only in WAL mode
(https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool


@dataclass
class _Shard:
    """One file. Its lock is held while its connection is used; the pool's lock guards the count of users."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    engine: Engine | None = None
    opened: tuple[int, int] | None = None  # device and inode of the file that the engine has open

    def close(self) -> None:
        engine, self.engine, self.opened = self.engine, None, None
        if engine is not None:
            engine.dispose()


class ShardPool:
    """Lends the connection of a file to one thread at a time.

    Args:
        max_open: how many unused files stay open.
        pinned: shards that always stay open and don't count.
        synchronous: SQLite's ``synchronous`` for files in WAL mode, ``NORMAL`` or ``FULL``.
        timeout_seconds: longest wait of a statement for another process that holds the file.
    """

    def __init__(
        self,
        *,
        max_open: int,
        pinned: frozenset[str] = frozenset(),
        synchronous: str = "NORMAL",
        timeout_seconds: float = 30.0,
    ) -> None:
        self._max_open = max_open
        self._pinned = pinned
        self._synchronous = synchronous
        self._timeout_seconds = timeout_seconds
        self._lock = threading.RLock()
        self._shards: OrderedDict[str, _Shard] = OrderedDict()  # least recently used first
        with _pools_lock:
            _pools.add(self)

    @contextmanager
    def transaction(self, name: str, path: Path, initialize: Callable[[Path], None]) -> Iterator[Connection]:
        """Lend a connection with a transaction begun: committed at the end, rolled back on an exception.

        Args:
            initialize: creates the file and its tables unless they exist; called before the file is opened.

        A connection is closed after an exception.
        """
        with self._borrowed(name, path) as shard:
            try:
                engine = self._engine(shard, initialize)
                with engine.connect() as connection:
                    dbapi = connection.connection.dbapi_connection
                    before = _total_changes(dbapi)
                    with connection.begin():
                        yield connection
                    changed = _total_changes(dbapi) != before
                # A write-ahead log leaves the file's time as it was, and Dagster watches that time.
                if changed:
                    _touch(shard.path)
            except BaseException:
                shard.close()
                raise

    def close(self) -> None:
        """Close every unused connection; it is opened again when it is needed."""
        with self._lock:
            idle = [name for name, shard in self._shards.items() if not shard.users]
            for name in idle:
                self._shards.pop(name).close()

    def discard(self, name: str) -> None:
        """Close a shard's connection unless it is in use."""
        with self._lock:
            shard = self._shards.get(name)
            if shard is not None and not shard.users:
                self._shards.pop(name).close()

    @contextmanager
    def _borrowed(self, name: str, path: Path) -> Iterator[_Shard]:
        with self._lock:
            shard = self._shards.get(name)
            if shard is None:
                shard = self._shards[name] = _Shard(path)
            self._shards.move_to_end(name)
            shard.users += 1
        try:
            with shard.lock:
                yield shard
        finally:
            with self._lock:
                shard.users -= 1
                spare = self._spare()
            for each in spare:
                each.close()

    def _spare(self) -> list[_Shard]:
        """Remove and return the unused shards beyond the limit, least recently used first."""
        bounded = [name for name in self._shards if name not in self._pinned]
        excess = len(bounded) - self._max_open
        idle = [name for name in bounded if not self._shards[name].users][: max(excess, 0)]
        return [self._shards.pop(name) for name in idle]

    def _engine(self, shard: _Shard, initialize: Callable[[Path], None]) -> Engine:
        """Return the engine with the file's one connection; a new one if the file was replaced."""
        if shard.engine is None or shard.opened != _identity(shard.path):
            shard.close()
            initialize(shard.path)
            engine = create_engine(
                f"sqlite:///{shard.path}",
                poolclass=QueuePool,
                pool_size=1,
                max_overflow=0,
                connect_args={"timeout": self._timeout_seconds, "check_same_thread": False},
            )
            event.listen(engine, "connect", self._set_up)
            shard.engine, shard.opened = engine, _identity(shard.path)
        return shard.engine

    def _set_up(self, connection: sqlite3.Connection, _record: object) -> None:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal":  # in other modes only SQLite's default, FULL, protects the file
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")

    def _before_fork(self) -> None:
        """Close all connections that the child would inherit, except those in use at this moment."""
        self._lock.acquire()
        self.close()

    def _after_fork_in_parent(self) -> None:
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        _inherited.extend(self._shards.values())
        self._lock = threading.RLock()
        self._shards = OrderedDict()


_pools: weakref.WeakSet[ShardPool] = weakref.WeakSet()
_pools_lock = threading.Lock()
_at_fork: list[ShardPool] = []
_inherited: list[_Shard] = []
"""Connections that the parent was using when it forked this process: referenced here so that they are never closed."""


def _before_fork() -> None:
    _pools_lock.acquire()
    _at_fork[:] = list(_pools)
    for pool in _at_fork:
        pool._before_fork()


def _after_fork_in_parent() -> None:
    for pool in _at_fork:
        pool._after_fork_in_parent()
    _at_fork.clear()
    _pools_lock.release()


def _after_fork_in_child() -> None:
    global _pools_lock
    for pool in _at_fork:
        pool._after_fork_in_child()
    _at_fork.clear()
    _pools_lock = threading.Lock()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except FileNotFoundError:  # deleted since the commit, as a wipe does
        return


def _total_changes(connection: Any) -> int:
    return int(connection.total_changes)

"""A lock between processes; the kernel releases it when its holder dies.

While one process writes a DuckDB file, DuckDB refuses every other one, readers too. Behind this lock the others wait
instead, for a limited time.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prediction_assets.errors import WarehouseBusy

_POLL_SECONDS = 0.02


@contextmanager
def locked(path: Path, *, exclusive: bool, timeout_seconds: float) -> Iterator[None]:
    """Hold ``flock`` on a file, shared with other readers unless exclusive."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise WarehouseBusy(
                        f"{path}: another process has held this lock for {timeout_seconds:g} s; "
                        "find it with `fuser`, wait for it to end or stop it, and run this again"
                    ) from None
                time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)  # releases the lock


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Create a file and hold a lock on its descriptor, so that it isn't taken for what a killed process left."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still_there(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def remove_if_left_behind(path: Path) -> bool:
    """Remove a file that no process holds and return whether that was done."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_still_there(descriptor, path):
            return False
        path.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_still_there(descriptor: int, path: Path) -> bool:
    """Return whether the path is still the open file's: another process may have removed or renamed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

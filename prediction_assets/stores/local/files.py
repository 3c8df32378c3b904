"""Files that are replaced as a whole, and survive a power failure once anything refers to them.

A file is written aside, under a name that readers skip, and synchronized; then it is renamed; then its folder is
synchronized. In another order, a power failure can leave an empty file under the final name, or none.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from prediction_assets.stores.local.locks import held

Content = bytes | memoryview | Callable[[IO[bytes]], None]
"""What a file will hold, or what writes it into the open file: a large one isn't in memory as a whole then."""


@contextmanager
def written_aside(path: Path, content: Content) -> Iterator[Path]:
    """Yield a synchronized file beside its destination; it is held until it is renamed, and removed if it isn't."""
    make_folder(path.parent)
    aside = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}"
    with held(aside) as descriptor:
        try:
            with open(descriptor, "wb", closefd=False) as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
            os.fsync(descriptor)
            yield aside
        finally:
            aside.unlink(missing_ok=True)


def replace_file(path: Path, content: Content) -> None:
    """Replace a file as a whole; it is durable when this returns."""
    with written_aside(path, content) as aside:
        aside.replace(path)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Create a folder, with those above it, so that a power failure leaves none of them without an entry."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: what was renamed into it, and what was created in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

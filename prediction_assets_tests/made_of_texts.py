"""A memory of what is made of texts alone and takes long: translations, analyses. `make clean` forgets it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import pickle
import re
import sqlite3
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parents[1] / ".pytest_cache"
KEPT = 1500
"""Results that a process keeps; the file keeps all."""

_NAMES = re.compile(r"(?<=test-)[0-9a-f]{12,20}|[0-9a-f]{20,64}|(?<=_)[0-9a-f]{16}(?![0-9a-z])")
"""Names by chance: of a test's project, of parts and tables, and hashes."""
_STAND_INS = re.compile(r"any(\d+)name")


class Made:
    """What was made of texts: in this process, and in a file that all processes on this checkout share.

    Args:
        name: of the folder with the file.
        packages: what makes it; another version of one, or of the source, begins another file.
        source: the file of the code that makes it.
        errors: what a text may lead to; an error isn't remembered.
    """

    def __init__(
        self, name: str, packages: Iterable[str], source: str, errors: tuple[type[Exception], ...] = ()
    ) -> None:
        self._errors = errors
        self._here: OrderedDict[str, Any] = OrderedDict()
        self._file: sqlite3.Connection | None = None
        versions = [importlib.metadata.version(package) for package in packages]
        code = hashlib.sha256(" ".join([*versions, sys.version]).encode())
        for file in (source, __file__):
            code.update(Path(file).read_bytes())
        with suppress(OSError, sqlite3.OperationalError):  # a checkout that can't be written to: only here
            folder = _FOLDER / name
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{code.hexdigest()[:20]}.sqlite"
            self._file = sqlite3.connect(file, timeout=60, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = OFF")
            self._file.execute("CREATE TABLE IF NOT EXISTS made (key TEXT PRIMARY KEY, value BLOB)")

    def once(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with a memory; texts that differ only in names by chance count as one."""

        def made_once(*texts: str) -> Any:
            names = list(dict.fromkeys(name for text in texts for name in _NAMES.findall(text)))
            stand_ins = {name: f"any{place}name" for place, name in enumerate(names)}
            bare = [_NAMES.sub(lambda found: stand_ins[found[0]], text) for text in texts]
            try:
                return _with_names(self.of([make.__qualname__, *bare], lambda: make(*bare)), names)
            except self._errors:  # the same, with the names in it
                return make(*texts)

        return made_once

    def of(self, texts: Sequence[str], make: Callable[[], Any]) -> Any:
        """Return what was made of these texts, or make it."""
        key = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        if key not in self._here:
            self._here[key] = self._stored(key, make)
            if len(self._here) > KEPT:
                self._here.popitem(last=False)
        self._here.move_to_end(key)
        return self._here[key]

    def _stored(self, key: str, make: Callable[[], Any]) -> Any:
        if self._file is None:
            return make()
        found = self._file.execute("SELECT value FROM made WHERE key = ?", (key,)).fetchone()
        if found:
            return pickle.loads(found[0])
        value = make()
        self._file.execute("INSERT OR REPLACE INTO made VALUES (?, ?)", (key, pickle.dumps(value)))
        return value


def _with_names(value: Any, names: Sequence[str]) -> Any:
    """Return what was made of a text, with its names in place of their stand-ins."""
    if not names:
        return value
    if isinstance(value, str):
        return _STAND_INS.sub(lambda found: names[int(found[1])], value)
    if isinstance(value, list | tuple):
        return type(value)(_with_names(each, names) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: _with_names(getattr(value, f.name), names) for f in fields(value)})
    return value

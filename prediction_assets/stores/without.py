"""Keep libraries from importing others that they would use if they are there, and that nothing here needs.

pandas' 300 modules take as long as all the rest of a command that reads. pyarrow looks for it at the first array from
Python's values and at the first time with a zone, scikit-learn when it is imported, in case the values are pandas' own;
ours never are. Dagster's packages install pandas, so it is always found.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


@cache
def keep_pandas_out() -> None:
    """Let pyarrow look for pandas now, and find none; it remembers that as long as the process lives.

    ``to_pandas()`` looks again, and so does every other import of pandas. Nothing happens where pandas was imported
    before.
    """
    if "pandas" not in sys.modules:
        with without("pandas"):
            pa.array([0])  # of no given type, so that both its Cython and its C++ part look


@contextmanager
def without(package: str) -> Iterator[None]:
    """Let imports not find a package; one that was imported before stays."""
    finder = _Without(package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Without(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Answer as if it weren't installed: https://docs.python.org/3/reference/import.html#the-meta-path."""
        if name == self._package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

"""Keep libraries from importing pandas, whose 300 modules take as long as all the rest of a command that reads.

pyarrow looks for pandas at the first array from Python's values and at the first time with a zone, scikit-learn when it
is imported, in case the values are pandas' own; ours never are. Dagster's packages install pandas, so it is always
found.
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
        with without_pandas():
            pa.array([0])  # of no given type, so that both its Cython and its C++ part look


@contextmanager
def without_pandas() -> Iterator[None]:
    """Let imports find no pandas; one that was imported before stays."""
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Answer as if pandas weren't installed: https://docs.python.org/3/reference/import.html#the-meta-path."""
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name=name)

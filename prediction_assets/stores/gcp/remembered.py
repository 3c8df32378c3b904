"""What this process has read from Firestore and needn't read again while it is unchanged: each document is billed.

Dagster opens the stores for every tick, so this outlives a store. A reader asks first for a mark that no write leaves
as it was. What doesn't belong here: what a mark is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Remembered(Generic[_T]):
    """The values of the newest keys, each with the mark that it was read at; threads may share it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, tuple[Hashable, _T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, mark: Hashable, read: Callable[[], _T], *, keep: bool = True) -> _T:
        """Return the value of a key at a mark, read now unless it was read at this mark before.

        Args:
            keep: remember what is read.
        """
        with self._lock:
            found = self._values.get(key)
        if found is not None and found[0] == mark:
            return found[1]
        value = read()
        if keep:
            with self._lock:
                self._values[key] = (mark, value)
                self._values.move_to_end(key)
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
        return value

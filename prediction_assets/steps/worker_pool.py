"""Work on many players at once: bounded threads, a time limit per player, and a circuit breaker for a common cause.

The caller passes the work as a function; no store is touched here. A thread that hangs can't be stopped: its player
expires, another thread takes its place, and it ends with the process. Where one call serves many players and fails,
:func:`bisect_failures` finds the players who cause it.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from prediction_assets.slate.dead_letter import LEAST_ALIKE, most_failed_alike, traceback_digest

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Overdue:
    """The result of an item whose work took longer than so many seconds."""

    seconds: float


def fan_out(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    threads: int,
    timeout_seconds: float,
    idle_seconds: float = math.inf,
    on_idle: Callable[[], None] = lambda: None,
    on_late: Callable[[Item, Result], None] = lambda item, result: None,
) -> Iterator[tuple[Item, Result | Overdue]]:
    """Yield each item with its result as soon as the result is there, in no particular order.

    Args:
        work: called once per item, in one of the threads.
        threads: items that are worked on at the same time.
        timeout_seconds: how long the work on one item may take.
        idle_seconds: ``on_idle`` is called each time that no result came for so long.
        on_late: called with the result of an overdue item, in the item's thread.

    Raises:
        BaseException: the first error that ``work`` raised. No further item is started; items that are being worked
            on are waited for, within their time.
    """
    pool = WorkerPool(items, work, on_late)
    for _ in range(min(threads, len(items))):
        pool.add_worker()
    raised: BaseException | None = None
    try:
        while pool.left:
            try:
                patience = min(idle_seconds, pool.next_deadline(timeout_seconds))
                position, result = pool.finished.get(timeout=patience)
            except queue.Empty:
                on_idle()
                for overdue in pool.expire(timeout_seconds):
                    if raised is None:
                        pool.add_worker()
                        yield items[overdue], Overdue(timeout_seconds)
                continue
            pool.count_finished()
            if isinstance(result, _Raised):
                raised = raised or result.error
            elif raised is None:
                yield items[position], result
    finally:
        pool.cancel_waiting()
    if raised is not None:
        raise raised


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class WorkerPool(Generic[Item, Result]):
    """Daemon threads that take items one after another; one lock guards what they share.

    Attributes:
        left: items whose result has not been taken and that have not expired.
        finished: position and result of each item, as they come.
    """

    def __init__(
        self, items: Sequence[Item], work: Callable[[Item], Result], on_late: Callable[[Item, Result], None]
    ) -> None:
        self.left = len(items)
        self.finished: queue.SimpleQueue[tuple[int, Result | _Raised]] = queue.SimpleQueue()
        self._work = work
        self._on_late = on_late
        self._waiting = deque(enumerate(items))
        self._started: dict[int, float] = {}
        self._lock = threading.Lock()

    def add_worker(self) -> None:
        # A daemon: the interpreter waits at its exit for any other thread, and for one that hangs for ever.
        threading.Thread(target=self._take_items, name="fan-out", daemon=True).start()

    def next_deadline(self, timeout_seconds: float) -> float:
        """Return the seconds until the oldest item that is being worked on is overdue, at least 0."""
        with self._lock:
            oldest = min(self._started.values(), default=time.monotonic())
        return max(0.0, oldest + timeout_seconds - time.monotonic())

    def expire(self, timeout_seconds: float) -> list[int]:
        """Return the positions of the overdue items; their results are not waited for any more."""
        now = time.monotonic()
        with self._lock:
            overdue = [p for p, started in self._started.items() if started + timeout_seconds <= now]
            for position in overdue:
                del self._started[position]
            self.left -= len(overdue)
        return overdue

    def count_finished(self) -> None:
        with self._lock:
            self.left -= 1

    def cancel_waiting(self) -> None:
        with self._lock:
            self.left -= len(self._waiting)
            self._waiting.clear()

    def _take_items(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                position, item = self._waiting.popleft()
                self._started[position] = time.monotonic()
            try:
                result: Result | _Raised = self._work(item)
            except BaseException as error:  # noqa: BLE001  raised again where the results are taken
                result = _Raised(error)
                self.cancel_waiting()
            with self._lock:
                is_late = self._started.pop(position, None) is None
            if is_late:  # it has expired, and another thread is in this one's place
                if not isinstance(result, _Raised):
                    self._on_late(item, result)
                return
            self.finished.put((position, result))


class CircuitBreaker:
    """Trips when most players of a run failed with the same digest: further attempts would fail, too."""

    def __init__(self, players: int) -> None:
        self._players = players
        self._failed: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.tripped_by: str | None = None
        """The digest that most players failed with, None while the breaker hasn't tripped."""

    def failed(self, digest: str) -> None:
        with self._lock:
            self._failed[digest] += 1
            if self.tripped_by is None and most_failed_alike(self._failed[digest], self._players):
                self.tripped_by = digest


def bisect_failures(
    items: Sequence[Item], work: Callable[[Sequence[Item]], Result], fatal: tuple[type[Exception], ...] = ()
) -> tuple[list[Result], list[tuple[Item, Exception]]]:
    """Work on all items together and, if that raises, on each half of them, down to the items that cause it.

    One culprit among n items costs about 2 log n further calls. If a handful of items failed alike before any call
    worked, the cause is taken for common: a group that fails after that is not divided any more.

    Args:
        work: called with items in their order.
        fatal: errors that are no single item's: the first one is raised.

    Returns:
        the results of the calls that worked, in order; and the items of the others, each with its error.
    """
    worked: list[Result] = []
    failed: list[tuple[Item, Exception]] = []
    alike: Counter[str] = Counter()
    waiting = [items]
    while waiting:
        group = waiting.pop()
        try:
            worked.append(work(group))
        except fatal:
            raise
        except Exception as error:  # noqa: BLE001  any error may be one item's
            is_common = not worked and any(count >= LEAST_ALIKE for count in alike.values())
            if len(group) > 1 and not is_common:
                middle = len(group) // 2
                waiting += [group[middle:], group[:middle]]
                continue
            alike[traceback_digest(error)] += len(group)
            failed += [(item, error) for item in group]
    return worked, failed

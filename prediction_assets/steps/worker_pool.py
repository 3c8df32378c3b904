"""RunNeed on many players at once: bounded threads, a time limit for each, and a circuit for a common cause.

Where one call serves all of them and fails, :func:`bisect_failures` finds the players who are the cause. Nothing of
Dagster's and no I/O: the caller says what the work is. A thread that hangs can't be stopped; it is given up on,
another takes its place, and it ends with the process.
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
    """In place of a result: the work was still going on after so many seconds, and was given up on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


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
    """Yield each item with its result as soon as it is there, in no particular order.

    Args:
        work: called once per item, in one of the threads.
        threads: items worked on at the same time.
        timeout_seconds: how long one item may take from when its work started.
        idle_seconds: how long to wait for the next result before ``on_idle`` is called, each time again.
        on_late: called, in the item's thread, with the result of work that had been given up on.

    Raises:
        BaseException: what ``work`` raised first. Items that were being worked on are waited for, within their
            time; no further one is started.
    """
    crew = _Crew(items, work, on_late)
    for _ in range(min(threads, len(items))):
        crew.grow()
    raised: BaseException | None = None
    try:
        while crew.left:
            try:
                patience = min(idle_seconds, crew.patience(timeout_seconds))
                position, outcome = crew.finished.get(timeout=patience)
            except queue.Empty:
                on_idle()
                for overdue in crew.give_up_on(timeout_seconds):
                    if raised is None:
                        crew.grow()
                        yield items[overdue], Overdue(timeout_seconds)
                continue
            crew.count_one()
            if isinstance(outcome, _Raised):
                raised = raised or outcome.error
            elif raised is None:
                yield items[position], outcome
    finally:
        crew.cancel_waiting()
    if raised is not None:
        raise raised


def bisect_failures(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], Result],
    everybodys: tuple[type[Exception], ...] = (),
) -> tuple[list[Result], list[tuple[Item, Exception]]]:
    """RunNeed on all items together and, where that raises, on each half of them, down to the culprits.

    One culprit among n items costs some 2 log n further calls. While nothing has worked, a handful that failed alike is
    taken for the sign of a common cause, and what fails after that is not divided any more.

    Args:
        work: called with items in their order.
        everybodys: errors that are no item's own.

    Returns:
        the results of the groups that worked, in order, and the items of those that didn't, each with its error.

    Raises:
        Exception: the first one of ``everybodys``.
    """
    worked: list[Result] = []
    failed: list[tuple[Item, Exception]] = []
    alike: Counter[str] = Counter()
    waiting = [items]
    while waiting:
        group = waiting.pop()
        try:
            worked.append(work(group))
        except everybodys:
            raise
        except Exception as error:  # noqa: BLE001  whose fault it is, is what is looked for
            is_common = not worked and any(count >= LEAST_ALIKE for count in alike.values())
            if len(group) > 1 and not is_common:
                middle = len(group) // 2
                waiting += [group[middle:], group[:middle]]
                continue
            alike[traceback_digest(error)] += len(group)
            failed += [(item, error) for item in group]
    return worked, failed


class _Crew(Generic[Item, Result]):
    """Daemon threads that take items one after another; what they share is behind one lock."""

    def __init__(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Result],
        on_late: Callable[[Item, Result], None],
    ) -> None:
        self.left = len(items)
        self.finished: queue.SimpleQueue[tuple[int, Result | _Raised]] = queue.SimpleQueue()
        self._work = work
        self._on_late = on_late
        self._waiting = deque(enumerate(items))
        self._started: dict[int, float] = {}
        self._lock = threading.Lock()

    def grow(self) -> None:
        """Start one thread; a daemon, because the interpreter would wait for one that hangs for ever."""
        threading.Thread(target=self._take_items, name="fan-out", daemon=True).start()

    def patience(self, timeout_seconds: float) -> float:
        """Return the seconds until the item that has been worked on longest is overdue."""
        with self._lock:
            oldest = min(self._started.values(), default=time.monotonic())
        return max(0.0, oldest + timeout_seconds - time.monotonic())

    def give_up_on(self, timeout_seconds: float) -> list[int]:
        """Return the positions of the items that are overdue; what becomes of them is ignored."""
        now = time.monotonic()
        with self._lock:
            overdue = [p for p, started in self._started.items() if started + timeout_seconds <= now]
            for position in overdue:
                del self._started[position]
            self.left -= len(overdue)
        return overdue

    def count_one(self) -> None:
        """Count an item whose outcome was taken."""
        with self._lock:
            self.left -= 1

    def cancel_waiting(self) -> None:
        """Start no further item."""
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
                outcome: Result | _Raised = self._work(item)
            except BaseException as error:  # noqa: BLE001  raised again where the results are taken
                outcome = _Raised(error)
                self.cancel_waiting()
            with self._lock:
                is_late = self._started.pop(position, None) is None
            if is_late:  # given up on; another thread is in this one's place
                if not isinstance(outcome, _Raised):
                    self._on_late(item, outcome)
                return
            self.finished.put((position, outcome))


class CircuitBreaker:
    """Says when trying is no use any more: most players of a run failed with the same digest.

    Args:
        players: how many players the run works on.
    """

    def __init__(self, players: int) -> None:
        self._players = players
        self._failed: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.tripped_by: str | None = None
        """The digest that most failed with, None while the circuit is closed."""

    def failed(self, digest: str) -> None:
        """Count a failure."""
        with self._lock:
            self._failed[digest] += 1
            if self.tripped_by is None and most_failed_alike(self._failed[digest], self._players):
                self.tripped_by = digest

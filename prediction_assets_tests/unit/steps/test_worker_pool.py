"""Work on many players at once: nobody is lost, nobody holds the others up."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.slate.dead_letter import traceback_digest
from prediction_assets.steps.worker_pool import CircuitBreaker, Overdue, bisect_failures, fan_out


@settings(max_examples=40)
@given(items=st.lists(st.integers(), max_size=40), threads=st.integers(1, 8))
def test_every_item_comes_back_once_with_its_own_result(items, threads):
    found = list(fan_out(items, lambda n: n * 2, threads=threads, timeout_seconds=60))
    assert sorted(found) == sorted((n, n * 2) for n in items)


def test_no_more_than_so_many_are_worked_on_at_a_time():
    lock, now, most = threading.Lock(), 0, 0
    together = threading.Barrier(3)

    def work(_: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(30)
        with lock:
            now -= 1

    list(fan_out(range(12), work, threads=3, timeout_seconds=60))
    assert most == 3


@pytest.mark.parametrize("threads", [1, 4])
def test_work_that_hangs_is_overdue_and_the_others_go_on(threads):
    release = threading.Event()

    def work(n: int) -> int:
        if n in (0, 5):
            release.wait(60)
        return n

    found = dict(fan_out(range(8), work, threads=threads, timeout_seconds=0.2))
    release.set()
    assert {n for n, result in found.items() if isinstance(result, Overdue)} == {0, 5}
    assert {n: r for n, r in found.items() if n not in (0, 5)} == {n: n for n in (1, 2, 3, 4, 6, 7)}


def test_a_result_of_overdue_work_is_passed_on_late_and_only_then():
    release, late = threading.Event(), threading.Event()
    seen = []

    def work(n: int) -> int:
        if n == 1:
            release.wait(60)
        if n == 2:
            raise_late = release.wait(60)
            raise OSError(raise_late)
        return n

    def on_late(n: int, result: int) -> None:
        seen.append((n, result))
        late.set()

    found = dict(fan_out(range(4), work, threads=4, timeout_seconds=0.2, on_late=on_late))
    assert {n for n, result in found.items() if isinstance(result, Overdue)} == {1, 2}
    assert seen == []
    release.set()
    assert late.wait(60)
    assert seen == [(1, 1)]


def test_a_pause_between_results_is_reported_while_it_lasts():
    idle = threading.Event()

    def work(n: int) -> bool:
        return n > 0 or idle.wait(60)

    found = dict(fan_out(range(3), work, threads=2, timeout_seconds=60, idle_seconds=0.01, on_idle=idle.set))
    assert found == {0: True, 1: True, 2: True}


def test_a_result_that_arrives_after_its_time_is_ignored():
    hanging, finished = threading.Event(), threading.Event()

    def work(n: int) -> int:
        if n == 0:
            hanging.wait(60)
            finished.set()
        return n

    results = fan_out(range(2), work, threads=2, timeout_seconds=0.2)
    seen = [next(results), next(results)]
    hanging.set()
    assert finished.wait(30)
    assert list(results) == []
    assert {n for n, _ in seen} == {0, 1}


def test_an_error_of_the_work_is_raised_after_what_was_begun_has_ended_and_nothing_else_is_begun():
    begun, ended = [], []
    both = threading.Barrier(2)

    def work(n: int) -> None:
        begun.append(n)
        both.wait(30)
        if n == 0:
            raise OSError(5, "injected")
        ended.append(n)

    with pytest.raises(OSError, match="injected"):
        list(fan_out(range(2), work, threads=2, timeout_seconds=60))
    assert ended == [1]

    def fail(n: int) -> None:
        begun.append(n)
        raise OSError(5, "injected")

    begun.clear()
    with pytest.raises(OSError, match="injected"):
        list(fan_out(range(100), fail, threads=1, timeout_seconds=60))
    assert len(begun) < 100


def test_after_an_error_nothing_else_is_yielded_whether_it_ends_in_time_or_is_overdue():
    begun, hanging = threading.Barrier(3), threading.Event()

    def work(n: int) -> int:
        begun.wait(60)
        if n == 0:
            raise OSError(5, "injected")
        if n == 1:
            hanging.wait(60)
        time.sleep(0.05)  # so that the error is taken first
        return n

    yielded = []
    with pytest.raises(OSError, match="injected"):
        yielded += fan_out(range(3), work, threads=3, timeout_seconds=0.3)
    hanging.set()
    assert yielded == []


def test_a_circuit_breaker_trips_on_one_digest_and_names_it():
    breaker = CircuitBreaker(10)
    for n in range(10):
        breaker.failed(f"different {n}")
    assert breaker.tripped_by is None
    for _ in range(6):
        breaker.failed("alike")
    assert breaker.tripped_by == "alike"
    for _ in range(9):
        breaker.failed("later")
    assert breaker.tripped_by == "alike"


class Poisoned(Exception):
    pass


def together(poison: set[int], calls: list[int] | None = None):
    """Return work on a group that fails if it has a poisonous number in it."""

    def work(group):
        if calls is not None:
            calls.append(len(group))
        if poison & set(group):
            raise Poisoned(f"among {len(group)}")
        return list(group)

    return work


@settings(max_examples=40)
@given(size=st.integers(0, 60), poison=st.sets(st.integers(0, 59), max_size=4))
def test_work_together_fails_for_the_culprits_only_whoever_they_are(size, poison):
    worked, failed = bisect_failures(range(size), together(poison))
    assert [n for group in worked for n in group] == [n for n in range(size) if n not in poison]
    assert [n for n, _ in failed] == sorted(n for n in poison if n < size)
    assert {str(error) for _, error in failed} <= {"among 1"}


def test_work_together_that_works_is_done_once():
    calls: list[int] = []
    assert bisect_failures(range(450), together(set(), calls)) == ([list(range(450))], [])
    assert calls == [450]


def test_one_culprit_among_many_costs_a_few_calls_more():
    calls: list[int] = []
    bisect_failures(range(450), together({317}, calls))
    assert len(calls) <= 20


def test_a_common_cause_fails_all_after_a_few_calls_and_they_share_the_digest():
    calls: list[int] = []
    worked, failed = bisect_failures(range(450), together(set(range(450)), calls))
    assert worked == []
    assert [n for n, _ in failed] == list(range(450))
    assert len({traceback_digest(error) for _, error in failed}) == 1
    assert len(calls) <= 30


def test_a_fatal_error_stops_at_once():
    calls: list[int] = []
    with pytest.raises(Poisoned):
        bisect_failures(range(8), together({3}, calls), (Poisoned,))
    assert calls == [8]

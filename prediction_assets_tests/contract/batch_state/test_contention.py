"""Nothing is aborted, lost or counted twice, however many workers complete at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.errors import BatchConflict
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.protocols import BatchState
from prediction_assets_tests.contract.batch_state.conftest import Store
from prediction_assets_tests.contract.batch_state.crowd import (
    rush_of_processes,
    rush_of_threads,
    shuffled_twice,
)
from prediction_assets_tests.contract.batch_state.test_contract import failed, receipt, staged
from prediction_assets_tests.made_up import NOW, SLATE, batch

REACHED_BY_PROCESSES = pytest.mark.parametrize("store", ["sqlite", "firestore"], indirect=True)


def work(players: int) -> list[PlayerOutcome]:
    """Return one outcome per player: two of three staged, the others failed."""
    slugs = [p.slug for p in batch(players).expected]
    return [failed(slug) if number % 3 == 0 else staged(slug) for number, slug in enumerate(slugs)]


def require_each_once(state: BatchState, outcomes: list[PlayerOutcome]) -> None:
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {c.player_slug: c for c in outcomes}
    assert progress.unsettled == ()
    for outcome in Outcome:
        assert progress.count(outcome) == sum(c.outcome is outcome for c in outcomes)


def test_threads_that_complete_at_once_each_count_once(store: Store) -> None:
    workers = 40  # from so many on, read-modify-write transactions in Firestore were aborted
    state = store.opened()
    state.open(batch(workers))
    rush = rush_of_threads(lambda c: state.record([c]), shuffled_twice(work(workers), seed=workers))
    assert rush.errors == ()
    require_each_once(state, work(workers))


@REACHED_BY_PROCESSES
def test_the_first_writers_of_a_store_that_is_not_there_yet_all_succeed_and_each_counts_once(
    store: Store,
) -> None:
    workers = 60  # benchmarks/contention.py has 450, a process for each player of the largest slate
    rush = rush_of_processes(store.recorder, store.where, shuffled_twice(work(workers), seed=workers))
    assert rush.errors == ()
    state = store.opened()
    state.open(batch(workers))
    require_each_once(state, work(workers))


@REACHED_BY_PROCESSES
def test_processes_that_claim_fences_at_once_have_different_ones(store: Store) -> None:
    workers = 10  # a staging run claims one, so a slate has some ten at once
    state = store.opened()
    state.open(batch(workers))
    claiming = store.recorder.replace(":to_", ":claiming_in_")
    rush = rush_of_processes(claiming, store.where, [[outcome] for outcome in work(workers)])
    assert rush.errors == ()
    progress = state.progress(SLATE)
    assert progress is not None
    assert sorted(done.fence for done in progress.outcomes.values()) == list(range(1, workers + 1))


def test_threads_that_claim_fences_at_once_have_different_ones(store: Store) -> None:
    store.opened().open(batch(1))
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: store.opened().claim_fence(SLATE), range(24)))
    assert sorted(claimed) == list(range(1, 25))


def test_groups_that_overlap_neither_abort_nor_lose_anything(state: BatchState) -> None:
    state.open(batch(60))
    outcomes = work(60)
    groups = [outcomes[start : start + 30] for start in (0, 10, 20, 30)] * 3
    gate = threading.Barrier(len(groups))

    def record(group: list[PlayerOutcome], backwards: bool) -> None:
        gate.wait()
        state.record(group[::-1] if backwards else group)

    with ThreadPoolExecutor(len(groups)) as pool:
        list(pool.map(record, groups, [n % 2 == 0 for n in range(len(groups))]))
    require_each_once(state, outcomes)


def test_one_of_many_openers_wins_and_no_reader_sees_half_of_it(state: BatchState) -> None:
    gate = threading.Barrier(9)
    refused = []

    def open_it(players: int) -> None:
        gate.wait()
        try:
            state.open(batch(players))
        except BatchConflict as error:
            refused.append(error)

    def read() -> None:
        gate.wait()
        while (progress := state.progress(SLATE)) is None:
            pass
        assert len(progress.batch.expected) in {900, 1100}

    with ThreadPoolExecutor(9) as pool:
        done = [pool.submit(open_it, players) for players in [900, 1100] * 3]
        done += [pool.submit(read) for _ in range(3)]
        for future in done:
            future.result()
    assert len(refused) == 3
    progress = state.progress(SLATE)
    assert progress is not None
    assert len(progress.batch.expected) in {900, 1100}


def test_a_reader_sees_a_reopened_batch_whole_before_or_after(state: BatchState) -> None:
    sizes = {300, 500}
    state.open(batch(300))
    done = threading.Event()

    def read() -> set[int]:
        seen = set()
        while not done.is_set():
            progress = state.progress(SLATE)
            assert progress is not None
            seen.add(len(progress.batch.expected))
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for _ in range(4):
            state.reopen(batch(500))
            state.reopen(batch(300))
        done.set()
        assert all(reader.result() <= sizes for reader in readers)


def test_of_receipts_mirrored_at_once_the_newest_stays(state: BatchState) -> None:
    state.open(batch(1))
    gate = threading.Barrier(8)

    def mirror(revision: int) -> None:
        gate.wait()
        state.mark_consolidated(receipt(f"r{revision}", parts=revision, revision=revision))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(mirror, range(1, 9)))
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.receipt == receipt("r8", parts=8, revision=8)


_OUTCOMES = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from(["staged", "failed"]), st.integers(0, 3), st.integers(1, 4)),
    max_size=12,
)


def _replays_agree(state: BatchState, slate: str, events: list[tuple[int, str, int, int]]) -> None:
    state.reopen(batch(0, slate))  # forgets what an earlier example left
    state.reopen(batch(5, slate))
    last: dict[str, PlayerOutcome] = {}
    for number, outcome, repeats, fence in events:
        slug = f"player-{number}"
        made = staged(slug) if outcome == "staged" else failed(slug)
        # Clocks that run backwards.
        done = replace(made, slate=slate, fence=fence, recorded_at=NOW - timedelta(hours=len(last)))
        if slug not in last or fence >= last[slug].fence:
            last[slug] = done
        state.record([done] * (repeats + 1))
    progress = state.progress(slate)
    assert progress is not None
    assert progress.outcomes == last


@given(events=_OUTCOMES)
@settings(max_examples=25, deadline=None)
def test_any_history_with_redeliveries_ends_at_each_players_highest_fence_in_sqlite(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, str, int, int]]
) -> None:
    file = tmp_path_factory.mktemp("history") / "state.sqlite"
    _replays_agree(SqliteBatchState(file), SLATE, events)


@given(events=_OUTCOMES)
@settings(max_examples=12, deadline=None)
def test_any_history_with_redeliveries_ends_at_each_players_highest_fence_in_firestore(
    firestore_history: FirestoreBatchState, events: list[tuple[int, str, int, int]]
) -> None:
    _replays_agree(firestore_history, SLATE, events)

"""Many workers complete at once: a document per player beside a read-modify-write transaction.

The transaction is what the predecessor did: read the batch document, add the player, write it back, five
attempts. Every outcome is delivered twice, by any two workers, in any order. Lock timeouts are the
emulator's, so read from it what is lost, never a throughput. The transactions of 450 workers take ten minutes.

    python -m benchmarks.contention [--workers 40 200 450] [--kinds threads processes]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.cloud import firestore

from prediction_assets.slate.batch import Batch, ExpectedPlayer
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.protocols import BatchState
from prediction_assets_tests.contract.batch_state import crowd
from prediction_assets_tests.emulators import FIRESTORE, EmulatorMissing, running

SLATE = "2026-01-02"
HEADER = f"{'scheme':<34}{'workers':>8}  {'as':<10}{'errors':>8}{'lost':>6}{'seconds':>9}"


def transactional(project: str) -> crowd.Record:
    """Record by reading the batch document, adding the player and writing it back, in a transaction."""
    client = firestore.Client(project=project)
    document = client.collection("transactional").document(SLATE)

    @firestore.transactional
    def complete(transaction: firestore.Transaction, outcome: PlayerOutcome) -> None:
        players = document.get(transaction=transaction).get("players")
        if outcome.player_slug not in players:
            transaction.update(document, {"players": [*players, outcome.player_slug]})

    return lambda outcome: complete(client.transaction(max_attempts=5), outcome)


def _expected(workers: int) -> Batch:
    now = datetime.now(UTC)
    players = [
        ExpectedPlayer(number, f"player-{number:03}", f"Player {number}", "S01", "S02", True, "9000000001")
        for number in range(workers)
    ]
    return Batch(SLATE, "benchmark", "simulated", 1, now, now + timedelta(minutes=30), tuple(players))


def _with_transactions(batch: Batch) -> tuple[str, str, Callable[[], int]]:
    project = f"benchmark-{uuid.uuid4().hex[:12]}"
    document = firestore.Client(project=project).collection("transactional").document(SLATE)
    document.set({"players": []})
    return "benchmarks.contention:transactional", project, lambda: len(document.get().get("players"))


def _with_documents(batch: Batch) -> tuple[str, str, Callable[[], int]]:
    project = f"benchmark-{uuid.uuid4().hex[:12]}"
    state = FirestoreBatchState(FirestoreCalls(firestore.Client(project=project)))
    state.open(batch)
    return f"{crowd.__name__}:to_firestore", project, lambda: _settled(state)


def _with_sqlite(batch: Batch) -> tuple[str, str, Callable[[], int]]:
    file = Path(tempfile.mkdtemp()) / "state.sqlite"
    state = SqliteBatchState(file)
    state.open(batch)
    return f"{crowd.__name__}:to_sqlite", str(file), lambda: _settled(state)


def _settled(state: BatchState) -> int:
    progress = state.progress(SLATE)
    return len(progress.outcomes) if progress else 0


SCHEMES = {
    "Firestore, read-modify-write": _with_transactions,
    "Firestore, a document per player": _with_documents,
    "SQLite, a row per player": _with_sqlite,
}


@contextmanager
def _emulator() -> Iterator[None]:
    with ExitStack() as stack:
        if FIRESTORE.variable not in os.environ:
            os.environ[FIRESTORE.variable] = stack.enter_context(running(FIRESTORE))
        yield


def main() -> None:
    """Run every scheme and print the table."""
    parser = argparse.ArgumentParser(description="Contention of outcomes.")
    parser.add_argument("--workers", nargs="+", type=int, default=[40, 200, 450])
    parser.add_argument(
        "--kinds", nargs="+", choices=["threads", "processes"], default=["threads", "processes"]
    )
    options = parser.parse_args()
    try:
        with _emulator():
            print(HEADER)
            for workers in options.workers:
                for kind in options.kinds:
                    for scheme in SCHEMES:
                        print(_row(scheme, workers, kind), flush=True)
    except EmulatorMissing as error:
        parser.exit(2, f"{error}\n")


def _row(scheme: str, workers: int, kind: str) -> str:
    batch = _expected(workers)
    recorder, where, settled = SCHEMES[scheme](batch)
    deliveries = crowd.shuffled_twice(
        [
            PlayerOutcome(SLATE, batch.batch_id, p.slug, Outcome.SKIPPED, "run", batch.opened_at, 1, 1)
            for p in batch.expected
        ],
        seed=workers,
    )
    if kind == "threads":
        rush = crowd.rush_of_threads(crowd.recorder(recorder, where), deliveries)
    else:
        rush = crowd.rush_of_processes(recorder, where, deliveries)
    lost = workers - settled()
    return f"{scheme:<34}{workers:>8}  {kind:<10}{len(rush.errors):>8}{lost:>6}{rush.seconds:>9.1f}"


if __name__ == "__main__":
    main()

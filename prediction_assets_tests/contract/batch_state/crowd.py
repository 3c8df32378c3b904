"""Many workers that complete at the same moment, as threads or as processes, for tests and the benchmark.

A worker is given its deliveries and a way to record them, and reports what was raised to it. Processes are
forked from a fresh interpreter that has imported everything and started nothing (gRPC doesn't survive a
fork), wait at a gate, and go when the last one is there.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from google.cloud import firestore

from prediction_assets.slate.outcome import PlayerOutcome
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.protocols import BatchState

Record = Callable[[PlayerOutcome], None]

_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Rush:
    """What came of it: the errors that reached a worker, and seconds from the gate to the last one's end."""

    errors: tuple[str, ...]
    seconds: float


def to_firestore(project: str) -> Record:
    """Record into the emulator's project."""
    state = FirestoreBatchState(FirestoreCalls(firestore.Client(project=project), call_timeout=60))
    return lambda outcome: state.record([outcome])


def to_sqlite(file: str) -> Record:
    """Record into a state file."""
    state = SqliteBatchState(Path(file))
    return lambda outcome: state.record([outcome])


def claiming_in_firestore(project: str) -> Record:
    """Claim a fence for each outcome before it is recorded into the emulator's project."""
    return _claiming(FirestoreBatchState(FirestoreCalls(firestore.Client(project=project), call_timeout=60)))


def claiming_in_sqlite(file: str) -> Record:
    """Claim a fence for each outcome before it is recorded into a state file."""
    return _claiming(SqliteBatchState(Path(file)))


def _claiming(state: BatchState) -> Record:
    return lambda outcome: state.record([replace(outcome, fence=state.claim_fence(outcome.slate))])


def recorder(name: str, where: str) -> Record:
    """Return the :data:`Record` that ``module:function`` makes of ``where``."""
    module, _, function = name.partition(":")
    record: Record = getattr(importlib.import_module(module), function)(where)
    return record


def shuffled_twice(outcomes: Sequence[PlayerOutcome], seed: int) -> list[list[PlayerOutcome]]:
    """Return one worker's deliveries per outcome: each is delivered twice, by any two, in any order."""
    deliveries = [*outcomes, *outcomes]
    Random(seed).shuffle(deliveries)
    return [deliveries[number :: len(outcomes)] for number in range(len(outcomes))]


def rush_of_threads(record: Record, deliveries: Sequence[Sequence[PlayerOutcome]]) -> Rush:
    """Let one thread per element record it, all at once."""
    errors: list[str] = []
    gate = threading.Barrier(len(deliveries) + 1)

    def work(mine: Sequence[PlayerOutcome]) -> None:
        gate.wait()
        errors.extend(_record_all(record, mine))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in deliveries]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.monotonic()
    for thread in threads:
        thread.join()
    return Rush(tuple(errors), time.monotonic() - started)


def rush_of_processes(name: str, where: str, deliveries: Sequence[Sequence[PlayerOutcome]]) -> Rush:
    """Let one process per element record it, all at once.

    Args:
        name: ``module:function`` for :func:`recorder`, called in each process.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=pickle.dumps((name, where, [list(mine) for mine in deliveries])),
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        check=True,
    )
    rush: Rush = pickle.loads(done.stdout)
    return rush


def _record_all(record: Record, outcomes: Sequence[PlayerOutcome]) -> list[str]:
    errors = []
    for outcome in outcomes:
        try:
            record(outcome)
        except Exception as error:  # noqa: BLE001  reported, not handled
            errors.append(f"{outcome.player_slug}: {type(error).__name__}: {error}")
    return errors


def _lead(name: str, where: str, deliveries: Sequence[Sequence[PlayerOutcome]]) -> Rush:
    importlib.import_module(name.partition(":")[0])  # before the fork, once for all
    gate, opener = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        pids = []
        for number, mine in enumerate(deliveries):
            pid = os.fork()
            if pid == 0:
                os.close(opener)
                _follow(name, where, mine, gate, Path(folder) / str(number))
            pids.append(pid)
        started = time.monotonic()
        os.close(opener)
        killed = [pid for pid in pids if os.waitpid(pid, 0)[1]]
        seconds = time.monotonic() - started
        errors = [line for file in Path(folder).iterdir() for line in file.read_text().splitlines()]
    return Rush((*errors, *(f"worker {pid} died" for pid in killed)), seconds)


def _follow(name: str, where: str, mine: Sequence[PlayerOutcome], gate: int, report: Path) -> None:
    status = 1
    try:
        record = recorder(name, where)
        os.read(gate, 1)  # until the leader closes its end
        errors = _record_all(record, mine)
        if errors:
            report.write_text("\n".join(error.replace("\n", " ") for error in errors))
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    result = _lead(*pickle.loads(sys.stdin.buffer.read()))
    # Under its importable name, not __main__'s.
    from prediction_assets_tests.contract.batch_state import crowd

    sys.stdout.buffer.write(pickle.dumps(crowd.Rush(result.errors, result.seconds)))

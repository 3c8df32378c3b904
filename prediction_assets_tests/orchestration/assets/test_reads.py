"""What each step of a slate reads: a store bills each read of the batch, its receipts or its features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from prediction_assets.orchestration.jobs import completion_job, consolidation_job
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.outbox import SqliteOutbox
from prediction_assets.stores.local.parts import ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets_tests.homes import SIMULATED

READS = {
    "batch": (SqliteBatchState, "progress"),
    "receipts": (DuckDBWarehouse, "receipts"),
    "features": (ArrowSnapshots, "players"),
    "outbox": (SqliteOutbox, "entries"),
}


def only(job: str, asset: str) -> Callable[[SlateRun], object]:
    """Return what materializes one asset of a job."""
    return lambda run: run._execute(job, partition=SIMULATED, selection=[dg.AssetKey(asset)])


STEPS: list[tuple[str, Callable[[SlateRun], object], dict[str, int]]] = [
    # Before it opens the batch, after that, and after the claim of the features' fence.
    ("slate_roster", lambda run: run.roster(SIMULATED), {"batch": 3, "receipts": 2}),
    ("player_features", lambda run: run.features(SIMULATED), {"batch": 1, "receipts": 1}),
    # The batch once more at the end: it may have been reopened.
    ("staged_predictions", lambda run: run.stage(SIMULATED), {"batch": 2, "receipts": 1, "features": 1}),
    ("predictions", only(consolidation_job.name, "predictions"), {"batch": 1, "receipts": 1, "outbox": 1}),
    ("staging_cleanup", only(consolidation_job.name, "staging_cleanup"), {"receipts": 1}),
    ("phase5_completion", only(completion_job.name, "phase5_completion"), {"receipts": 1}),
    ("slate_board", only(completion_job.name, "slate_board"), {"receipts": 1}),
]


def test_each_step_reads_the_batch_its_receipts_and_its_features_once(
    ingested: SlateRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, execute, is_step = Counter[str](), SlateRun._execute, False

    def counting(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            reads[name] += is_step
            return read(*args, **named)

        return counted

    def step(run: SlateRun, *args: Any, **named: Any) -> dg.ExecuteInProcessResult:
        nonlocal is_step
        is_step = True
        try:
            return execute(run, *args, **named)
        finally:
            is_step = False

    for name, (store, method) in READS.items():
        monkeypatch.setattr(store, method, counting(name, getattr(store, method)))
    monkeypatch.setattr(SlateRun, "_execute", step)
    found = {}
    for asset, materialize, _ in STEPS:
        reads.clear()
        materialize(ingested)
        found[asset] = {name: count for name, count in reads.items() if count}
    assert found == {asset: expected for asset, _, expected in STEPS}

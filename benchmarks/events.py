"""One asset event stored: this project's event storage beside Dagster's own, one by one and in batches.

python -m benchmarks.events FOLDER
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import dagster as dg
from dagster._core.events import StepMaterializationData
from dagster._core.storage.event_log import SqliteEventLogStorage

from benchmarks.measuring import table
from prediction_assets.orchestration.event_storage import PooledSqliteEventLogStorage

EVENTS = 450


def materialized(run_id: str, number: int) -> dg.EventLogEntry:
    """Return the materialization of one player."""
    made = dg.AssetMaterialization(
        "staged_predictions",
        partition=f"2026-01-02:player-{number:05}",
        metadata={"rows": 25, "part_id": "0" * 32, "content_hash": "0" * 64, "feature_snapshot": "0" * 20},
    )
    return dg.EventLogEntry(
        error_info=None, level=10, user_message="", run_id=run_id, timestamp=time.time(),
        step_key="step", job_name="job",
        dagster_event=dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name="job", step_key="step", event_specific_data=StepMaterializationData(made),
        ),
    )  # fmt: skip


def main(folder: Path) -> None:
    """Store the events of a slate each way, after a warm-up, and print what one took."""
    rows = []
    for name, kind, batch in (
        ("Dagster's own, one by one", SqliteEventLogStorage, 1),
        ("pooled, one by one", PooledSqliteEventLogStorage, 1),
        ("pooled, in batches of 50", PooledSqliteEventLogStorage, 50),
    ):
        storage = kind(tempfile.mkdtemp(dir=folder))
        storage.store_event(materialized("run", 0))
        events = [materialized("run", number) for number in range(1, EVENTS + 1)]
        wall, cpu = time.perf_counter(), time.process_time()
        for first in range(0, EVENTS, batch):
            if batch == 1:
                storage.store_event(events[first])
            else:
                storage.store_event_batch(events[first : first + batch])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert len(storage.get_materialized_partitions(dg.AssetKey("staged_predictions"))) == EVENTS + 1
        storage.dispose()
        rows.append([name, wall / EVENTS * 1000, cpu / EVENTS * 1000])
    compared = [[*row, row[1] / rows[0][1], row[2] / rows[0][2]] for row in rows]
    columns = ("event log", "wall ms an event", "cpu ms an event", "wall ratio", "cpu ratio")
    print(table(f"{EVENTS} materializations stored", columns, compared))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

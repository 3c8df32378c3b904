"""What a MERGE on BigQuery takes: wall time, jobs and HTTP round trips for 200 rows, against the emulator.

Run from the repository: ``python -m benchmarks.bigquery_merge``. Uses the emulator at ``BIGQUERY_EMULATOR_HOST`` or
starts one. Read ratios and counts, not seconds: the emulator is DuckDB behind HTTP, and BigQuery itself takes
a second or more for each statement of a script, whatever it does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from google.cloud import bigquery

from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets_tests.contract.warehouse.bigquery_emulator import emulator_client, running_emulator
from prediction_assets_tests.made_up import SLATE, batch, player, progress_of, rows_of, staged

REQUESTS_PER_UPLOAD = 2  # a resumable upload is started, then sent


def main() -> None:
    """Measure and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--players", type=int, default=8)
    arguments.add_argument("--rows", type=int, default=25, help="rows per player")
    arguments.add_argument("--threads", type=int, default=4, help="parts loaded at the same time")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_emulator(Path(folder) / "emulator.log") as endpoint:
        measure(endpoint, given.players, given.rows, given.threads)


def measure(endpoint: str, players: int, rows: int, threads: int) -> None:
    """Stage, merge, merge again and clean up, printing what each step took."""
    client = emulator_client(endpoint, f"bench-{uuid.uuid4().hex[:12]}")
    trips = counted(client)
    warehouse = BigQueryWarehouse(client, call_timeout=10)
    lines = {f"{10 + n / 2}": 20.0 for n in range(rows)}
    print(f"{players} players x {rows} rows = {players * rows} rows, {threads} threads\n")
    print(f"{'step':<28}{'seconds':>9}{'round trips':>13}{'jobs':>6}")

    def timed(step: str, work: Callable[[], Any]) -> Any:
        started, before, jobs = time.perf_counter(), trips[0], sum(warehouse.jobs.counts.values())
        result = work()
        print(
            f"{step:<28}{time.perf_counter() - started:>9.2f}{trips[0] - before:>13}"
            f"{sum(warehouse.jobs.counts.values()) - jobs:>6}"
        )
        return result

    def stage() -> list[PartRef]:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda n: write(warehouse, n, lines), range(1, players + 1)))

    def merge(parts: list[PartRef]) -> Receipt:
        return warehouse.merge(plan(progress_of(batch(players), *map(staged, parts)), ()))

    def clean_up(slate: str) -> int:
        return sum(warehouse.parts.drop(slate, slug, part) for slug, part in warehouse.parts.staged(slate))

    timed("set up", warehouse.set_up)
    parts = timed("load the parts", stage)
    receipt = timed("MERGE, all rows new", lambda: merge(parts))
    assert receipt.rows_inserted == players * rows, receipt
    timed("the same again", lambda: merge(parts))
    again = timed("load the parts again", stage)
    receipt = timed("MERGE, all rows unchanged", lambda: merge(again))
    assert receipt.rows_unchanged == players * rows, receipt
    timed("clean up", lambda: clean_up(SLATE))
    assert warehouse.parts.slates() == []
    print(
        f"\njobs of a slate: {players} parts + 1 MERGE + receipts read; in all {dict(warehouse.jobs.counts)}"
    )


def write(warehouse: BigQueryWarehouse, number: int, lines: dict[str, float]) -> PartRef:
    """Stage one made-up player."""
    who = player(number)
    return warehouse.parts.write(SLATE, who.slug, rows_of(who, lines), 1)


def counted(client: bigquery.Client) -> list[int]:
    """Return a count that goes up with every request that the client sends from now on."""
    count = [0]
    send, upload = client._connection.api_request, client._do_resumable_upload

    def counting_send(**request: Any) -> Any:
        count[0] += 1
        return send(**request)

    def counting_upload(*arguments: Any, **named: Any) -> Any:
        count[0] += REQUESTS_PER_UPLOAD
        return upload(*arguments, **named)

    client._connection.api_request = counting_send
    client._do_resumable_upload = counting_upload
    return count


if __name__ == "__main__":
    main()

"""What a slate on BigQuery takes in both staging layouts: jobs, requests, bytes and wall time, against the emulator.

Run from the repository: ``python -m benchmarks.bigquery_merge``. Uses the emulator at ``BIGQUERY_EMULATOR_HOST`` or
starts one. Read ratios and counts, not seconds: the emulator is DuckDB behind HTTP, and BigQuery itself takes
a second or more for each job and each statement of a script, whatever it does. The emulator translates a statement of
hundreds of tables for many minutes: with ``--no-merge`` the MERGE is written, and not run.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

from google.cloud import bigquery

from benchmarks.measuring import table
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import PartRef
from prediction_assets.stores.gcp import bigquery_scripts as scripts
from prediction_assets.stores.gcp.parts import Layout
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets_tests.contract.warehouse.bigquery_emulator import emulator_client, running_emulator
from prediction_assets_tests.made_up import SLATE, batch, player, progress_of, rows_of, staged
from prediction_assets_tests.strict_bigquery import tables_read

PLAYERS_PER_RUN = 50
REQUESTS_PER_UPLOAD = 2  # a resumable upload is started, then sent
LEAST_BILLED = 10  # MB for each table that a statement reads: https://cloud.google.com/bigquery/pricing


def main() -> None:
    """Measure and print a table."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.bigquery_merge", description=__doc__)
    arguments.add_argument("--sizes", nargs="+", type=int, default=[450], help="players per slate")
    arguments.add_argument("--layouts", nargs="+", choices=get_args(Layout), default=get_args(Layout))
    arguments.add_argument("--rows", type=int, default=25, help="rows per player")
    arguments.add_argument("--threads", type=int, default=4, help="parts written at the same time")
    arguments.add_argument(
        "--merge", action=argparse.BooleanOptionalAction, default=True, help="run the MERGE"
    )
    given = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, running_emulator(Path(folder) / "emulator.log") as endpoint:
        for players in given.sizes:
            for layout in given.layouts:
                rows += measured(endpoint, layout, players, given)
    columns = [
        "",
        "load jobs",
        "query jobs",
        "requests",
        "MB loaded",
        "MB billed at least",
        "processor s",
        "wall s",
    ]
    print(table(f"A slate of {given.rows} rows a player", columns, rows))


def measured(
    endpoint: str, layout: Layout, players: int, given: argparse.Namespace
) -> Iterator[list[object]]:
    """Stage a slate in runs, merge it and clean up; yield what each step took."""
    client = emulator_client(endpoint, f"bench-{uuid.uuid4().hex[:12]}")
    took = counted(client)
    warehouse = BigQueryWarehouse(client, call_timeout=600, staging_layout=layout)
    warehouse.set_up()
    lines = {f"{10 + n / 2}": 20.0 for n in range(given.rows)}

    def stage() -> list[PartRef]:
        parts = []
        with ThreadPoolExecutor(given.threads) as pool:
            for first in range(1, players + 1, PLAYERS_PER_RUN):
                run = range(first, min(first + PLAYERS_PER_RUN, players + 1))
                parts += pool.map(lambda n: write(warehouse, n, lines), run)
                warehouse.parts.flush(SLATE)
        return parts

    def merge(parts: list[PartRef]) -> None:
        work = plan(progress_of(batch(players), *map(staged, parts)), warehouse.receipts(SLATE))
        if given.merge:
            done = warehouse.merge(work)
            assert done.rows == done.rows_staged == players * given.rows, done
            return
        selects = warehouse._selects(work)
        script = scripts.merge_script(work, selects, warehouse._relations)
        if len(script.encode()) > scripts.SCRIPT_BYTES:
            tables = scripts.Gathered(("p", "d", "rows"), ("p", "d", "lists"))
            took["loads"] += 1
            for statement in scripts.gather(tables.rows, selects):
                count_query(took, statement)
            script = scripts.merge_script(work, selects, warehouse._relations, gathered=tables)
        count_query(took, script)

    def clean_up() -> None:
        assert len([*warehouse.parts.drop(SLATE, warehouse.parts.staged(SLATE))]) == players
        assert warehouse.parts.slates() == []

    def timed(step: str, work: Callable[[], Any]) -> Any:
        before, started, processor = Counter(took), time.perf_counter(), processor_seconds()
        result = work()
        seconds, now = time.perf_counter() - started, took - before
        print(f"{players:,} {layout} {step}: {seconds:.1f} s", file=sys.stderr, flush=True)
        busy = round(processor_seconds() - processor, 1)
        billed = LEAST_BILLED * now["tables read"]
        loaded = round(now["bytes loaded"] / 1e6, 2)
        name = f"{players:,} players, {layout}: {step}"
        done.append(
            [name, now["loads"], now["queries"], now["requests"], loaded, billed, busy, round(seconds, 1)]
        )
        return result

    done: list[list[object]] = []
    parts = timed("stage", stage)
    timed("MERGE", lambda: merge(parts))
    timed("clean up", clean_up)
    yield from done


def processor_seconds() -> float:
    """Return the processor time of this process and its emulator, if that was started here."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    times = [
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in ["self", *children]
    ]
    return sum(map(int, itertools.chain(*times))) / os.sysconf("SC_CLK_TCK")


def write(warehouse: BigQueryWarehouse, number: int, lines: dict[str, float]) -> PartRef:
    """Stage one made-up player."""
    who = player(number)
    return warehouse.parts.write(SLATE, who.slug, rows_of(who, lines), 1)


def count_query(counts: Counter[str], text: str) -> None:
    """Count a query job."""
    counts["queries"] += 1
    counts["tables read"] += sum(map(len, tables_read(text)))


def counted(client: bigquery.Client) -> Counter[str]:
    """Return counts that go up with every request that the client sends from now on."""
    counts: Counter[str] = Counter()
    send, upload = client._connection.api_request, client._do_resumable_upload

    def counting_send(**request: Any) -> Any:
        counts["requests"] += 1
        query = (request.get("data") or {}).get("configuration", {}).get("query")
        if query is not None:
            count_query(counts, query["query"])
        return send(**request)

    def counting_upload(stream: Any, *arguments: Any, **named: Any) -> Any:
        counts["requests"] += REQUESTS_PER_UPLOAD
        counts["loads"] += 1
        counts["bytes loaded"] += stream.getbuffer().nbytes
        return upload(stream, *arguments, **named)

    client._connection.api_request = counting_send
    client._do_resumable_upload = counting_upload
    return counts


if __name__ == "__main__":
    main()

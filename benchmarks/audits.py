"""The audits' share of a slate: what the blocking audits take of `run`'s wall time, and of the MERGE, in one process.

python -m benchmarks.audits PLAYERS
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import duckdb

from benchmarks.measuring import table
from prediction_assets.cli.console import open_slate_run
from prediction_assets.simulation.slates import simulated_slate
from prediction_assets.stores.local import warehouse
from prediction_assets.stores.sql import audit_sql, merge_sql

MOST = 0.1
"""The largest share of a slate's wall time that audits may take."""


_AUDITING = (audit_sql.AUDIT, merge_sql.COUNT_MERGE, merge_sql.COUNT_AFTER_MERGE)
"""The audits' statement, and the counts that it compares."""


def main(players: int) -> None:
    """Run the environment's home's slate, and exit with 1 if the audits take more than a tenth of its time."""
    spent = [0.0]

    def timed(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(connection: duckdb.DuckDBPyConnection, sql: str, *given: Any) -> Any:
            started = time.perf_counter()
            try:
                return work(connection, sql, *given)
            finally:
                spent[0] += (time.perf_counter() - started) * (sql in _AUDITING)

        return call

    warehouse._one, warehouse._counts = timed(warehouse._one), timed(warehouse._counts)
    slate = simulated_slate(players).isoformat()
    with open_slate_run() as (_, runner):
        started = time.perf_counter()
        receipt = runner.whole(slate).receipt
        wall = time.perf_counter() - started
    assert receipt is not None
    assert receipt.rows == players * 25
    assert spent[0] > 0, "no audit was timed"
    measured = (("slate", wall), ("MERGE", receipt.merge_ms / 1000), ("audits", spent[0]))
    rows = [(name, seconds, 100 * spent[0] / seconds) for name, seconds in measured]
    print(table(f"{len(receipt.audits)} audits of {players} players", ("of", "wall s", "audits, %"), rows))
    sys.exit(spent[0] / wall > MOST)


if __name__ == "__main__":
    main(int(sys.argv[1]))

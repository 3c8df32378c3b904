"""A reader that polls a slate all the time, in a process of its own, and judges what it sees by the audits' own SQL.

Each read is one SELECT, so it is of one moment: the rows in force, and the newest receipt. Of rows that a receipt put
into force all are there, or none.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.settings import load_settings
from prediction_assets.slate.audits import AGREES, IN_RANGE, UNIQUE_KEY, AuditLimits
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.receipt import rows_digest
from prediction_assets.steps.merge import audit_limits
from prediction_assets.stores.profiles import open_stores
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import audit_sql
from prediction_assets.stores.sql.tables import CURRENT_PREDICTIONS

_PAUSE_SECONDS = 0.02
_OF_ROWS = (UNIQUE_KEY, IN_RANGE, AGREES)
_REFUSED = " + ".join(
    f"(SELECT COUNT(*) FROM ({audit_sql._OFFENDING[name]}) AS refused)" for name in _OF_ROWS
)
_LOOK = f"""
    WITH slate AS (SELECT * FROM {CURRENT_PREDICTIONS.qualified_name} WHERE game_date = $slate)
    SELECT (SELECT STRING_AGG(content_hash, ' ' ORDER BY content_hash NULLS FIRST) FROM slate) AS hashes,
           {_REFUSED} AS refused,
           (SELECT rows_digest FROM predictions.consolidation_receipts WHERE game_date = $slate
            ORDER BY sequence DESC NULLS LAST LIMIT 1) AS digest"""


@dataclass
class Polled:
    """What a reader saw.

    Attributes:
        reads: reads that were answered.
        with_rows: those of a slate with rows.
        refused: rows that a blocking audit of rows refuses.
        halves: reads whose rows weren't all those of the newest receipt, and nothing else.
        errors: reads that failed, because the warehouse was busy.
    """

    reads: int = 0
    with_rows: int = 0
    refused: int = 0
    halves: int = 0
    errors: int = 0

    def look(self, warehouse: Warehouse, slate: str, limits: AuditLimits) -> None:
        """Read the slate once."""
        marks = {
            "slate": parse_slate(slate), "most_points": limits.most_points, "least_value": limits.least_value,
        }  # fmt: skip
        try:
            (seen,) = warehouse.query(_LOOK, marks).to_pylist()
        except PredictionAssetsError:
            self.errors += 1
            return
        hashes = (seen["hashes"] or "").split()
        self.reads += 1
        self.with_rows += bool(hashes)
        self.refused += seen["refused"]
        self.halves += (rows_digest(hashes) if hashes or seen["digest"] else None) != seen["digest"]

    def add(self, other: Polled) -> None:
        """Count another reader's reads with these."""
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)

    def __str__(self) -> str:
        return (
            f"{self.reads:,} reads of a slate, {self.with_rows:,} of them with rows: {self.refused} rows that a "
            f"blocking audit refuses, {self.halves} moments with half a slate"
        )


@contextmanager
def polling(environment: Mapping[str, str], slate: str) -> Iterator[Polled]:
    """Let a process read a slate all the time for the length of a block; what it saw is known after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, slate],
        env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    seen = Polled()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield seen
        said, _ = process.communicate("", timeout=60)
        seen.add(Polled(**json.loads(said)))
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def main(slate: str) -> None:
    """Read until standard input ends, and print what was seen."""
    settings = load_settings()
    warehouse = open_stores(settings).warehouse.waiting_at_most(1.0)
    limits, seen = audit_limits(settings), Polled()
    print("reading", flush=True)  # noqa: T201
    while not select.select([sys.stdin], [], [], _PAUSE_SECONDS)[0]:
        seen.look(warehouse, slate, limits)
    print(json.dumps(asdict(seen)))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])

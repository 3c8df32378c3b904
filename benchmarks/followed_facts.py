"""From a changed fact in the warehouse to the delivered message, with the parts of that time.

    python -m benchmarks.followed_facts FOLDER CHANGES

Starts `prediction-assets dev` on a finished simulated slate of 40 players, then moves one player's line, waits for the
message, and so on. The pause between revisions is left out by waiting for it. Parts: until the sensor requested the
staging (quiet period and ticks), until the part was merged, until the message was delivered. Percentiles are those of
the changes, so a p99 of few is their maximum. Run it on a quiet machine.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from benchmarks.measuring import run, table
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.run_tags import SLATE_TAG
from prediction_assets.settings import load_settings
from prediction_assets.simulation.league import simulated_slate
from prediction_assets.stores.profiles import open_stores

PLAYERS = 40
PATIENCE_SECONDS = 600
PARTS = ("fact to staging requested", "to merged", "to delivered", "whole")


def main(folder: Path, changes: int) -> None:
    """Measure so many changes one after another."""
    home = Path(tempfile.mkdtemp(dir=folder)) / "home"
    environment = {"PREDICTION_ASSETS_HOME": str(home)}
    program = [sys.executable, "-m", "prediction_assets.cli"]
    run([*program, "run", "--simulated-players", str(PLAYERS)], environment=environment)
    slate = simulated_slate(PLAYERS).isoformat()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [*program, "dev", "--port", str(port)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        time.sleep(90)  # the code location loads, and the sensors look for the first time
        found = [_one(home, slate, number) for number in range(changes)]
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)
    rows = [
        (name, f"{statistics.median(seconds):.1f}", f"{max(seconds):.1f}")
        for name, seconds in zip(PARTS, zip(*found, strict=True), strict=True)
    ]
    print(table(("seconds", f"p50 of {changes}", "longest"), rows))


def _one(home: Path, slate: str, number: int) -> tuple[float, ...]:
    """Move a line, and return the seconds of each part."""
    settings = load_settings(home=home)
    stores = open_stores(settings)
    progress = stores.batch_state.progress(slate)
    assert progress is not None
    player = progress.batch.expected[number % PLAYERS]
    before = len(stores.outbox.entries(slate))
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute(
            "UPDATE facts.prop_lines SET line = line + 1 WHERE player_id = $who", {"who": player.player_id}
        )
        connection.execute(
            "INSERT INTO facts.versions SELECT MAX(version) + 1, 'prop_lines', now() FROM facts.versions"
        )
    changed = datetime.now(UTC)
    until = time.monotonic() + PATIENCE_SECONDS
    while len(entries := stores.outbox.entries(slate)) == before or not entries[-1].delivered_at:
        if time.monotonic() > until:
            raise TimeoutError(f"no message within {PATIENCE_SECONDS} s; see {home}")
        time.sleep(0.5)
    delivered = entries[-1].delivered_at
    merged = stores.warehouse.receipts(slate)[-1].consolidated_at
    with open_instance(settings, capture_output=False) as instance:
        import dagster as dg

        filters = dg.RunsFilter(job_name="staging", tags={SLATE_TAG: slate})
        requested = instance.get_run_records(filters, limit=1)[0].create_timestamp.replace(tzinfo=UTC)
    assert delivered is not None
    moments = (changed, requested, merged, delivered)
    time.sleep(50 * (number + 2))  # the sensor's pause between revisions is not what is measured
    parts = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(moments)]
    return *parts, (delivered - changed).total_seconds()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

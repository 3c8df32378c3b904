"""From a changed fact in the warehouse to the delivered message, with the parts of that time.

    python -m benchmarks.followed_facts FOLDER CHANGES

Starts `prediction-assets dev` on a finished simulated slate of 40 players, then moves one player's line, waits for the
message, and so on. Parts: until the sensor requested the staging (quiet period and ticks), until the part was merged,
until the message was delivered. Its pause between revisions, which isn't measured, is removed from its cursor after
each change. A p99 of fewer than 100 changes is their maximum. Run it on a quiet machine; a change takes a minute.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.scheduler.instigation import SensorInstigatorData

from benchmarks.measuring import run, table
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.run_tags import SLATE_TAG
from prediction_assets.settings import load_settings
from prediction_assets.simulation.slates import simulated_slate
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
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
        with open_instance(load_settings(home=home), capture_output=False) as instance:
            _let_it_rest(instance, slate)
        found = [_one(home, slate, number) for number in range(changes)]
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)
    rows = [
        (name, f"{statistics.median(seconds):.1f}", f"{_p99(seconds):.1f}")
        for name, seconds in zip(PARTS, zip(*found, strict=True), strict=True)
    ]
    print(table("From a changed fact to the delivered message, seconds", ("part", "p50", "p99"), rows))


def _p99(seconds: Sequence[float]) -> float:
    """Return the smallest value that at most a hundredth of them exceed: of fewer than 100 the largest."""
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]


def _one(home: Path, slate: str, number: int) -> tuple[float, ...]:
    """Move a line, and return the seconds of each part."""
    settings = load_settings(home=home)
    stores = open_stores(settings)
    progress = stores.batch_state.progress(slate)
    assert progress is not None
    before = len(stores.outbox.entries(slate))
    warehouse = stores.warehouse
    assert isinstance(warehouse, DuckDBWarehouse)
    with warehouse._connect(write=True) as connection:  # behind its lock, as an ingestion
        with_a_line = connection.execute("SELECT DISTINCT player_id FROM facts.prop_lines").fetchall()
        players = [each.player_id for each in progress.batch.expected if (each.player_id,) in with_a_line]
        connection.execute(
            "UPDATE facts.prop_lines SET line = line + 1 WHERE player_id = $who",
            {"who": players[number % len(players)]},
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
        filters = dg.RunsFilter(job_name="staging", tags={SLATE_TAG: slate})
        requested = instance.get_run_records(filters, limit=1)[0].create_timestamp.replace(tzinfo=UTC)
        assert delivered is not None
        moments = (changed, requested, merged, delivered)
        _let_it_rest(instance, slate)
    parts = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(moments)]
    return *parts, (delivered - changed).total_seconds()


def _let_it_rest(instance: dg.DagsterInstance, slate: str) -> None:
    """Remove the sensor's earlier revisions from its cursor, until it has looked and found nobody to stage again."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        states = [each for each in instance.all_instigator_state() if each.name == "refresh_sensor"]
        if not states:  # the code location loads
            time.sleep(3)
            continue
        (state,) = states
        data = state.instigator_data
        assert isinstance(data, SensorInstigatorData)
        watches = json.loads(data.cursor or "{}")
        watch = watches.get(slate, {"revisions": [0], "since": 1})
        if not watch["revisions"] and not watch["since"]:
            return
        if data.cursor:
            watch["revisions"] = []
            instance.update_instigator_state(state.with_data(data._replace(cursor=json.dumps(watches))))
        time.sleep(3)
    raise TimeoutError(f"refresh_sensor didn't rest within {PATIENCE_SECONDS} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""From a click on `slate_roster` in the UI to the delivered message: the home's launcher beside Dagster's own.

python -m benchmarks.clicked HOME PLAYERS

It copies a ready home, starts `prediction-assets dev` on it, launches the roster's job as the UI does, and waits. Then
it measures what all of `dev` takes while nothing is to be done: the ticks of its sensors, mostly.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC
from pathlib import Path

import dagster as dg
import yaml

from benchmarks.measuring import table
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.settings import load_settings
from prediction_assets.simulation.slates import simulated_slate
from prediction_assets.stores.profiles import open_stores
from prediction_assets_tests.dagster_dev import PREDICTION_ASSETS_DEV, dev_server, graphql, processes_of
from prediction_assets_tests.deployment import LAUNCH

HEADER = ("", "wall s", "ratio", "idle: cpu s a minute")
_REST_SECONDS, _IDLE_SECONDS = 20, 60
PARTS = ("run", "sensor s", "queue and start s", "run s")


def main(ready: Path, players: int) -> None:
    """Measure both launchers; print a table of both, and one of each one's parts."""
    measured, parts = [], []
    for name in ("Dagster's own launcher", "this home's"):
        home = Path(tempfile.mkdtemp(dir=ready.parent)) / "home"
        shutil.copytree(ready, home)
        wall, idle, runs = _clicked(home, players, stock=name.startswith("Dagster"))
        measured.append((name, wall, wall / measured[0][1] if measured else 1.0, idle))
        parts.append(table(f"{name}, run by run", PARTS, runs))
    print(table(f"{players} players, from the click to the delivered message", HEADER, measured))
    print(*parts, sep="\n")


def _clicked(
    home: Path, players: int, *, stock: bool
) -> tuple[float, float, list[tuple[str, float, float, float]]]:
    """Return the seconds until the message was delivered, what an idle minute costs, and the parts of each run.

    A run's parts: from the end of the run before it to its request, to its start, to its end. The last run goes on
    behind the message.
    """
    settings = load_settings(home=home)
    slate = simulated_slate(players).isoformat()
    config = settings.instance_folder / "dagster.yaml"
    if stock:
        without = yaml.safe_load(config.read_text("utf-8"))
        del without["run_launcher"]
        config.write_text(yaml.safe_dump(without), "utf-8")
    environment = {**os.environ, "PREDICTION_ASSETS_HOME": str(home)}
    outbox = open_stores(settings).outbox
    with dev_server(PREDICTION_ASSETS_DEV, home.parent / "dev.log", environment) as address:
        clicked = time.time()
        launch = LAUNCH.replace('"prediction_assets"', '"prediction_assets.definitions"')
        answer = graphql(address, launch, {"job": "roster", "config": "{}", "tags": []})["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        while not any(entry.delivery_id is not None for entry in outbox.entries(slate)):
            if time.time() - clicked > 900:
                raise TimeoutError(home)
            time.sleep(0.05)
        wall = time.time() - clicked
        time.sleep(_REST_SECONDS)
        before = _processor_seconds(home)
        time.sleep(_IDLE_SECONDS)
        idle = (_processor_seconds(home) - before) * 60 / _IDLE_SECONDS
    with open_instance(settings, capture_output=False) as instance:
        records = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    # The ready home has runs of its own.
    after = [r for r in records if r.start_time and r.end_time and r.start_time >= clicked]
    runs, ended_before = [], clicked
    for record in sorted(after, key=lambda r: r.start_time or 0):
        requested = record.create_timestamp.replace(tzinfo=UTC).timestamp()
        started, ended = record.start_time or 0, record.end_time or 0
        runs.append(
            (record.dagster_run.job_name, requested - ended_before, started - requested, ended - started)
        )
        ended_before = ended
    return wall, idle, runs


def _processor_seconds(home: Path) -> float:
    """Return the seconds of user and system time that a home's processes have taken, with their ended children's."""
    ticks = 0
    for pid in processes_of(home):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

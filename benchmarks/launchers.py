"""A run that does nothing, and the memory of four workers: the warm launcher beside Dagster's own.

python -m benchmarks.launchers FOLDER REPEATS
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.measuring import table
from prediction_assets.orchestration.instance import prepare_home
from prediction_assets.settings import load_settings
from prediction_assets_tests.code_location import CodeLocation, serving

DEFINITIONS = """
import os, threading
from pathlib import Path
import dagster as dg
import prediction_assets.definitions  # what a worker of this project imports

HERE = Path(__file__).parent

@dg.asset
def nothing(context):
    (HERE / f"pid-{context.run_id}").write_text(str(os.getpid()))

@dg.asset
def waiting(context):
    (HERE / f"pid-{context.run_id}").write_text(str(os.getpid()))
    threading.Event().wait(600)

defs = dg.Definitions(
    assets=[nothing, waiting],
    jobs=[dg.define_asset_job(f"{name}_job", [name]) for name in ("nothing", "waiting")],
    executor=dg.in_process_executor,
)
"""

WORKERS = 4


def main(folder: Path, repeats: int) -> None:
    """Measure both launchers in turn and print the table."""
    rows = []
    for name in ("Dagster's own", "warm"):
        with _launching(folder, name == "warm") as location:
            rows.append((name, _empty(location, repeats), _memory(folder, location)))
    base = rows[0]
    print(
        table(
            f"a run that does nothing, and {WORKERS} workers at once",
            ("launcher", "wall s", "ratio", f"MiB of {WORKERS}", "ratio"),
            [(name, wall, wall / base[1], memory, memory / base[2]) for name, wall, memory in rows],
        )
    )


def _empty(location: CodeLocation, repeats: int) -> float:
    """Return the median of seconds from the launch of a run that does nothing to its end; the first isn't counted."""
    taken = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        run_id = location.launch("nothing_job")
        while not location.run(run_id).is_finished:
            time.sleep(0.01)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


def _memory(folder: Path, location: CodeLocation) -> float:
    """Return the MiB of workers that run at once."""
    waiting = [location.launch("waiting_job") for _ in range(WORKERS)]
    memory = 0.0
    for run_id in waiting:
        while not (files := list(folder.rglob(f"pid-{run_id}"))) or not files[0].read_text():
            time.sleep(0.01)
        memory += _own_memory(int(files[0].read_text()))
    for run_id in waiting:
        location.instance.run_launcher.terminate(run_id)
    while not all(location.run(run_id).is_finished for run_id in waiting):
        time.sleep(0.01)
    return memory


@contextmanager
def _launching(folder: Path, warm: bool) -> Iterator[CodeLocation]:
    here = Path(tempfile.mkdtemp(dir=folder))
    (here / "code.py").write_text(DEFINITIONS, "utf-8")
    home = prepare_home(load_settings(home=here / "home"))
    config = yaml.safe_load((home / "dagster.yaml").read_text("utf-8"))
    if not warm:
        del config["run_launcher"]
    (home / "dagster.yaml").write_text(yaml.safe_dump(config), "utf-8")
    with serving(home, here / "code.py") as location:
        yield location


def _own_memory(pid: int) -> float:
    """Return a process's share of memory in MiB: a page that four processes share counts a quarter for each."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    main(Path(sys.argv[1]), int(sys.argv[2]))

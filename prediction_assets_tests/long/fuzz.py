"""5,000 random slates on DuckDB and 500 on BigQuery's emulator, in slices that end in minutes: ``make fuzz``.

A finished slice is written down and isn't run again, so ``make fuzz`` goes on where it was stopped. The embedded
warehouse's slices come first. A slice that failed ends it, and is the first of the next ``make fuzz``.
``make fuzz FUZZ_SLICE=3/20`` runs one slice on both, finished or not.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FINISHED = ROOT / "build" / "fuzz-finished"
SLICES = 20
WAREHOUSES = ("duckdb", "bigquery")
_MEMORY = Path("/dev/shm")
"""Where thousands of slates aren't synchronized to a disk file by file."""


def run_slice(warehouse: str, chosen: str) -> int:
    """Run a slice, write it down if it passed, and return pytest's exit code."""
    tests = Path(__file__).with_name("test_state_machine.py")
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        command = ["-m", "pytest", "-q", "-n", "2", "--basetemp", folder, str(tests), "-k", warehouse]
        code = subprocess.run(
            [sys.executable, *command, "--fuzz-slice", chosen], cwd=ROOT, check=False
        ).returncode
    if code == 0:
        FINISHED.parent.mkdir(exist_ok=True)
        with FINISHED.open("a", encoding="utf-8") as file:
            file.write(f"{warehouse} {chosen}\n")
    return code


def unfinished() -> list[tuple[str, str]]:
    """Return the slices that are left to run, in order: warehouse, and number of all."""
    finished = FINISHED.read_text("utf-8").splitlines() if FINISHED.exists() else []
    slices = [(each, f"{number}/{SLICES}") for each in WAREHOUSES for number in range(1, SLICES + 1)]
    return [each for each in slices if " ".join(each) not in finished]


def _slice(text: str) -> str:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no slice; write 3/20 for the third of twenty")
    return text


def main() -> None:
    """Run one slice, or all that are left until one fails; exit with pytest's code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slice", nargs="?", type=_slice, help="3/20: the third of twenty slices")
    chosen = parser.parse_args().slice
    for warehouse, each in [(name, chosen) for name in WAREHOUSES] if chosen else unfinished():
        print(f"slice {each} on {warehouse}", flush=True)  # noqa: T201
        if code := run_slice(warehouse, each):
            sys.exit(code)
    left = unfinished()
    print(f"{len(left)} of {2 * SLICES} slices are left; the finished ones are in {FINISHED}")  # noqa: T201


if __name__ == "__main__":
    main()

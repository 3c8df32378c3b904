"""``python -m benchmarks``: measure this project beside its peers and print the tables.

The defaults take minutes. The full measurement is
``--cases a b c d e f g h i j k l m --sizes 40 450 2000 5000 --peers all --repeats 3``.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.cases import CASES, Options
from benchmarks.environments import CACHE, PEERS, Peer


def main() -> None:
    """Read the command line, run the cases and print their tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this project beside its peers.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="cases:\n" + "\n".join(f"  {name}  {case.__doc__}" for name, case in CASES.items()),
    )
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=["a", "b", "h"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[40, 450], help="players per slate")
    parser.add_argument(
        "--peers", nargs="+", choices=["all", *PEERS], default=["plain"],
        help="each gets an environment of its own in .bench/, installed when it is first asked for",
    )  # fmt: skip
    parser.add_argument(
        "--repeats", type=int, default=3, help="counted, after a warm-up; 0: the warm-up counts"
    )
    parser.add_argument("--history", nargs="+", type=int, default=[10**4, 10**5, 10**6], help="rows, case b")
    parser.add_argument("--slates", type=int, default=10, help="case d; a season has 163")
    parser.add_argument("--keys", type=int, default=75_000, help="old partition keys, cases e and g")
    given = parser.parse_args()
    peers = tuple(PEERS) if "all" in given.peers else tuple(dict.fromkeys(["plain", *given.peers]))
    CACHE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
    ours = Peer("", "", named=("dagster", "duckdb", "pyarrow", "scikit-learn", "sqlalchemy"))
    print(
        f"python {platform.python_version()}, {ours.versions()}, {os.cpu_count()} CPUs, {platform.platform()}"
    )
    options = Options(
        tuple(given.sizes), peers, given.repeats, tuple(given.history), given.slates, given.keys, folder
    )
    try:
        for case in given.cases:
            CASES[case](options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()


if __name__ == "__main__":
    main()

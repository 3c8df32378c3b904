"""An environment of its own for each peer, created when it is first needed, below ``.bench/``."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".bench"
SCRIPTS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Peer:
    """Another way to do the same work on the same rows.

    Attributes:
        script: what does it: ``python SCRIPT FOLDER ROWS NUMBER``, NUMBER 0 for the first run of a folder.
        packages: what pip installs for it; none: this environment does.
        named: the packages whose versions are printed.
    """

    name: str
    script: str
    packages: tuple[str, ...] = ()
    named: tuple[str, ...] = ("duckdb",)

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        if not self.packages:
            return Path(sys.executable)
        return CACHE / "venvs" / self.script / "bin" / "python"

    @property
    def command(self) -> list[str | Path]:
        """The command, but for its arguments."""
        return [self.python, SCRIPTS / f"{self.script}.py"]

    def install(self) -> None:
        """Create its environment unless it is there and complete.

        Raises:
            subprocess.CalledProcessError: pip could not install it.
        """
        if not self.packages:
            return
        folder = CACHE / "venvs" / self.script
        wanted = folder / "installed"
        if wanted.exists() and wanted.read_text("utf-8") == json.dumps(self.packages):
            return
        print(
            f"installing {self.name} into {folder.relative_to(ROOT)}, once ...", file=sys.stderr, flush=True
        )
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *self.packages], check=True, capture_output=True)
        wanted.write_text(json.dumps(self.packages), "utf-8")

    def versions(self) -> str:
        """Return the versions of what it is made of."""
        code = "import sys, importlib.metadata as m; print(' '.join(f'{p} {m.version(p)}' for p in sys.argv[1:]))"
        found = subprocess.run(
            [self.python, "-c", code, *self.named], check=True, capture_output=True, text=True
        )
        return found.stdout.strip()


PLAIN = Peer("plain DuckDB script", "plain")
PEERS = {
    "plain": PLAIN,
    "dagster": Peer(
        "stock Dagster, single-run backfill, DuckDB IO manager",
        "stock_dagster",
        ("dagster>=1.13,<1.14", "dagster-duckdb-pandas", "pyarrow"),
        ("dagster", "dagster-duckdb", "duckdb"),
    ),
    "floor": Peer("three empty Dagster runs with as many events", "empty_dagster", named=("dagster",)),
    "dlt": Peer("dlt merge", "dlt_merge", ("dlt[duckdb]", "pyarrow"), ("dlt", "duckdb")),
    "dbt": Peer(
        "dbt-duckdb incremental",
        "dbt_incremental",
        # Later versions of dbt-core download files that pip does not install.
        ("dbt-core>=1.10,<1.12", "dbt-duckdb", "pyarrow"),
        ("dbt-core", "dbt-duckdb", "duckdb"),
    ),
    "sqlmesh": Peer(
        "SQLMesh by unique key", "sqlmesh_unique_key", ("sqlmesh", "pyarrow"), ("sqlmesh", "duckdb")
    ),
    "prefect": Peer(
        "Prefect mapped tasks", "prefect_mapped", ("prefect", "duckdb", "pyarrow"), ("prefect", "duckdb")
    ),
}

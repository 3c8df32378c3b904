"""The shipped Dagster instances: that they load, and say what keeps a killed run from blocking a slate."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from prediction_assets.settings import load_settings
from prediction_assets.slate_run import SlateRun
from prediction_assets_tests.homes import FACTS, SIMULATED

REPOSITORY = Path(__file__).resolve().parents[1]
INSTANCES = [
    REPOSITORY / "prediction_assets" / "dagster.yaml",
    REPOSITORY / "deploy" / "gcp" / "dagster.yaml",
]
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [
    Path(found).parent for found in [shutil.which("initdb")] if found
]


@pytest.mark.parametrize("path", INSTANCES, ids=["local", "gcp"])
def test_a_shipped_instance_gives_a_killed_run_s_slot_back(path):
    config = yaml.safe_load(path.read_text("utf-8"))
    monitoring = config["run_monitoring"]
    assert monitoring["enabled"] is True
    assert monitoring["free_slots_after_run_end_seconds"] > 0
    assert monitoring["max_runtime_seconds"] > 0
    assert config["concurrency"]["pools"]["default_limit"] == 1
    assert config["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    assert config["telemetry"]["enabled"] is False


def test_the_checkout_s_dagster_yaml_is_the_packaged_one():
    assert (REPOSITORY / "dagster.yaml").read_text("utf-8") == INSTANCES[0].read_text("utf-8")


@pytest.fixture
def postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A PostgreSQL server of the test's own, named in the variables that the shipped instance reads."""
    if not POSTGRES:
        if os.environ.get("CI") == "true" and Path("/usr/lib/postgresql").exists():
            pytest.fail("PostgreSQL is installed, but its programs weren't found")
        pytest.skip("no PostgreSQL server on this machine")
    bin_, data = POSTGRES[-1], tmp_path / "pg"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # PostgreSQL refuses to run as root.
    prefix = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    data.mkdir()
    if prefix:
        shutil.chown(data, "postgres")
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_uid == os.getuid() and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o011)
    run = {"check": True, "capture_output": True, "text": True, "timeout": 60}
    subprocess.run([*prefix, bin_ / "initdb", "-D", data, "-U", "dagster", "-A", "trust"], **run)
    options = f"-p {port} -k {data} -c listen_addresses=127.0.0.1 -c fsync=off"
    log = data / "log"
    start = [*prefix, bin_ / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    for name, value in {"HOST": "127.0.0.1", "USER": "dagster", "PASSWORD": "none", "DB": "postgres"}.items():
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", value)
    home = tmp_path / "dagster"
    home.mkdir()
    text = INSTANCES[1].read_text("utf-8").replace("port: 5432", f"port: {port}")
    (home / "dagster.yaml").write_text(text, "utf-8")
    yield
    subprocess.run(
        [*prefix, bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=False, capture_output=True
    )


@pytest.mark.slow
def test_a_slate_runs_on_the_postgresql_instance_in_several_staging_runs(postgres, tmp_path):
    settings = load_settings(home=tmp_path / "home", staging_run_size=3)
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        run = SlateRun(settings, instance)
        run.ingest(FACTS)
        result = run.whole(SIMULATED)
        staging = [r for r in instance.get_runs() if r.job_name == "staging"]
        assert "Postgres" in type(instance.event_log_storage).__name__
    assert (result.receipt.status, result.receipt.rows) == ("success", 200)
    assert len(staging) == 3

"""What is shipped: the sdist builds the wheel, and the wheel works where nothing else is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from prediction_assets import __version__
from prediction_assets_tests.dagster_dev import dev_server, graphql

ROOT = Path(__file__).resolve().parents[2]
BUILD_SDIST = "from setuptools.build_meta import build_sdist; build_sdist('dist')"
NOT_OURS = (
    ".git",
    ".venv",
    ".bench",
    ".prediction_assets",
    ".*_cache",
    "__pycache__",
    "build",
    "dist",
    "*.egg-info",
)
LEFT_BY_WORK = (
    ".venv/lib/left.py",
    ".bench/left.json",
    ".prediction_assets/warehouse.duckdb",
    "build/lib/prediction_assets/left.py",
    "prediction_assets/__pycache__/left.cpython-311.pyc",
)
OFFLINE = ("Temporary failure in name resolution", "Network is unreachable", "No route to host")


def call(*command: str | Path, folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command to its end and return its standard output; what it said otherwise is the failure's."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of a checkout in which people have worked."""
    checkout = tmp_path_factory.mktemp("build") / "checkout"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*NOT_OURS))
    for name in LEFT_BY_WORK:
        left = checkout / name
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text("left by work", "utf-8")
    call(sys.executable, "-c", BUILD_SDIST, folder=checkout)
    (built,) = (checkout / "dist").glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """The wheel that is built from the sdist and nothing else."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    call(*pip, "--wheel-dir", sdist.parent, sdist, folder=sdist.parent)
    (built,) = sdist.parent.glob("*.whl")
    return built


def of_the_package() -> set[str]:
    """Return the package's files, as paths from the root."""
    files = (path for path in (ROOT / "prediction_assets").rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}


def test_the_sdist_holds_the_package_and_what_a_build_needs_only(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    for_the_build = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    assert {name for name in names if ".egg-info/" not in name} == of_the_package() | for_the_build


def test_the_wheel_holds_the_package_only(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    described = f"prediction_assets-{__version__}.dist-info/"
    assert {name for name in names if not name.startswith(described)} == of_the_package()
    assert described + "licenses/LICENSE" in names


def test_in_an_empty_environment_the_wheel_runs_a_slate_and_serves_the_ui(wheel, tmp_path):
    environment, empty = tmp_path / "environment", tmp_path / "empty"
    empty.mkdir()
    # pip would take a PYTHONPATH's packages for installed ones.
    installing = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    call(sys.executable, "-m", "venv", environment, folder=empty)
    binaries = environment / "bin"
    pip = (binaries / "python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    # Without byte code: most of what is installed is never imported here.
    locked = (
        *pip,
        "install",
        "--no-compile",
        "--no-deps",
        "--require-hashes",
        "-r",
        ROOT / "requirements.txt",
    )
    try:
        call(*locked, folder=empty, environment=installing)
    except AssertionError as failure:
        if os.environ.get("CI") != "true" and any(why in str(failure) for why in OFFLINE):
            pytest.skip("the locked packages can't be downloaded: this machine is offline")
        raise
    call(*pip, "install", "--no-deps", "--no-index", wheel, folder=empty, environment=installing)
    call(*pip, "check", folder=empty, environment=installing)

    # Nothing of this test's own environment or checkout reaches it.
    alone = {"PATH": f"{binaries}:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    printed = call(
        binaries / "prediction-assets", "run", "--simulated-players", "3", folder=empty, environment=alone
    )
    assert "75 staged = 75 inserted + 0 updated + 0 unchanged" in printed
    assert [path.name for path in empty.iterdir()] == [".prediction_assets"]

    serve = (binaries / "dagster", "dev", "-m", "prediction_assets.definitions", "-p")
    with dev_server(serve, tmp_path / "dev.log", alone, empty) as address:
        answer = graphql(address, "{ assetNodes { assetKey { path } } }")
    served = {node["assetKey"]["path"][0] for node in answer["assetNodes"]}
    assert {"slate_roster", "staged_predictions", "predictions", "phase5_completion"} <= served
    shutil.rmtree(environment)

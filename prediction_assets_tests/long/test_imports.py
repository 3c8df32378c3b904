"""What a process imports when it starts, and that importing does nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import yaml

from prediction_assets.orchestration import warm_launcher, warm_process
from prediction_assets.orchestration.instance_config import packaged_text
from prediction_assets_tests.orchestration.test_settings import REFUSED, require_unloaded, run_with


def test_importing_every_module_reads_no_environment_and_writes_no_file(tmp_path):
    script = """
import importlib, os, pathlib, pkgutil, sys
os.environ["PREDICTION_ASSETS_PROFILE"] = "nonsense"
import prediction_assets
for module in pkgutil.walk_packages(prediction_assets.__path__, "prediction_assets."):
    importlib.import_module(module.name)
sys.exit(len(list(pathlib.Path.cwd().iterdir())))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_definitions_load_no_client_before_it_is_needed():
    unwanted = ("google.cloud.bigquery", "google.cloud.firestore", "sqlglot", "apprise")
    require_unloaded("import prediction_assets.definitions", *unwanted)


def test_the_home_forks_runs_from_a_process_that_starts_clean_with_the_definitions():
    launcher = yaml.safe_load(packaged_text())["run_launcher"]
    preload = ["prediction_assets.definitions", *launcher["config"]["preload"]]
    imports = "; ".join(f"import {name}" for name in preload)
    program = f"{imports}; from {warm_process.__name__} import why_not_fork; print(why_not_fork())"
    environment = {**warm_launcher.NO_THREADS, **os.environ}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


def test_the_code_location_says_it_in_the_same_line(tmp_path):
    name, value, line = REFUSED[1]
    done = run_with(
        tmp_path, name, value, "dagster", "definitions", "validate", "-m", "prediction_assets.definitions"
    )
    assert done.returncode != 0
    assert f"BadInput: {line}" in done.stdout + done.stderr

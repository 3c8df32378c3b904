"""Settings come from the environment when they are asked for, and say which variable is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.settings import load_settings


def test_the_environment_is_read_when_settings_are_loaded(monkeypatch, tmp_path):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path))
    monkeypatch.setenv("PREDICTION_ASSETS_DEADLINE_MINUTES", "45")
    settings = load_settings()
    assert (settings.home, settings.deadline_minutes) == (tmp_path, 45)


def test_a_relative_home_means_the_same_folder_wherever_a_run_works(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    home = load_settings(home=Path("here")).home
    monkeypatch.chdir("/")
    assert home == tmp_path / "here"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROFILE", "moon"),
        ("DEADLINE_MINUTES", "soon"),
        ("DEADLINE_MINUTES", "0"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("PASS_THRESHOLD", "0.7"),
        ("SIMULATED_PLAYERS", "5001"),
        ("ROSTER_CRON", "every morning"),
        ("MORNING_CHECK_CRON", "45 7"),
        ("MODEL_CRON", "61 4 1 1 1"),
    ],
)
def test_a_bad_setting_is_named_as_its_environment_variable(monkeypatch, name, value):
    monkeypatch.setenv(f"PREDICTION_ASSETS_{name}", value)
    with pytest.raises(BadInput, match=f"PREDICTION_ASSETS_{name}.*{value}"):
        load_settings()


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


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("import prediction_assets.cli", ("dagster", "sklearn", "google", "sqlglot", "apprise")),
        (
            "import prediction_assets.definitions",
            ("google.cloud.bigquery", "google.cloud.firestore", "sqlglot", "apprise"),
        ),
    ],
)
def test_heavy_clients_are_not_loaded_before_they_are_needed(command, unwanted):
    script = f"{command}\nimport sys\nprint([m for m in {unwanted!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

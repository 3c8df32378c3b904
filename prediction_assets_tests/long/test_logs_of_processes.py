"""Every process sends its lines to one sink, once: the command line, a run worker, the code server, the daemon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteRunArgs

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.run_tags import RANGE_END_TAG, RANGE_START_TAG
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets_tests.emulators import free_port
from prediction_assets_tests.homes import SIMULATED

PATIENCE_SECONDS = 180

# What the predecessor's worker did: an import logged before logging was configured, and root stayed at WARNING.
AFTER_EVERY_IMPORT = """
import importlib, logging, pkgutil, sys
import prediction_assets
for module in pkgutil.walk_packages(prediction_assets.__path__, "prediction_assets."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
logging.warning("an import that logs before logging is configured")
logging.getLogger("prediction_assets").setLevel(logging.ERROR)
"""
DAGSTER = AFTER_EVERY_IMPORT + "from dagster.__main__ import main; main()"
DAEMON = AFTER_EVERY_IMPORT + "from dagster._daemon.__main__ import main; main()"
COMMAND_LINE = AFTER_EVERY_IMPORT + "from prediction_assets.cli import main; main()"

STORY = {
    "ingest": ["game_logs from simulated-", "schedule from simulated-", "prop_lines from simulated-"],
    "roster": [" open, ", "feature snapshot"],
    "staging": ["players staged, 0 skipped, 0 failed"],
    "consolidation": [
        "batch complete",
        "parts found",
        "MERGE ",
        "audits passed",
        " published as ",
        "parts dropped",
        ": board of revision 1 in ",
    ],
}
"""The INFO lines of a slate's stages, in order."""


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def assert_told(lines: Sequence[dict[str, Any]], expected: Sequence[str]) -> None:
    """Assert that each of these texts is in exactly one INFO line."""
    told = [line["message"] for line in lines if line["severity"] == "INFO"]
    assert {text: sum(text in message for message in told) for text in expected} == dict.fromkeys(
        expected, 1
    ), told


@contextmanager
def running(
    script: str, arguments: Sequence[str], home: Path, output: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an entry point in a process group of its own, until the block ends."""
    environment = {**os.environ, "PREDICTION_ASSETS_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(found: Callable[[], bool], process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait until something is so, while the process is alive."""
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while not found():
        said = output.read_text("utf-8", "replace")[-4000:]
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        pause.wait(0.2)


def test_the_command_line_tells_a_slate_s_whole_story_once(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", COMMAND_LINE, "run", "--simulated-players", "6"],
        env={**os.environ, "PREDICTION_ASSETS_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = json_lines(done.stderr)
    assert_told(lines, [text for texts in STORY.values() for text in texts])
    about_the_slate = [line for line in lines if line["message"].startswith("slate ")]
    assert len(about_the_slate) == 10
    assert {line["severity"] for line in about_the_slate} == {"INFO"}


def worker_run(run: SlateRun, job: str, **made: Any) -> str:
    """Record a run as the daemon would, and return the arguments of its worker."""
    origin = RepositoryPythonOrigin(
        sys.executable, ModuleCodePointer("prediction_assets.definitions", "defs")
    )
    instance = run._instance
    recorded = instance.create_run_for_job(
        job_def=run._defs.resolve_job_def(job), job_code_origin=JobPythonOrigin(job, origin), **made
    )
    arguments = ExecuteRunArgs(JobPythonOrigin(job, origin), recorded.run_id, instance.get_ref())
    return arguments.get_command_args()[-1]


def test_a_run_worker_tells_its_step_s_lines(ready):
    slugs = [player.slug for player in ready.stores.batch_state.progress(SIMULATED).batch.expected]
    tags = {
        "slate": SIMULATED,
        RANGE_START_TAG: f"{SIMULATED}:{slugs[0]}",
        RANGE_END_TAG: f"{SIMULATED}:{slugs[-1]}",
    }
    home = ready._settings.home
    with open_instance(ready._settings) as capturing:  # as a deployment's instance, unlike the test homes'
        arguments = worker_run(SlateRun(ready._settings, capturing), "staging", tags=tags)
    done = subprocess.run(
        [sys.executable, "-c", DAGSTER, "api", "execute_run", arguments],
        env={**os.environ, "PREDICTION_ASSETS_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")},
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_told(json_lines(done.stderr), STORY["staging"])
    assert ready.stores.batch_state.progress(SIMULATED).unsettled == ()


@pytest.mark.parametrize(
    ("script", "command", "expected"),
    [
        (DAGSTER, ["api", "grpc", "-p", "{port}"], "code location prediction_assets"),
        (DAGSTER, ["code-server", "start", "-p", "{port}"], "code location prediction_assets"),
        (DAEMON, ["run"], "Instance is configured with the following daemons"),
    ],
    ids=["code server", "code server with reload", "daemon"],
)
def test_a_long_running_process_tells_its_first_line(tmp_path, script, command, expected):
    home, output = tmp_path / "home", tmp_path / "output"
    with open_instance(load_settings(home=home)):
        pass
    arguments = [word.format(port=free_port()) for word in command]
    arguments += ["-m", "prediction_assets.definitions"]
    with running(script, arguments, home, output) as process:
        told: Callable[[], list[dict[str, Any]]] = lambda: [  # noqa: E731
            line
            for line in json_lines(output.read_text("utf-8"))
            if line["severity"] == "INFO" and expected in line["message"]
        ]
        wait_for(lambda: bool(told()), process, output)
    # A code server asks a location twice: what there is in it, and then for its definitions.
    assert len({line["message"] for line in told()}) == 1

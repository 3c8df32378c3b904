"""Logging: whatever was imported first, every process sends every line to one sink, once."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteRunArgs

from prediction_assets.errors import BadInput
from prediction_assets.logs import JsonFormatter, Sink, TextFormatter, configure_logging
from prediction_assets.orchestration.instance import LoggedInstance, open_instance
from prediction_assets.orchestration.run_tags import RANGE_END_TAG, RANGE_START_TAG, labels_of
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import LogSettings, load_log_settings, load_settings
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
    "consolidation": ["batch complete", "parts found", "MERGE ", "audits passed", "parts dropped"],
    "completion": [" published as ", ": board of revision 1 in "],
}
"""The INFO lines of a slate's stages, in order."""


def record(message: str, level: int = logging.INFO, **attributes: Any) -> logging.LogRecord:
    made = logging.LogRecord("prediction_assets.x", level, __file__, 1, message, (), None)
    made.__dict__.update(attributes)
    return made


def raised(error: Exception) -> tuple[Any, ...]:
    try:
        raise error
    except Exception:  # noqa: BLE001  what a logger sees is what was raised
        return sys.exc_info()


# The formats


@pytest.mark.parametrize(
    ("attributes", "labels"),
    [
        ({}, None),
        ({"slate": "2026-01-02", "batch": "b"}, {"slate": "2026-01-02", "batch": "b"}),
        ({"message_id": "e", "player": "a-b"}, {"player": "a-b", "message_id": "e"}),
        (
            {"dagster_meta": {"run_id": "r", "job_tags": {"slate": "2026-01-02", "batch": "b"}}},
            {"slate": "2026-01-02", "batch": "b", "run_id": "r"},
        ),
        (
            {"dagster_meta": {"run_id": "r", "job_tags": {"dagster/partition": "2026-01-02:a-b"}}},
            {"slate": "2026-01-02", "player": "a-b", "run_id": "r"},
        ),
        (
            {"dagster_meta": {"run_id": "r", "job_tags": {"dagster/partition": "2026-01-02"}}, "slate": "2026-01-03"},
            {"slate": "2026-01-03", "run_id": "r"},
        ),
        (
            {"dagster_meta": {"job_tags": {"dagster/asset_partition_range_start": "2026-01-02:a-b"}}},
            {"slate": "2026-01-02"},
        ),
    ],
)  # fmt: skip
def test_a_line_says_what_it_is_about_in_cloud_logging_s_labels(attributes, labels):
    line = json.loads(JsonFormatter(labels_of).format(record("text", **attributes)))
    assert line.get("logging.googleapis.com/labels") == labels


def test_a_json_line_has_cloud_logging_s_fields_and_is_one_line():
    line = JsonFormatter(labels_of).format(record("two\nlines", logging.WARNING, trace="projects/p/traces/t"))
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["severity"] == "WARNING"
    assert fields["message"] == "two\nlines"
    assert fields["logging.googleapis.com/trace"] == "projects/p/traces/t"
    assert fields["timestamp"].endswith("Z")
    assert datetime.fromisoformat(fields["timestamp"]).utcoffset() is not None


@pytest.mark.parametrize(
    ("error", "traced"), [(BadInput("file", "is bad"), False), (ValueError("surprise"), True)]
)
def test_only_an_error_that_nobody_expected_brings_its_stack_trace(error, traced):
    failing = record("it failed:", logging.ERROR)
    failing.exc_info = raised(error)
    fields = json.loads(JsonFormatter(labels_of).format(failing))
    assert ("stack_trace" in fields) is traced
    assert ("Traceback" in TextFormatter().format(failing)) is traced
    assert str(error) in json.dumps(fields)


@pytest.mark.parametrize(
    ("setting", "terminal", "as_json"),
    [("auto", True, False), ("auto", False, True), ("text", False, False), ("json", True, True)],
)
def test_a_terminal_gets_text_and_everything_else_json(monkeypatch, setting, terminal, as_json):
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(LogSettings(log_format=setting), labels_of)
    logging.getLogger("prediction_assets.x").info("a line")
    assert stream.getvalue().startswith("{") is as_json
    assert "a line" in stream.getvalue()


@pytest.mark.parametrize(("name", "value"), [("LOG_LEVEL", "LOUD"), ("LOG_FORMAT", "xml")])
def test_a_bad_log_setting_is_named(monkeypatch, name, value):
    monkeypatch.setenv(f"PREDICTION_ASSETS_{name}", value)
    with pytest.raises(BadInput, match=f"PREDICTION_ASSETS_{name}.*{value}"):
        load_log_settings()


# What was there before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: logging.warning("an import that logs first"),
        lambda: logging.basicConfig(level=logging.WARNING),
        lambda: logging.disable(logging.ERROR),
        lambda: logging.getLogger("prediction_assets").setLevel(logging.ERROR),
        lambda: logging.getLogger("prediction_assets.x").setLevel(logging.ERROR),
        lambda: logging.config.dictConfig({"version": 1, "root": {"level": "ERROR"}}),
        lambda: configure_logging(LogSettings(log_level="ERROR"), labels_of),
    ],
)
def test_what_an_import_did_to_logging_before_is_put_right(capsys, spoil):
    ours, daemons = logging.getLogger("prediction_assets.x"), logging.getLogger("dagster.daemon.SensorDaemon")
    spoil()
    capsys.readouterr()
    configure_logging(LogSettings(), labels_of)
    ours.info("a line")
    daemons.info("a daemon's")
    told = capsys.readouterr().err
    assert (told.count("a line"), told.count("a daemon's")) == (1, 1)
    assert len([h for h in logging.getLogger().handlers if isinstance(h, Sink)]) == 1


def test_dagster_s_own_configuration_adds_no_second_way_out(capsys):
    from dagster._utils.log import configure_loggers

    configure_logging(LogSettings(), labels_of)
    configure_loggers()
    logging.getLogger("dagster.daemon.SensorDaemon").info("a daemon's line")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["message"] == "a daemon's line"


def test_secrets_in_the_urls_that_libraries_log_stay_out_at_every_level(capsys):
    configure_logging(LogSettings(log_level="DEBUG"), labels_of)
    logging.getLogger("urllib3.connectionpool").debug('"POST /services/SECRET HTTP/1.1" 200')
    logging.getLogger("apprise").error("json://user:SECRET@host failed")
    assert "SECRET" not in capsys.readouterr().err


# In a run


def test_a_run_s_lines_reach_the_sink_once_and_its_event_log_once(settings, instance, capsys):
    assert isinstance(instance, LoggedInstance)
    library = logging.getLogger("google.cloud.bigquery")

    @dg.asset
    def speaking(context):
        context.log.info("by the context", extra={"slate": "2026-01-02"})
        logging.getLogger("prediction_assets.x").info("by a module")
        library.warning("by a library")

    capsys.readouterr()
    result = dg.materialize([speaking], instance=instance)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    said = ["by the context", "by a module", "by a library"]
    assert [line["message"] for line in lines if line["message"].startswith("by ")] == said
    (first,) = [line for line in lines if line["message"] == said[0]]
    assert first["logging.googleapis.com/labels"] == {"slate": "2026-01-02", "run_id": result.run_id}
    logged = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert [sum(text in message for message in logged) for text in said] == [1, 1, 1]


def test_a_failing_step_is_one_line_with_its_first_cause(instance, capsys):
    @dg.asset
    def failing():
        raise BadInput("lines.csv", "is empty")

    capsys.readouterr()
    dg.materialize([failing], instance=instance, raise_on_error=False)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (told,) = [line for line in lines if "lines.csv: is empty" in line["message"]]
    assert (told["severity"], "stack_trace" in told) == ("ERROR", False)


def test_a_line_is_told_while_a_run_s_steps_have_standard_error_for_themselves():
    """Dagster turns file descriptor 2 into a file while steps go on, and may not mirror all of it."""
    script = (
        "import logging, os\n"
        "from prediction_assets.logs import configure_logging\n"
        "from prediction_assets.orchestration.run_tags import RANGE_END_TAG, RANGE_START_TAG, labels_of\n"
        "from prediction_assets.settings import LogSettings\n"
        "configure_logging(LogSettings(log_format='json'), labels_of)\n"
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"
        "configure_logging(LogSettings(log_format='json'), labels_of)\n"
        "logging.getLogger('prediction_assets').info('20 players staged')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert [line["message"] for line in json_lines(done.stderr)] == ["20 players staged"]


# Every entry point


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

"""Logging: whatever was imported first, every process sends every line to one sink, once."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import subprocess
import sys
from datetime import datetime
from typing import Any

import dagster as dg
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.logs import JsonFormatter, Sink, TextFormatter, configure_logging
from prediction_assets.orchestration.instance import LoggedInstance
from prediction_assets.orchestration.run_tags import labels_of
from prediction_assets.settings import LogSettings, load_log_settings


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
    assert [json.loads(line)["message"] for line in done.stderr.splitlines()] == ["20 players staged"]

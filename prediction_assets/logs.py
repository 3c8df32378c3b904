"""Logging: configured by the code, first thing, in every process, and one way out of it.

Everything that is logged leaves through one :class:`Sink` on standard error: text on a terminal, else one
JSON object a line with Cloud Logging's field names. The command line, the code location and the Dagster
instance (which the daemon opens) each call :func:`configure_logging`; calling it again changes nothing.
An import that logged, set levels or added handlers before is put right, which is why nobody calls
``logging.basicConfig`` here: it does nothing when the root logger has a handler already.
https://cloud.google.com/logging/docs/structured-logging
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, TextIO

from prediction_assets.errors import PredictionAssetsError, one_line, plain
from prediction_assets.settings import LogSettings

LABELS = ("slate", "player", "batch", "run_id", "message_id")
"""What a line says it is about: attributes of the record, given with ``extra=``, or the run's tags."""

_PACKAGE = __name__.partition(".")[0]
_DAGSTER = ("dagster", "dagster-webserver", "dagit")

# Alembic logs every SQLite file that Dagster opens; what the others log at lower levels contains whole URLs.
_AT_LEAST = {"alembic": logging.WARNING, "httpx": logging.WARNING, "urllib3": logging.WARNING}

_DAGSTER_META = "dagster_meta"
_OF_RUN = "of_run"


LabelsOf = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Returns what a run is about, from its tags."""


def configure_logging(settings: LogSettings, labels_of: LabelsOf) -> None:
    """Send every record of this process, from the settings' level up, to one sink on standard error."""
    level = logging.getLevelNamesMapping()[settings.log_level]
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    logging.disable(logging.NOTSET)
    logging.setLoggerClass(_Routed)
    root = logging.getLogger()
    _drop_streams(root)
    root.addHandler(Sink(TextFormatter() if as_text else JsonFormatter(labels_of)))
    root.setLevel(level)
    for logger in _existing():  # logging.config, as Alembic calls it, disables what it doesn't name
        logger.disabled = False
        if logger.name.partition(".")[0] == _PACKAGE:
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
    for name in _DAGSTER:
        logger = logging.getLogger(name)
        logger.__class__ = _Routed
        logger.propagate = True
        _drop_streams(logger)
    for name, least in _AT_LEAST.items():
        logging.getLogger(name).setLevel(max(least, level))
    silence("apprise")


def silence(name: str) -> None:
    """Keep a library's own lines from every sink; apprise's contain the URLs of alerts, which are secrets."""
    logger = logging.getLogger(name)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


class Sink(logging.Handler):
    """Writes to the standard error that the process began with, or to what replaced ``sys.stderr`` since.

    While a run's steps go on, Dagster turns file descriptor 2 into the run's compute logs. It mirrors those on
    standard error with a ``tail`` that it ends without waiting, so that on a busy machine the last lines are lost
    (https://github.com/dagster-io/dagster/issues/23336). These lines go past that. The UI shows them in the run's
    event log. A progress bar or a test that replaced ``sys.stderr`` gets them as well.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass a record on, but not a second time: what a run captured comes through the run's own logger."""
        captured = hasattr(record, _DAGSTER_META) and not hasattr(record, _OF_RUN)
        return not captured and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            stream = _first_standard_error() if sys.stderr is sys.__stderr__ else sys.stderr
            stream.write(self.format(record) + "\n")
            stream.flush()
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001  a line that can't be written must not stop a slate
            self.handleError(record)

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        _first_standard_error()


@cache
def _first_standard_error() -> TextIO:
    """Return a stream on what file descriptor 2 is now, whatever it becomes later."""
    try:
        number = sys.__stderr__.fileno()  # type: ignore[union-attr]
        return os.fdopen(os.dup(number), "w", encoding="utf-8", errors="backslashreplace")
    except (AttributeError, OSError, ValueError):  # a process without one
        return sys.stderr


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with Cloud Logging's field names."""

    def __init__(self, labels_of: LabelsOf) -> None:
        super().__init__()
        self._labels_of = labels_of

    def format(self, record: logging.LogRecord) -> str:
        message, stack = _message(record)
        about = self._about(record)
        labels = {name: str(about[name]) for name in LABELS if about.get(name)}
        fields = {
            "severity": record.levelname,
            "message": plain(message),
            "timestamp": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
            "logger": record.name,
            **({"logging.googleapis.com/labels": labels} if labels else {}),
            **({"logging.googleapis.com/trace": str(about["trace"])} if about.get("trace") else {}),
            **({"stack_trace": plain(stack)} if stack else {}),
        }
        return json.dumps(fields, ensure_ascii=False)

    def _about(self, record: logging.LogRecord) -> Mapping[str, Any]:
        """Return the labels and the trace of a record: its own attributes before the run's tags."""
        meta = getattr(record, _DAGSTER_META, None) or {}
        tags: Mapping[str, str] = meta.get("job_tags") or {}
        found: dict[str, Any] = {"run_id": meta.get("run_id"), **self._labels_of(tags)}
        for name in (*LABELS, "trace"):
            value = getattr(record, name, None)
            if value is not None:
                found[name] = value
        return found


class TextFormatter(logging.Formatter):
    """Time, level and message, for a person."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, and its stack trace below it if it has one."""
        message, stack = _message(record)
        at = datetime.fromtimestamp(record.created).astimezone()
        ours = record.name.partition(".")[0] in (_PACKAGE, "dagster")
        source = "" if ours else f"{record.name}: "
        return f"{at:%H:%M:%S} {record.levelname:<7} {source}{plain(message)}" + (
            f"\n{plain(stack)}" if stack else ""
        )


class _Routed(logging.Logger):
    """A logger of Dagster's without a stream of its own.

    Dagster gives its loggers a coloured stream, and each run one more logger that stands outside the
    hierarchy. Their records go to the sink instead, once; handlers that don't write to a standard stream,
    such as the capture into a run's event log, work as always.
    """

    def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802
        """Add a handler, unless it would be a second way out."""
        if not (_is_dagsters(self) and _writes_to_standard_stream(hdlr)):
            super().addHandler(hdlr)

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Pass a record to the handlers, and to the sink if the logger has no parent to do so."""
        if self.parent is not None:
            super().callHandlers(record)
            return
        setattr(record, _OF_RUN, True)
        root = logging.getLogger()
        for handler in (*self.handlers, *(h for h in root.handlers if isinstance(h, Sink))):
            if record.levelno >= max(handler.level, root.level):
                handler.handle(record)


def _is_dagsters(logger: logging.Logger) -> bool:
    return logger.parent is None or logger.name.partition(".")[0] in _DAGSTER


def _existing() -> Iterator[logging.Logger]:
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            yield logger


def _writes_to_standard_stream(handler: logging.Handler) -> bool:
    standard = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return isinstance(handler, Sink) or getattr(handler, "stream", None) in standard


def _drop_streams(logger: logging.Logger) -> None:
    for handler in list(logger.handlers):
        if _writes_to_standard_stream(handler):
            logger.removeHandler(handler)


def _message(record: logging.LogRecord) -> tuple[str, str]:
    """Return what a record says, and the stack trace of an error that nobody expected, else ``""``."""
    meta = getattr(record, _DAGSTER_META, None) or {}
    message = str(meta.get("orig_message") or record.getMessage())
    stack = ""
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        if isinstance(error, PredictionAssetsError):
            message += f" {type(error).__name__}: {error}"
        else:
            stack = logging.Formatter().formatException(record.exc_info)
    event = meta.get("dagster_event")
    data = getattr(event, "event_specific_data", None)
    failure = getattr(data, "error", None)
    # The end of a run repeats the error of the step that failed first.
    if failure is not None and getattr(data, "first_step_failure_event", None) is None:
        message += f" {first_cause(failure)}"
        stack = "" if is_expected(_first_cause(failure).cls_name) else failure.to_string()
    return message, stack


def first_cause(error: Any) -> str:
    """Return on one line what went wrong first, from a chain of Dagster's ``SerializableErrorInfo``.

    One of our errors in the chain is preferred: its message says what to do.
    """
    text = one_line(_first_cause(error).message)
    # Dagster's messages begin with the class and its module: "prediction_assets.errors.BadInput: lines.csv: ...".
    return re.sub(r"^(?:\w+\.)+(\w+: )", lambda found: "" if found[1] == "Failure: " else found[1], text)


def _first_cause(error: Any) -> Any:
    while error.cause is not None and not is_expected(error.cls_name):
        error = error.cause
    return error


def is_expected(class_name: str | None) -> bool:
    """Return whether an error's message says everything: it is one of ours, or a run's own ``Failure``."""

    def names(of: type[Exception]) -> Iterator[str]:
        yield of.__name__
        for child in of.__subclasses__():
            yield from names(child)

    return class_name in {"Failure", "DagsterAssetCheckFailedError", *names(PredictionAssetsError)}

"""Isolation of every test: its own environment, garbage collection and logging. Nothing of Dagster is imported here."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# No deadline: a busy machine is no fault. A property that needs more examples than 40 says so.
settings.register_profile("suite", deadline=None, max_examples=40)
settings.load_profile("suite")

# A shell's background job ignores SIGINT, and so would every server that a test starts and stops.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that ``make pictures`` and ``make fuzz`` pass on."""
    parser.addoption("--pictures", metavar="FOLDER", help="keep the documentation's pictures in this folder")
    parser.addoption("--fuzz-slice", metavar="N/SLICES", help="run this slice of the random slates")


@pytest.fixture(autouse=True)
def _usual_garbage_collection() -> Iterator[None]:
    """Set back what the command line does for a process of its own: garbage here may hold files open."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own settings or Dagster instance."""
    import os

    for name in list(os.environ):
        if name.startswith("PREDICTION_ASSETS_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Whatever a test configures, the next one finds logging as it was."""
    root, made_by, disabled = logging.getLogger(), logging.getLoggerClass(), logging.root.manager.disable
    loggers = [root, *(logging.getLogger(name) for name in ("dagster", "dagster-webserver", "dagit"))]
    kept = [(each, type(each), each.level, list(each.handlers)) for each in loggers]
    yield
    logging.setLoggerClass(made_by)
    logging.disable(disabled)
    for each, kind, level, handlers in kept:
        each.__class__ = kind
        each.setLevel(level)
        each.handlers[:] = handlers

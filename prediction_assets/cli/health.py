"""``health``: the health report of one slate."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from prediction_assets.cli.console import (
    CLOCK,
    JsonOption,
    TonightOption,
    look_into_home,
    say_json,
    simulated_label,
    standard_output,
)
from prediction_assets.errors import BadInput, PredictionAssetsError, StateUnreadable
from prediction_assets.monitoring.thresholds import WINDOW_MINUTES
from prediction_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from prediction_assets.monitoring.health_report import Report
    from prediction_assets.monitoring.reader import Sources

_PATIENCE_SECONDS = 10.0
"""Seconds; the report doesn't wait for a busy warehouse as long as a step does."""

_A_WEEK = 7 * 24 * 60

_CAUSED = "└ "
"""Before the name of a line that the one above causes."""


def health(
    minutes: Annotated[
        str, typer.Option(metavar="N", help="look for failed runs and ticks this far back, 1 to 10080")
    ] = str(WINDOW_MINUTES),
    slate: TonightOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="show the numbers of each line")] = False,
    as_json: JsonOption = False,
) -> None:
    """Report whether tonight's predictions are there.

    Ten lines from batch state, warehouse, outbox and Dagster. A line that another one causes is shown under it, and
    the commands at the end start with the most urgent one. Exits 0 green, 1 yellow, 2 red.
    """
    window = _window(minutes)
    installation = load_settings()
    settings = installation.model_copy(
        update={"call_timeout": min(installation.call_timeout, _PATIENCE_SECONDS)}
    )
    from prediction_assets.monitoring.health_report import report_on
    from prediction_assets.monitoring.reader import read_facts

    with ExitStack() as stack:
        report = report_on(read_facts(_sources(settings, stack), slate, window))
    if as_json:
        say_json(report.to_json())
    else:
        _show(report, verbose=verbose)
    raise typer.Exit(report.exit_code)


def _window(minutes: str) -> timedelta:
    if not minutes.isascii() or not minutes.isdigit() or not 1 <= int(minutes) <= _A_WEEK:
        raise BadInput(
            "--minutes",
            f"{minutes!r} is not a whole number from 1 to {_A_WEEK:,}",
            hint=f"leave it out for {WINDOW_MINUTES}",
        )
    return timedelta(minutes=int(minutes))


def _sources(settings: Settings, stack: ExitStack) -> Sources:
    from prediction_assets.monitoring.health_facts import InstanceFacts, Unreadable
    from prediction_assets.monitoring.reader import ReadInstance, Sources, in_words
    from prediction_assets.orchestration.instance import open_instance
    from prediction_assets.orchestration.instance_reader import read_instance
    from prediction_assets.orchestration.stale_reader import read_stale

    _, stores = stack.enter_context(look_into_home(settings))
    instance: ReadInstance | InstanceFacts | Unreadable = InstanceFacts((), None, ())
    if settings.owns_instance and not (settings.instance_folder / "dagster.yaml").exists():
        return Sources(stores, instance, settings, CLOCK, read_stale)  # reading doesn't create an instance
    try:
        instance = partial(read_instance, stack.enter_context(open_instance(settings)))
    except StateUnreadable as error:
        instance = Unreadable("Dagster instance", in_words(error))
    except PredictionAssetsError:  # the home itself can't be used
        raise
    except Exception as error:  # noqa: BLE001  a damaged instance is a red line; the others are still shown
        instance = Unreadable("Dagster instance", in_words(error))
    return Sources(stores, instance, settings, CLOCK, read_stale)


def _show(report: Report, *, verbose: bool) -> None:
    out = partial(standard_output().print, highlight=False, soft_wrap=True, markup=True)
    width = max(map(len, report.lines)) + len(_CAUSED)
    for line, is_caused in report.grouped():
        style, name = line.color.value, f"{_CAUSED if is_caused else ''}{line.name}"
        out(f"[{style}]{style.upper():<6}[/] {name:<{width}}  {escape(line.text)}")
        if verbose:
            for finding in line.findings:
                for key, value in finding.evidence.items():
                    out(f"{'':<{width + 9}}{key}: {escape(_plain(value))}")
    style, label = report.color.value, simulated_label(report.league)
    out(f"[bold {style}]{escape(report.summary)}[/]{label}")
    for root in report.roots:
        out(f"  next: {escape(root.command)}")
        if root.link:
            out(f"        {escape(root.link)}")


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items()) or "none"
    return "none" if value is None else str(value)

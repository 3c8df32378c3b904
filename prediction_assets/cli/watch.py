"""``status --watch``: a slate in progress, looked at again and again until it is announced."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from prediction_assets.cli import INTERRUPTED
from prediction_assets.cli.console import CLOCK, PARTIAL, simulated_label, standard_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from prediction_assets.settings import Settings
    from prediction_assets.slate.batch import Progress
    from prediction_assets.stores.profiles import Stores

SECONDS = {"local": 1.0, "gcp": 15.0}
"""Seconds between two looks: one reads every outcome of the slate, and Firestore bills each."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a slate stands."""

    progress: Progress | None  # None before the batch is opened
    step: str  # what the slate waits for
    code: int | None = None  # the exit code with which watching ends, None while the slate is in progress


def standing(stores: Stores, slate: str, now: datetime) -> Standing:
    """Look once: at batch state, and at the outbox when nothing but the message can be missing."""
    from prediction_assets.slate.completion_message import is_announced
    from prediction_assets.slate.next_step import Step, next_step

    progress = stores.batch_state.progress(slate)
    if progress is None:
        return Standing(None, "its roster isn't open yet")
    step, receipt = next_step(progress, now), progress.receipt
    if step is not Step.NOTHING:
        return Standing(progress, step.value)
    if receipt is None:
        return Standing(progress, "nothing to predict", 0)
    if not is_announced(receipt, stores.outbox.entries(slate)):
        return Standing(progress, f"the message of revision {receipt.revision}")
    code = 0 if receipt.status == "success" else PARTIAL
    return Standing(progress, f"nothing: revision {receipt.revision} is announced, {receipt.status}", code)


def watch(
    stores: Stores, settings: Settings, slate: str, *, wait: Callable[[float], None] = time.sleep
) -> int:
    """Show a slate until it is announced or the user presses Ctrl-C, and return the exit code.

    A terminal shows it live; elsewhere the last look is printed.
    """
    from rich.live import Live

    zone = ZoneInfo(settings.time_zone)
    with Live(console=standard_output(), auto_refresh=False) as live:
        try:
            while True:
                now = CLOCK.now()
                found = standing(stores, slate, now)
                live.update(picture(slate, found, now.astimezone(zone)), refresh=True)
                if found.code is not None:
                    return found.code
                wait(SECONDS[settings.profile])
        except KeyboardInterrupt:
            return INTERRUPTED


def picture(slate: str, found: Standing, now: datetime) -> RenderableType:
    """Return what a look shows; moments are in the zone of ``now``."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    from prediction_assets.slate.outcome import Outcome

    progress = found.progress
    table = Table(
        title=f"slate {slate}{simulated_label(progress.batch.league) if progress else ''}", show_header=False
    )
    table.add_row("at", f"{now:%H:%M:%S %Z}")
    table.add_row("waits for", found.step)
    if progress is not None:
        expected, unsettled = len(progress.batch.expected), len(progress.unsettled)
        counts = ", ".join(f"{progress.count(outcome)} {outcome.value}" for outcome in Outcome)
        table.add_row("players", f"{expected} expected: {counts}, {unsettled} unsettled")
        table.add_row(
            "settled", ProgressBar(total=max(expected, 1), completed=expected - unsettled, width=40)
        )
        deadline = progress.batch.deadline.astimezone(now.tzinfo)
        minutes = (deadline - now).total_seconds() / 60
        table.add_row(
            "deadline", f"{deadline:%H:%M %Z}, {'in' if minutes > 0 else 'past by'} {abs(minutes):.0f} min"
        )
    return table

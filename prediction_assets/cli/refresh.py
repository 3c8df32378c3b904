"""``refresh``: stage again whose facts changed, merge and announce; or only say who that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from prediction_assets.cli.console import (
    CLOCK,
    PARTIAL,
    DryRunOption,
    RequiredSlateOption,
    look_into_home,
    open_slate_run,
    say,
)

if TYPE_CHECKING:
    from prediction_assets.steps.refresh import Refresh


def refresh(slate: RequiredSlateOption, dry_run: DryRunOption = False) -> None:
    """Stage again the players whose facts changed, and publish them.

    Names each affected player and why: his line moved, he was ruled out, his game moved. A player whose game has begun
    keeps his rows. Exit code 1 when a player failed.
    """
    from prediction_assets.steps.refresh import read_refresh
    from prediction_assets.stores.protocols import open_progress

    with look_into_home() as (settings, stores):
        progress = open_progress(stores.batch_state, slate)
        found = read_refresh(progress, stores.warehouse, CLOCK.now(), markets=settings.markets)
    _show(found)
    if dry_run or not found.is_needed:
        say(f"slate {slate}: {'nothing was changed' if found.is_needed else 'nobody has to be staged again'}")
        return
    with open_slate_run() as (_, runner):
        result = runner.refresh(slate, CLOCK.now())
    if result.receipt is None or result.entry is None:
        say(f"slate {slate}: nothing to predict")
        return
    again = "" if result.published else " (its rows are the same, not published again)"
    say(
        f"slate {slate}: {result.receipt.status}, revision {result.receipt.revision}, message "
        f"{result.entry.message_id}{again}; see `prediction-assets diff --slate {slate}`"
    )
    if result.receipt.status != "success":
        raise typer.Exit(PARTIAL)


def _show(found: Refresh) -> None:
    for players, what in ((found.due, ""), (found.late, " (too late: his rows stay)")):
        for slug, causes in players.items():
            say(f"{slug}: {', '.join(causes)}{what}")
    for slug in found.roster.added:
        say(f"{slug}: newly expected")
    for slug in found.roster.changed:
        say(f"{slug}: in another team or game, or against another opponent")

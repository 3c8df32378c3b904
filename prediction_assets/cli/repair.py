"""Repair a slate by hand, one step at a time: ``consolidate``, ``republish``, ``clean-up``.

Each command is safe to repeat, and ``--dry-run`` says what it would do. ``run`` does all steps at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from prediction_assets.cli.console import (
    CLOCK,
    PARTIAL,
    DryRunOption,
    RequiredSlateOption,
    look_into_home,
    open_slate_run,
)
from prediction_assets.errors import PredictionAssetsError


def consolidate(
    slate: RequiredSlateOption,
    before_deadline: Annotated[
        bool, typer.Option("--before-deadline", help="consolidate now, without the unsettled players")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Merge, check and clean up one slate.

    It doesn't announce the result: the sensor does, or `republish`. Exit code 1 when a player failed or is unsettled.
    """
    if dry_run:
        _show_plan(slate)
        return
    from prediction_assets.stores.protocols import open_progress

    with open_slate_run() as (_, runner):
        open_progress(
            runner.stores.batch_state, slate
        )  # a mistyped slate is refused here, and is no failed run
        receipt = runner.consolidate(slate, before_deadline=before_deadline)
    typer.echo(
        f"slate {slate}: receipt {receipt.receipt_id} ({receipt.status}, revision {receipt.revision}): "
        f"{receipt.rows_staged:,} staged = {receipt.rows_inserted:,} inserted + {receipt.rows_updated:,} updated "
        f"+ {receipt.rows_unchanged:,} unchanged; {receipt.rows_superseded:,} superseded; "
        f"{receipt.rows:,} rows in force"
    )
    if receipt.status != "success":
        raise typer.Exit(PARTIAL)


def _show_plan(slate: str) -> None:
    from prediction_assets.slate.merge_plan import plan
    from prediction_assets.steps.merge import audit_limits, read_outcomes

    with look_into_home() as (settings, stores):
        progress, receipts = read_outcomes(slate, stores.warehouse, stores.batch_state)
        found = plan(progress, receipts, limits=audit_limits(settings))
        rows = sum(part.rows for part in found.parts)
        known = any(receipt.receipt_id == found.receipt_id for receipt in receipts)
        typer.echo(
            f"slate {slate}: would {'find' if known else 'write'} receipt {found.receipt_id} ({found.status}): "
            f"{'nothing' if known else f'{len(found.parts)} parts with {rows:,} rows'} to merge; "
            f"{len(found.staged_player_ids)} of {found.expected_players} players staged, "
            f"{found.skipped_players} skipped, {found.failed_players} failed or unsettled"
        )
        for player in found.missing:
            typer.echo(f"  {player.player_slug}: {player.outcome}: {player.reason}")


def republish(slate: RequiredSlateOption, dry_run: DryRunOption = False) -> None:
    """Deliver a slate's newest completion message again.

    Also when it was never delivered. It keeps its id, by which consumers recognize it.
    """
    from prediction_assets.slate.completion_message import is_announced, message_id

    with open_slate_run() as (_, runner):
        receipts = runner.stores.warehouse.receipts(slate)
        if not receipts:
            raise PredictionAssetsError(
                f"slate {slate}: no receipt, so there is nothing to announce; run "
                f"`prediction-assets consolidate --slate {slate}` first"
            )
        receipt = receipts[-1]
        announced = is_announced(receipt, runner.stores.outbox.entries(slate))
        what = f"message {message_id(receipt)} of receipt {receipt.receipt_id} (revision {receipt.revision})"
        again = "again, under the same id" if announced else "for the first time"
        if dry_run:
            typer.echo(f"slate {slate}: would deliver {what} {again}")
            return
        entry = runner.announce(receipt, redeliver=True)
    typer.echo(f"slate {slate}: delivered {what} {again}, as {entry.delivery_id}")


def clean_up(slate: RequiredSlateOption, dry_run: DryRunOption = False) -> None:
    """Drop staged parts that are merged.

    Old parts that no outcome needs are dropped, too; all other parts stay.
    """
    from prediction_assets.steps.cleanup import droppable_parts

    with open_slate_run() as (_, runner):
        found = droppable_parts(slate, runner.stores.warehouse, runner.stores.batch_state, now=CLOCK.now())
        droppable = {**found.merged, **found.orphaned}
        if dry_run:
            typer.echo(
                f"slate {slate}: would drop {len(droppable)} parts and keep {len(found.kept)}"
                + "".join(f"\n  {slug} {part_id}" for slug, part_id in sorted(droppable.items()))
            )
            return
        dropped = runner.clean_up(slate) if droppable or found.kept else 0
    typer.echo(f"slate {slate}: dropped {dropped} parts, kept {len(found.kept)}")

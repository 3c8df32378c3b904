"""Repair a slate by hand, one step at a time: ``consolidate``, ``republish``, ``clean-up``.

Each is safe to repeat and says with ``--dry-run`` what it would do. For everything at once there is ``run``.
"""

from __future__ import annotations

from typing import Annotated

import typer

from prediction_assets.cli.console import PARTIAL, DryRunOption, RequiredSlateOption, open_slate_run
from prediction_assets.errors import PredictionAssetsError


def consolidate(
    slate: RequiredSlateOption,
    before_deadline: Annotated[
        bool, typer.Option("--before-deadline", help="consolidate now, without players who have not settled")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Merge, check and clean up one slate.

    What is staged is merged, the result is checked, and the merged parts are dropped. The completion is the
    sensor's, or `republish`.
    """
    with open_slate_run() as (_, runner):
        if dry_run:
            work = runner.plan(slate)
            rows = sum(part.rows for part in work.parts)
            known = any(r.receipt_id == work.receipt_id for r in runner.warehouse.receipts(slate))
            typer.echo(
                f"slate {slate}: would {'find' if known else 'write'} receipt {work.receipt_id} ({work.status}): "
                f"{'nothing' if known else f'{len(work.parts)} parts with {rows:,} rows'} to merge; "
                f"{len(work.staged_player_ids)} of {work.expected_players} players staged, "
                f"{work.skipped_players} skipped, {work.failed_players} failed or unsettled"
            )
            for player in work.missing:
                typer.echo(f"  {player.player_slug}: {player.outcome}: {player.reason}")
            return
        receipt = runner.consolidate(slate, before_deadline=before_deadline)
    typer.echo(
        f"slate {slate}: receipt {receipt.receipt_id} ({receipt.status}, revision {receipt.revision}): "
        f"{receipt.rows_staged:,} staged = {receipt.rows_inserted:,} inserted + {receipt.rows_updated:,} updated "
        f"+ {receipt.rows_unchanged:,} unchanged; {receipt.rows_superseded:,} superseded; "
        f"{receipt.rows:,} rows in force"
    )
    if receipt.status != "success":
        raise typer.Exit(PARTIAL)


def republish(slate: RequiredSlateOption, dry_run: DryRunOption = False) -> None:
    """Deliver a slate's newest completion message again.

    Or for the first time. Consumers know it by its id.
    """
    from prediction_assets.slate.completion_message import is_announced, message_id

    with open_slate_run() as (_, runner):
        receipts = runner.warehouse.receipts(slate)
        if not receipts:
            raise PredictionAssetsError(
                f"slate {slate}: no receipt, so there is nothing to announce; consolidate it first"
            )
        receipt = receipts[-1]
        announced = is_announced(receipt, runner.events(slate))
        what = f"event {message_id(receipt)} of receipt {receipt.receipt_id} (revision {receipt.revision})"
        again = "again, under the same id" if announced else "for the first time"
        if dry_run:
            typer.echo(f"slate {slate}: would deliver {what} {again}")
            return
        event = runner.announce(receipt, redeliver=True)
    typer.echo(f"slate {slate}: delivered {what} {again}, as {event.delivery_id}")


def clean_up(slate: RequiredSlateOption, dry_run: DryRunOption = False) -> None:
    """Drop staged parts that are merged.

    Old parts that no outcome needs are dropped, too; all other parts stay.
    """
    with open_slate_run() as (_, runner):
        found = runner.droppable(slate)
        droppable = {**found.merged, **found.orphaned}
        if dry_run:
            typer.echo(
                f"slate {slate}: would drop {len(droppable)} parts and keep {len(found.kept)}"
                + "".join(f"\n  {slug} {part_id}" for slug, part_id in sorted(droppable.items()))
            )
            return
        dropped = runner.clean_up(slate) if droppable or found.kept else 0
    typer.echo(f"slate {slate}: dropped {dropped} parts, kept {len(found.kept)}")

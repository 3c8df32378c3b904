"""Repair a slate by hand, one step at a time: ``consolidate``, ``revert``, ``republish``, ``clean-up``.

Each command is safe to repeat, and ``--dry-run`` says what it would do. ``run`` does all steps at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

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
from prediction_assets.errors import BadInput, PredictionAssetsError, one_line

if TYPE_CHECKING:
    from prediction_assets.slate.receipt import Receipt


def consolidate(
    slate: RequiredSlateOption,
    before_deadline: Annotated[
        bool, typer.Option("--before-deadline", help="consolidate now, without the unsettled players")
    ] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept", metavar="AUDIT", help="accept that this audit refuses the slate; may be repeated"
        ),
    ] = None,
    because: Annotated[
        str, typer.Option("--because", metavar="TEXT", help="why; the receipt and the message keep it")
    ] = "",
    dry_run: DryRunOption = False,
) -> None:
    """Merge, check and clean up one slate.

    It doesn't announce the result: the sensor does, or `republish`. Exit code 1 when a player failed or is unsettled.
    """
    accepted = _accepted(accept or [], because)
    if dry_run:
        _show_plan(slate, accepted)
        return
    from prediction_assets.stores.protocols import open_progress

    with open_slate_run() as (_, runner):
        # A mistyped slate is refused here, and is no failed run.
        open_progress(runner.stores.batch_state, slate)
        receipt = runner.consolidate(
            slate, before_deadline=before_deadline, accept=[*accepted], because=one_line(because)
        )
    _show_receipt(receipt)
    if receipt.status != "success":
        raise typer.Exit(PARTIAL)


def revert(
    slate: RequiredSlateOption,
    revision: Annotated[int, typer.Option("--revision", metavar="N", help="the revision to publish again")],
    dry_run: DryRunOption = False,
) -> None:
    """Publish an earlier revision of one slate again.

    Its rows become a new revision, which is audited and announced like any other; `predictions` lists what there is.
    """
    from prediction_assets.steps.revert import read_reversal

    if dry_run:
        with look_into_home() as (_, stores):
            found = read_reversal(slate, revision, stores.warehouse, stores.batch_state, CLOCK.now())
        say(
            f"slate {slate}: would publish revision {revision} again: {sum(map(len, found.parts.values())):,} rows of "
            f"{len(found.parts)} players; {len(found.without_rows)} expected players without rows"
        )
        return
    with open_slate_run() as (_, runner):
        # What can't be reverted to is refused here, and is no failed run.
        found = read_reversal(
            slate, revision, runner.stores.warehouse, runner.stores.batch_state, CLOCK.now()
        )
        receipt = runner.consolidate(slate, revert_to=revision)
        entry = runner.announce(receipt)
    _show_receipt(receipt)
    found.require_in_force(receipt)
    say(
        f"slate {slate}: revision {revision} is in force again, as revision {receipt.revision}; "
        f"message {entry.message_id}"
    )


def _accepted(names: list[str], because: str) -> dict[str, str]:
    """Return why each audit's refusal is accepted, before a run is started.

    Raises:
        BadInput: a name is no audit's, or of one that can't be accepted; or one of name and reason is missing.
    """
    from prediction_assets.slate.audits import require_acceptable

    if because and not names:
        raise BadInput("--because", "nothing is accepted", hint="name the audit with --accept")
    return dict(require_acceptable(dict.fromkeys(names, one_line(because))))


def _show_receipt(receipt: Receipt) -> None:
    say(
        f"slate {receipt.slate}: receipt {receipt.receipt_id} ({receipt.status}, revision {receipt.revision}): "
        f"{receipt.rows_staged:,} staged = {receipt.rows_inserted:,} inserted + {receipt.rows_updated:,} updated "
        f"+ {receipt.rows_unchanged:,} unchanged; {receipt.rows_superseded:,} superseded; "
        f"{receipt.rows:,} rows in force"
    )
    for each in receipt.accepted:
        say(f"  accepted: {each['name']}, because {each['because']}")


def _show_plan(slate: str, accepted: dict[str, str]) -> None:
    from prediction_assets.slate.final_rows import final_outcomes
    from prediction_assets.slate.merge_plan import plan
    from prediction_assets.steps.merge import audit_limits, read_outcomes, seen_revisions

    with look_into_home() as (settings, stores):
        progress, receipts = read_outcomes(slate, stores.warehouse, stores.batch_state)
        late = {done.player_slug: done for done in final_outcomes(progress, receipts, CLOCK.now())}
        progress = replace(progress, outcomes={**progress.outcomes, **late})
        seen = seen_revisions(progress, stores.outbox, stores.publisher)
        found = plan(progress, receipts, limits=audit_limits(settings), accepted=accepted, seen=seen)
        rows = sum(part.rows for part in found.parts)
        known = any(receipt.receipt_id == found.receipt_id for receipt in receipts)
        say(
            f"slate {slate}: would {'find' if known else 'write'} receipt {found.receipt_id} ({found.status}): "
            f"{'nothing' if known else f'{len(found.parts)} parts with {rows:,} rows'} to merge; "
            f"{len(found.staged_player_ids)} of {found.expected_players} players staged, "
            f"{found.skipped_players} skipped, {found.failed_players} failed or unsettled"
        )
        for player in found.missing:
            say(f"  {player.player_slug}: {player.outcome}: {player.reason}")


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
            say(f"slate {slate}: would deliver {what} {again}")
            return
        entry = runner.announce(receipt, redeliver=True)
    say(f"slate {slate}: delivered {what} {again}, as {entry.delivery_id}")


def acknowledge(
    slate: RequiredSlateOption,
    revision: Annotated[int, typer.Option("--revision", metavar="N", help="the revision that phase 6 has")],
) -> None:
    """Record that phase 6 has a revision of one slate.

    For a consumer without a topic or folder to answer through. Repeated, it changes nothing.
    """
    with look_into_home() as (_, stores):
        entries = {entry.revision: entry for entry in stores.outbox.entries(slate)}
        if revision not in entries:
            raise PredictionAssetsError(
                f"slate {slate}: the outbox has no revision {revision}, only "
                f"{', '.join(map(str, sorted(entries))) or 'none'}; see `prediction-assets messages --slate {slate}`"
            )
        entry = stores.outbox.mark_acknowledged(entries[revision].message_id, CLOCK.now())
    newest = max(entries)
    older = "" if revision == newest else f"; the newest one is {newest}"
    say(
        f"slate {slate}: revision {revision} was acknowledged at {entry.acknowledged_at:%Y-%m-%d %H:%M:%SZ}{older}"
    )


def clean_up(slate: RequiredSlateOption, dry_run: DryRunOption = False) -> None:
    """Drop staged parts that are merged.

    Parts that no outcome can need any more are dropped, too; all other parts stay.
    """
    from prediction_assets.steps.cleanup import droppable_parts

    with open_slate_run() as (_, runner):
        found = droppable_parts(slate, runner.stores.warehouse, runner.stores.batch_state, now=CLOCK.now())
        droppable = sorted([*found.merged, *found.orphaned])
        if dry_run:
            say(
                f"slate {slate}: would drop {len(droppable)} parts and keep {len(found.kept)}"
                + "".join(f"\n  {slug} {part_id}" for slug, part_id in droppable)
            )
            return
        dropped = runner.clean_up(slate) if droppable or found.kept else 0
    say(f"slate {slate}: dropped {dropped} parts, kept {len(found.kept)}")

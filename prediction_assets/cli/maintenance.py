"""Maintenance by hand: ``prune``."""

from __future__ import annotations

import typer

from prediction_assets.cli.console import DryRunOption, open_slate_run


def prune(dry_run: DryRunOption = False) -> None:
    """Delete the partition keys of slates older than keep_partitions_days; rows and receipts stay."""
    deleted = 0
    with open_slate_run() as (settings, runner):
        while True:
            chosen = runner.prune(dry_run=dry_run)
            deleted += len(chosen.keys)
            if chosen.keys:
                first, *_, last = chosen.keys if len(chosen.keys) > 1 else (*chosen.keys, *chosen.keys)
                typer.echo(
                    f"{'would delete' if dry_run else 'deleted'} {chosen.key_count:,} partition keys of "
                    f"{len(chosen.keys):,} slates, {first} .. {last}; {chosen.later:,} older slates are left"
                )
            if dry_run or not chosen.keys or not chosen.later:
                break
    for slate, reason in chosen.kept.items():
        typer.echo(f"  {slate} keeps its keys: {reason}")
    if not deleted:
        typer.echo(f"nothing to prune: no finished slate is older than {settings.keep_partitions_days} days")

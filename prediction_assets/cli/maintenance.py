"""Maintenance by hand: ``prune``, and ``migrate`` after an upgrade."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer

from prediction_assets.cli.console import CLOCK, FAILED, DryRunOption, open_home, say
from prediction_assets.errors import PredictionAssetsError
from prediction_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from prediction_assets.stores.versions import StoreSchema


def prune(dry_run: DryRunOption = False) -> None:
    """Prune old history.

    All that is older than its keep_days; what is in force, open or undelivered stays.
    """
    from prediction_assets.orchestration.instance import open_instance
    from prediction_assets.orchestration.pruning import prune_slices
    from prediction_assets.retention.kinds import History

    failed = 0
    settings, stores = open_home()
    with open_instance(settings) as instance:
        history = History(
            stores.warehouse,
            stores.batch_state,
            stores.dead_letters,
            stores.outbox,
            stores.alerts,
            CLOCK.now(),
        )
        removed: Counter[str] = Counter()
        verbs: dict[str, str] = {}
        kept: dict[str, str] = {}
        more: set[str] = set()
        goes_on = True
        while goes_on:
            goes_on = False
            kept.clear()
            for kind, outcome in prune_slices(instance, history, settings, dry_run=dry_run):
                if isinstance(outcome, PredictionAssetsError):
                    failed += 1
                    say(f"error: {kind.name}: {outcome}", err=True)
                    continue
                removed[kind.name] += outcome.removed
                verbs[kind.name] = f"would {kind.verb}" if dry_run else f"{kind.verb}d"
                if dry_run and outcome.left:
                    more.add(kind.name)
                kept.update({f"{kind.name} of {what}": why for what, why in outcome.kept.items()})
                goes_on = goes_on or (not dry_run and not failed and outcome.removed > 0 and outcome.left > 0)
    for what, why in kept.items():
        say(f"  kept {what}: {why}")
    for name, count in removed.items():
        if count:
            later = ", and more in later slices" if name in more else ""
            say(f"{verbs[name]} {count:,} {name}{later}")
    if failed:
        raise typer.Exit(FAILED)
    if not removed.total():
        say("nothing to prune: nothing is older than it is kept")


def migrate(dry_run: DryRunOption = False) -> None:
    """Update the stores and dagster.yaml after an upgrade.

    Safe to repeat.
    """
    settings = load_settings()
    from prediction_assets.stores.profiles import open_stores

    stores = open_stores(settings).versioned()
    for store in stores:
        store.schema()  # a store that is too new is refused before any store is changed
    for store in stores:
        _print_schema(store.schema() if dry_run else store.migrate(), dry_run=dry_run)
    if settings.profile == "local" and settings.owns_instance:
        _migrate_instance_config(settings, dry_run=dry_run)
    _check_dagsters_storage(settings)


def _print_schema(found: StoreSchema, *, dry_run: bool) -> None:
    if not found.is_there:
        say(f"{found.store}: not there yet; the first write creates it at version {found.known}")
    elif found.is_current:
        say(f"{found.store}: version {found.known}, nothing to do")
    else:
        earlier = f"version {found.found}" if found.found is not None else "no version recorded"
        say(f"{found.store}: {earlier}, {'would be' if dry_run else 'now'} {found.known}")
        for change in found.changes:
            say(f"  {change}")


def _migrate_instance_config(settings: Settings, *, dry_run: bool) -> None:
    from prediction_assets.orchestration.instance_config import Origin, examine, packaged_text, renew

    path = settings.instance_folder / "dagster.yaml"
    packaged = packaged_text()
    config = examine(path.read_text("utf-8") if path.exists() else None, packaged)
    text = f"{path}: {config.origin.value}"
    if config.origin is Origin.EARLIER:
        if not dry_run:
            renew(path, packaged)
        text += f", {'would be renewed' if dry_run else 'renewed; restart the daemon, the UI and the code server'}"
    elif config.origin is Origin.EDITED:
        text += ", left alone; move it away to get the packaged one" + (
            ", or copy what it lacks from there" if config.lacks else ""
        )
    say(text)
    for each in config.lacks:
        say(f"  lacks {each}")
    for each in config.differs:
        say(f"  has {each}")


def _check_dagsters_storage(settings: Settings) -> None:
    if not (settings.instance_folder / "dagster.yaml").exists():
        return
    from prediction_assets.orchestration.instance import open_instance, outdated_storages

    with open_instance(settings) as instance:
        behind = outdated_storages(instance)
    if behind:
        say(
            f"Dagster's own storage is behind: {', '.join(behind)}; stop the daemon, the UI and the code server, "
            f"and run `DAGSTER_HOME={settings.instance_folder} dagster instance migrate`"
        )
    else:
        say(f"{settings.instance_folder}: Dagster's own storage is current")

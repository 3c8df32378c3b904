"""``backfill``: closes what ``coverage`` finds, with the assets that run every day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prediction_assets.cli.console import CLOCK, PARTIAL, look_into_home, open_slate_run, say
from prediction_assets.cli.forecasting import FromOption, ToOption, grade_slates, span
from prediction_assets.errors import BadInput, PredictionAssetsError
from prediction_assets.settings import Settings, load_settings
from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate

if TYPE_CHECKING:
    from prediction_assets.monitoring.coverage import Day
    from prediction_assets.orchestration.slate_run import SlateRun
    from prediction_assets.stores.profiles import Stores

_FACTS = ("schedule", "game_logs")
"""The facts that a date has to have; lines and reports of the past can't be asked for."""


def backfill(
    since: FromOption,
    until: ToOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be done, and do nothing")
    ] = False,
) -> None:
    """Close what `coverage` finds, in date order.

    Ingests missing facts from the sources of the settings, then runs, announces and grades slates. Killed and
    started again, it goes on with what is still missing. Exit code 1 when something stays missing.
    """
    first, last = span(since, until)
    today = CLOCK.now().astimezone(GAME_TIME_ZONE).date()
    if first > today:
        raise BadInput("--from", f"{first} is still to come", hint="a slate to come is opened on its day")
    last, settings = min(last, today), load_settings()
    if dry_run:
        with look_into_home(settings) as (_, stores):
            days = _covered(stores, first, last, today)
        for what, _ in _ingestions(days, settings):
            say(f"would {what}")
        for day in days:
            for step in steps(day):
                say(f"would {step} {day.slate}")
        raise typer.Exit(PARTIAL if any(day.missing for day in days) else 0)
    with open_slate_run(settings) as (_, runner):
        is_closed = close(runner, settings, first, last, today)
    if not is_closed:
        raise typer.Exit(PARTIAL)


def close(runner: SlateRun, settings: Settings, first: date, last: date, today: date) -> bool:
    """Close what the dates lack, and return whether nothing is missing any more."""
    failed = 0
    for what, facts in _ingestions(_covered(runner.stores, first, last, today), settings):
        say(what)
        try:
            if facts:
                runner.ingest(facts)
        except PredictionAssetsError as error:  # a slate may have what it needs
            failed += 1
            say(f"{what}: {error}", err=True)
    for day in _covered(runner.stores, first, last, today):
        for step in steps(day):
            try:
                say(f"{step} {day.slate}: {_do(runner, step, day.slate)}")
            except PredictionAssetsError as error:  # the other slates don't wait for this one
                failed += 1
                say(f"{step} {day.slate}: {error}", err=True)
    lacking = [day for day in _covered(runner.stores, first, last, today) if day.missing]
    for day in lacking:
        say(f"{day.slate} still lacks {', '.join(day.missing)}", err=True)
    return not failed and not lacking


def steps(day: Day) -> tuple[str, ...]:
    """Return what a date's slate lacks, as the steps that make it: run, announce, grade."""
    lacks = set(day.missing)
    made = "run" if lacks & {"roster", "predictions"} else "announce" if "message" in lacks else ""
    return tuple(step for step in (made, "grade" if "grades" in lacks else "") if step)


def _covered(stores: Stores, first: date, last: date, today: date) -> Sequence[Day]:
    from prediction_assets.monitoring.coverage import coverage

    return coverage(stores.warehouse, stores.outbox, first, last, today)


def _ingestions(days: Sequence[Day], settings: Settings) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Yield each ingestion that missing facts need: what it does, and the configuration of its assets."""
    from prediction_assets.ingest.seasons import season_of

    lacking = {
        facts: sorted({season_of(parse_slate(day.slate)) for day in days if facts in day.missing})
        for facts in _FACTS
    }
    for season in sorted({season for seasons in lacking.values() for season in seasons}):
        of_season = [facts for facts in _FACTS if season in lacking[facts]]
        live = [facts for facts in of_season if set(settings.sources(facts)) - {"files"}]
        if live:
            yield f"ingest {', '.join(live)} of {season}", {facts: {"season": season} for facts in live}
    files = [facts for facts in _FACTS if lacking[facts] and settings.sources(facts) == ("files",)]
    named = [facts for facts in files if settings.names(facts)]
    if named:
        yield f"ingest {', '.join(named)} from their files", {facts: {} for facts in named}
    for facts in files:
        if facts not in named:
            option = f"--{facts.replace('_', '-')}"
            yield f"skip {facts}: no source is set; `prediction-assets ingest {option} FILE`", {}


def _do(runner: SlateRun, step: str, slate: str) -> str:
    day = parse_slate(slate)
    if step == "run":
        is_open = runner.stores.batch_state.progress(slate) is not None
        receipt = runner.whole(slate, reopen=is_open).receipt
        return "nothing to predict" if receipt is None else f"{receipt.status}, {receipt.rows:,} rows"
    if step == "announce":
        return str(runner.announce(runner.stores.warehouse.receipts(slate)[-1]).message["message_id"])
    graded, _ = grade_slates(runner, day, day)
    return "done" if graded else "waits for game logs"

"""Slates are independent: two backfills of other dates on one home, at once, give what one after the other gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from prediction_assets.cli.simulated_sources import SimulatedSources, serving, simulated_settings
from prediction_assets.ingest.live.sources import Sources
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.run_tags import slate_of
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import Settings, load_settings
from prediction_assets.slate.keys import slate_key
from prediction_assets_tests.acceptance.fault_matrix import ROWS
from prediction_assets_tests.acceptance.test_backfill import TODAY, StoppedClock

FIRST, *DAYS = (TODAY - timedelta(days=days) for days in (3, 2, 1))
SPANS = ([DAYS[0]], [DAYS[1]])

BACKFILL = """
import sys
from datetime import date

from prediction_assets.cli.backfill import close
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets_tests.acceptance.test_backfill import TODAY, StoppedClock

settings = load_settings()
with open_instance(settings, capture_output=False) as instance:
    run = SlateRun(settings, instance, {"clock": StoppedClock()})
    first, last = map(date.fromisoformat, sys.argv[1:])
    sys.exit(0 if close(run, settings, first, last, TODAY) else 1)
"""


def ready(folder: Path) -> Settings:
    """Return the settings of a home that has facts, a model, and a first slate, after which the others are missing."""
    clock = StoppedClock()
    with serving(SimulatedSources(10, clock)) as address:
        asking = load_settings(**simulated_settings(folder), stats_nba_url=address, odds_api_url=address)
        with open_instance(asking, capture_output=False) as instance:
            run = SlateRun(asking, instance, {"sources": Sources(asking, clock), "clock": clock})
            run.ingest({"game_logs": {}, "schedule": {}})
            run.train(league="NBA", cutoff=slate_key(FIRST))
            run.whole(slate_key(FIRST))
    return asking


def backfill(home: Path, *spans: list[date]) -> None:
    """Backfill the spans, each in a process of its own, at once."""
    environment = {**os.environ, "PREDICTION_ASSETS_HOME": str(home)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BACKFILL, str(span[0]), str(span[-1])],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for span in spans
    ]  # fmt: skip
    for process in started:
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, (out, err)


def slates(home: Path) -> dict[str, list[dict[str, object]]]:
    """Return each slate's rows, after a look at its one message."""
    with dg.DagsterInstance.ephemeral() as instance:
        stores = SlateRun(load_settings(home=home), instance).stores
        for day in DAYS:
            (entry,) = stores.outbox.entries(slate_key(day))
            assert (entry.message["revision"], entry.delivery_id is not None) == (1, True)
        found = {
            day: stores.warehouse.query(ROWS, {"slate": day}).to_pylist() for day in map(slate_key, DAYS)
        }
    assert all(found.values())
    return found


def test_two_backfills_of_other_dates_at_once_give_what_one_after_the_other_gives(tmp_path):
    settings = ready(tmp_path)
    one, both = settings.home, tmp_path / "both"
    shutil.copytree(one, both)
    backfill(one, DAYS)
    backfill(both, *SPANS)
    assert slates(both) == slates(one)
    with open_instance(load_settings(home=both)) as instance:
        records = [(slate_of(each.dagster_run.tags), each) for each in instance.get_run_records()]
    times = [
        [
            moment
            for slate, each in records
            if slate in map(slate_key, span)
            for moment in (each.start_time, each.end_time)
        ]
        for span in SPANS
    ]
    assert max(map(min, times)) < min(map(max, times)), "they didn't run at the same time"

"""One slate with everything in it: 8 expected, some failing, some flaky, some out, one that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from prediction_assets.cli.dead_letters import stage_again
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.dead_letter import Closing
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.outcome import Outcome
from prediction_assets.stores.sql.tables import INJURY_REPORTS
from prediction_assets_tests.homes import PLAYERS, SIMULATED, OpenHome
from prediction_assets_tests.orchestration.sensors.ticking import requested, tick

FAILING, FLAKY, OUT = 1, 2, 1

STAGE = """
import sys, threading
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.settings import load_settings
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.stores.local.parts import ArrowParts

slate, failing, flaky, hanging = sys.argv[1], *(set(each.split()) for each in sys.argv[2:])
healthy, tried = ArrowParts.write, {}

def write(self, slate, player_slug, rows, fence):
    tried[player_slug] = tried.get(player_slug, 0) + 1
    if player_slug in failing:
        raise ValueError("his part cannot be written")
    if player_slug in flaky and tried[player_slug] < 3:
        raise OSError(5, "flaky")
    if player_slug in hanging:
        threading.Event().wait()
    return healthy(self, slate, player_slug, rows, fence)

ArrowParts.write = write
settings = load_settings()
with open_instance(settings, capture_output=False) as instance:
    SlateRun(settings, instance).stage(slate)
"""


def test_a_slate_with_every_trouble_is_announced_at_its_deadline_and_completed_by_a_replay(
    ready_home, open_home: OpenHome, monkeypatch
):
    run = open_home(ready_home, minimum_staged_share=0.6)
    home, batch = run._settings.home, run.stores.batch_state.progress(SIMULATED).batch
    slugs = [player.slug for player in batch.expected]
    failing, rest = slugs[:FAILING], slugs[FAILING:]
    flaky, out, (hanging,) = rest[:FLAKY], rest[FLAKY : FLAKY + OUT], rest[-1:]
    _report_out(run, out)

    arguments = [SIMULATED, " ".join(failing), " ".join(flaky), hanging]
    staging = subprocess.Popen(
        [sys.executable, "-c", STAGE, *arguments],
        env={
            **os.environ,
            "PREDICTION_ASSETS_HOME": str(home),
            "PREDICTION_ASSETS_CALL_TIMEOUT": "1800",
        },
    )
    try:
        _wait_until(lambda: run.stores.batch_state.progress(SIMULATED).unsettled == (hanging,))
        progress = run.stores.batch_state.progress(SIMULATED)
        assert progress.count(Outcome.STAGED) == PLAYERS - FAILING - OUT - 1
        assert {c.reason for c in progress.outcomes.values() if c.outcome is Outcome.SKIPPED} == {
            "out: Left Knee"
        }
        # Nothing but the clock can end this slate: no completion comes any more.
        assert requested(tick(run, "consolidation_sensor")) == []
        late = batch.deadline + timedelta(seconds=1)
        monkeypatch.setattr(Clock, "now", lambda self: late)
        (request,) = requested(tick(run, "consolidation_sensor"))
        assert request.partition_key == SIMULATED
        first = run.announce(run.consolidate(SIMULATED)).message
    finally:
        staging.kill()
        staging.wait()

    assert (first["status"], first["revision"]) == ("partial", 1)
    missing = {each["player_slug"]: each["outcome"] for each in first["missing"]}
    assert missing == {
        **dict.fromkeys(failing, "failed"),
        **dict.fromkeys(out, "skipped"),
        hanging: "unsettled",
    }
    assert [x.player_slug for x in run.stores.dead_letters.letters(SIMULATED)] == sorted([*failing, hanging])

    second = stage_again(
        run, SIMULATED, [x.player_slug for x in run.stores.dead_letters.letters(SIMULATED)]
    ).message
    assert (second["status"], second["revision"]) == ("success", 2)
    assert [each["player_slug"] for each in second["missing"]] == sorted(out)
    assert second["rows"] == (PLAYERS - OUT) * 25
    assert run.stores.dead_letters.letters(SIMULATED) == []
    assert {x.closed for x in run.stores.dead_letters.letters(SIMULATED, include_closed=True)} == {
        Closing.REPLAYED
    }
    assert len(run.stores.outbox.entries(SIMULATED)) == len(list((home / "outbox").glob("*.json"))) == 2
    assert dict(run.stores.warehouse.parts.staged(SIMULATED)) == {}


def _report_out(run: SlateRun, out: list[str]) -> None:
    batch = run.stores.batch_state.progress(SIMULATED).batch
    rows = [
        {
            "league": batch.league,
            "game_date": parse_slate(SIMULATED),
            "reported_at": datetime(2025, 1, 1, tzinfo=UTC),
            "team": player.team,
            "player_name": player.name,
            "player_id": player.player_id,
            "status": "Out",
            "reason": "Left Knee",
        }
        for player in batch.players(out)
    ]
    run.stores.warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table(rows), ("league", "reported_at"))


def _wait_until(happened) -> None:
    nothing = threading.Event()
    for _ in range(3000):
        if happened():
            return
        nothing.wait(0.2)
    pytest.fail("it didn't happen within 10 minutes")

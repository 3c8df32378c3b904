"""Killed or failing anywhere, and run again: what is left is what an undisturbed run would have left."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prediction_assets import crash_points
from prediction_assets.instance import open_instance
from prediction_assets.settings import load_settings
from prediction_assets.slate_run import SlateRun
from prediction_assets_tests.homes import SIMULATED

ROWS = "SELECT player_id, system, line, content_hash, is_active FROM predictions.player_prop_predictions ORDER BY ALL"

# Runs a slate in a process of its own, and at the n-th time that a point is reached does what it is told.
DISTURBED = """
import os, signal, sys
from pathlib import Path
from prediction_assets import crash_points
from prediction_assets.instance import open_instance
from prediction_assets.settings import load_settings
from prediction_assets.slate_run import SlateRun

home, slate, point, fault, times = sys.argv[1:]
left = int(times)

def hook(name):
    global left
    if name == point:
        left -= 1
        if left == 0:
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(5, f"injected behind {name}")

crash_points.install(hook)
settings = load_settings(home=Path(home))
with open_instance(settings) as instance:
    SlateRun(settings, instance).whole(slate)
"""


def left_behind(run: SlateRun) -> dict[str, object]:
    """Return what a slate leaves: its rows, the revisions of its receipts, its events and its parts."""
    home = run._settings.home
    return {
        "rows": run.warehouse.query(ROWS).to_pylist(),
        "revisions": sorted({r.revision for r in run.warehouse.receipts(SIMULATED)}),
        "events": [(e.event_id, e.message_id) for e in run.events(SIMULATED)],
        "delivered": sorted(p.name for p in (home / "outbox").glob("*.json")),
        "parts": dict(run.warehouse.parts.staged(SIMULATED)),
        "hidden": [p.name for p in (home / "outbox").glob(".*")],
    }


def disturbed(home: Path, point: str, fault: str, times: int) -> subprocess.CompletedProcess[str]:
    arguments = [str(home), SIMULATED, point, fault, str(times)]
    return subprocess.run(
        [sys.executable, "-c", DISTURBED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "fail"])
@pytest.mark.parametrize("point", crash_points.POINTS)
def test_a_slate_that_was_stopped_anywhere_ends_like_an_undisturbed_one(
    point,
    fault,
    ingested_home,
    finished_home,
    tmp_path,
):
    home = tmp_path / "home"
    shutil.copytree(ingested_home, home)
    times = 4 if point in ("part_written", "completion_recorded", "part_dropped") else 1
    stopped = disturbed(home, point, fault, times)
    if fault == "kill":
        assert stopped.returncode == -signal.SIGKILL, stopped.stderr
    else:
        assert "injected" in stopped.stderr, stopped.stderr

    settings = load_settings(home=home)
    undisturbed = load_settings(home=finished_home)
    with open_instance(settings) as instance, open_instance(undisturbed) as other:
        run = SlateRun(settings, instance)
        run.whole(SIMULATED)
        found, expected = left_behind(run), left_behind(SlateRun(undisturbed, other))
    # An event that was already out carries the first receipt's id; which one that is doesn't change its effect.
    assert found == expected


def test_every_point_is_reached_once_a_slate_in_flow_order(ingested_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(ingested_home, home)
    settings = load_settings(home=home)
    seen: list[str] = []
    crash_points.install(seen.append)
    try:
        with open_instance(settings) as instance:
            SlateRun(settings, instance).whole(SIMULATED)
    finally:
        crash_points.install(crash_points._go_on)
    assert list(dict.fromkeys(seen)) == list(crash_points.POINTS)

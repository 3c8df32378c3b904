"""Some kills of each process of the warm `dev`; ``make kills KILLS="--kills 200"`` runs as many as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from prediction_assets_tests.long.kills import KILLS, kill_at_random, report


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes through /proc")
def test_every_slate_is_complete_after_random_kills_of_daemon_code_server_warm_process_and_workers(
    tmp_path: Path,
):
    result = kill_at_random(tmp_path, KILLS, seed=20260102)
    assert result.kills.total() == KILLS
    assert result.problems == [], report(result)

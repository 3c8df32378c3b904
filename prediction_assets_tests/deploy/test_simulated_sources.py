"""``dev --simulated-sources``: nobody ingests anything, and today's slate is announced."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from prediction_assets.cli.simulated_sources import HOME
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets_tests.dagster_dev import dev_server, until

DEV = (sys.executable, "-m", "prediction_assets.cli", "dev", "--simulated-sources", "--port")


def test_dev_with_simulated_sources_announces_today_s_slate_by_itself(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment |= {
        "PREDICTION_ASSETS_HOME": str(tmp_path / "home"),
        "PREDICTION_ASSETS_SIMULATED_PLAYERS": "10",
    }
    log = tmp_path / "dev.log"
    # Near midnight the slate may be of the day on which it began or ended.
    began = datetime.now(UTC).astimezone(GAME_TIME_ZONE).date()
    with dev_server(DEV, log, environment):
        outbox = tmp_path / "home" / HOME / "outbox"

        def announced() -> bool:
            today = datetime.now(UTC).astimezone(GAME_TIME_ZONE).date()
            return any(str(day) in path.name for path in outbox.glob("*.json") for day in (began, today))

        until(announced, "today's slate is announced", log)

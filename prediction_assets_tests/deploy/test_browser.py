"""One morning in the UI, with a real browser: from a click to a slate, and to a red check.

The pictures in the documentation are made here: ``make pictures``.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from prediction_assets.simulation.league import simulate_league
from prediction_assets.simulation.slates import simulated_slate
from prediction_assets.slate.audits import AUDITS
from prediction_assets_tests.browser import browser, require_chromium
from prediction_assets_tests.dagster_dev import PREDICTION_ASSETS_DEV, dev_server, until

ASSETS = [
    "slate_roster",
    "player_features",
    "staged_predictions",
    "predictions",
    "staging_cleanup",
    "phase5_completion",
    "slate_board",
]
CHECKS = len(AUDITS) + 1  # and follows_its_facts, which every look for alerts evaluates


def number(value: int) -> re.Pattern[str]:
    """Return how the UI may write a number: with or without a separator of thousands."""
    return re.compile("^" + f"{value:,}".replace(",", ",?") + "$")


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path | None:
    wanted = request.config.getoption("--pictures")
    return None if wanted is None else Path(wanted)


def test_a_click_becomes_a_slate_that_one_can_look_at_and_a_fault_turns_a_check_red(tmp_path, pictures):
    require_chromium()
    players = 40 if pictures else 6
    slate = simulated_slate(players).isoformat()
    days = sorted(set(simulate_league(players).schedule["game_date"].to_pylist()))
    following = next(day.isoformat() for day in days if day.isoformat() > slate)
    home = tmp_path / "home"
    environment = {
        **os.environ,
        "PREDICTION_ASSETS_HOME": str(home),
        "PREDICTION_ASSETS_SIMULATED_PLAYERS": str(players),
        "PREDICTION_ASSETS_SENSOR_INTERVAL_SECONDS": "2",
        "TZ": "UTC",
    }
    picture = pictures.joinpath if pictures else lambda name: None
    with (
        dev_server(PREDICTION_ASSETS_DEV, tmp_path / "dev.log", environment) as address,
        browser(address, tmp_path / "failed.png") as ui,
    ):
        # The asset graph, before anything happened: every asset is there, in its group.
        ui.open_graph()
        for asset in ASSETS:
            expect(ui.node(asset)).to_be_visible()
        expect(ui.node("predictions")).not_to_contain_text("1 partition")

        # One click; the sensors do the rest, and the graph goes green.
        ui.materialize("slate_roster")
        ui.open_graph()
        for asset in ASSETS[1:]:
            filled = f"{players} partitions" if asset == "staged_predictions" else "1 partition"
            expect(ui.node(asset)).to_contain_text(filled)
            expect(ui.node(asset)).to_contain_text("100% filled")
        expect(ui.node("predictions")).to_contain_text(f"{CHECKS} / {CHECKS} Passed")

        # What the MERGE did, and what the checks said.
        ui.page.set_viewport_size({"width": 1400, "height": 1000})
        ui.open("/assets/predictions?view=overview")
        expect(ui.metadata("rows_inserted")).to_have_text(number(players * 25))
        expect(ui.metadata("status")).to_have_text("success")
        # By its name: a value would scroll the names out of the picture.
        ui.page.get_by_text("merge_ms", exact=True).first.scroll_into_view_if_needed()
        ui.take(picture("predictions-asset.png"))
        ui.open("/assets/predictions?view=checks")
        expect(ui.page.get_by_text("Succeeded", exact=True)).to_have_count(CHECKS)
        ui.take(picture("predictions-checks.png"))

        # The slate at a glance: the picture in its metadata is one.
        ui.open("/assets/predictions?view=overview")
        ui.page.get_by_text("[Show Markdown]").first.click()
        drawn = ui.page.get_by_role("dialog").locator("img")
        drawn.wait_for()
        assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") == 760
        ui.page.keyboard.press("Escape")

        # And the whole slate on one page, where the UI says that it is.
        board = ui.metadata("board").inner_text()
        assert Path(board) == home / "boards" / f"{slate}.html"
        ui.page.goto(Path(board).as_uri())
        expect(ui.page.get_by_text(re.compile(f"^{players} players at their main lines"))).to_be_visible()
        ui.take(picture("board.png"))

        # One player again, from the partition list: he is merged anew, nothing else is.
        ui.open("/assets/staged_predictions?view=partitions")
        again = ui.page.get_by_text(re.compile(f"^{slate}:")).first.inner_text()
        ui.materialize_partition("staged_predictions", again)
        ui.open("/assets/predictions?view=overview")
        expect(ui.metadata("rows_staged")).to_have_text("25")
        expect(ui.metadata("rows_unchanged")).to_have_text("25")

        # The next slate can't be staged: a file stands where its folder should be. Who asks what is wrong is told.
        (home / "staging").mkdir(exist_ok=True)
        (home / "staging" / following).write_text("not a folder", "utf-8")
        ui.materialize("slate_roster")
        said, log = "the run of features failed at step player_features", tmp_path / "dev.log"
        until(lambda: said in log.read_text("utf-8"), "the alert about the next slate", log)
        ui.execute_check("phase5_completion", "morning_check")
        ui.page.get_by_text("Failed", exact=True).first.wait_for()
        expect(ui.page.get_by_text(re.compile(said)).first).to_be_visible()
        assert [path.name[:10] for path in (home / "outbox").glob("*.json")] == [slate]
    shutil.rmtree(home)

"""``docs/first-ten-minutes.md`` from the UI on: what it says to press is pressed, and what to type is typed.

What comes before is in :mod:`.test_documented_commands`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from prediction_assets.settings import load_settings
from prediction_assets.stores.profiles import open_stores
from prediction_assets_tests.browser import browser, require_chromium
from prediction_assets_tests.consoles import ROOT, Console, Shown, shown_on
from prediction_assets_tests.dagster_dev import PREDICTION_ASSETS_DEV, dev_server

PAGE = ROOT / "docs" / "first-ten-minutes.md"
PATIENCE_SECONDS = 1800
SERVED_AT = "http://127.0.0.1:3000"


class Slate:
    """What becomes of the tutorial's slate, read from the stores without disturbing anybody."""

    def __init__(self, home: Path, slate: str) -> None:
        self._stores = open_stores(load_settings(home=home))
        self._staging, self._slate = home / "staging" / slate, slate

    @property
    def receipt(self) -> str:
        """The id of the newest receipt, ``""`` before the first."""
        progress = self._stores.batch_state.progress(self._slate)
        return progress.receipt.receipt_id if progress and progress.receipt else ""

    def is_announced(self, events: int) -> bool:
        """Return whether so many events were delivered and staging is empty again."""
        delivered = [e for e in self._stores.outbox.entries(self._slate) if e.delivery_id is not None]
        return len(delivered) == events and not list(self._staging.glob("*.arrow"))

    def await_(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the sensors have brought something about."""
        deadline, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_SECONDS} s"
            pause.wait(0.5)


def follow_beside_runs(console: Console, shown: Shown) -> None:
    """Type a command that opens the warehouse for itself; a run that has it open at the moment is let finish."""
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while True:
        console.type(shown.command)
        if "Could not set lock" not in console.said or time.monotonic() > deadline:
            assert console.status == 0, console.said[-2000:]
            return
        pause.wait(1)


def test_a_click_and_two_players_again_go_as_the_page_says(tmp_path):
    require_chromium()
    text, lesson = PAGE.read_text("utf-8"), shown_on(PAGE)
    console = Console(tmp_path / "checkout", {"PREDICTION_ASSETS_SENSOR_INTERVAL_SECONDS": "2", "TZ": "UTC"})
    chosen = {shown.command: shown for shown in lesson if shown.command.startswith("export ")}
    assert list(chosen) == [
        "export PREDICTION_ASSETS_HOME=/tmp/ten-minutes",
        "export PREDICTION_ASSETS_HOME=/tmp/ten-minutes-ui",
    ]
    dev = next(position for position, shown in enumerate(lesson) if shown.command == "make dev")

    # 4: a click.
    home = tmp_path / "ten-minutes-ui"
    console.type(f"export PREDICTION_ASSETS_HOME={home}")
    messages, status, moved, messages_again, table = lesson[dev + 1 :]
    partition = re.search(r"`(20\d\d-\d\d-\d\d:[a-z-]+)`", text)[1]
    slate = Slate(home, partition.partition(":")[0])
    pages = [found.removeprefix(SERVED_AT) for found in re.findall(rf"<({SERVED_AT}[^>]*)>", text)]
    environment = {**console.variables, "PREDICTION_ASSETS_HOME": str(home)}
    with (
        dev_server(PREDICTION_ASSETS_DEV, tmp_path / "dev.log", environment) as address,
        browser(address, tmp_path / "failed.png") as ui,
    ):
        assert pages[:4] == ["/assets/slate_roster", "/runs", "/asset-groups", "/assets/predictions"]
        ui.materialize("slate_roster")
        ui.open(pages[1])
        for job in ("staging", "consolidation"):
            ui.page.get_by_text(job, exact=True).first.wait_for()
        slate.await_(lambda: slate.is_announced(1), "an announced slate")
        console.follow(messages)

        # 5: one player again, with nothing new.
        assert pages[4] == "/assets/staged_predictions?view=partitions"
        before = slate.receipt
        ui.materialize_partition("staged_predictions", partition)
        slate.await_(lambda: slate.receipt != before and slate.is_announced(1), "a receipt of his new part")
        console.follow(status)

        # 6: one player again, whose line moved.
        follow_beside_runs(console, moved)
        ui.materialize_partition("staged_predictions", partition)
        slate.await_(lambda: slate.is_announced(2), "a second event")
        console.follow(messages_again)
        console.follow(table)

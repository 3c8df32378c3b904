"""A newcomer's way from a home without anything: two commands, and one file that opens in a browser."""

from __future__ import annotations

import re
import resource
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from prediction_assets_tests.browser import chromium, require_chromium
from prediction_assets_tests.consoles import Console

LONGEST = 90.0
"""Seconds of processor time of both commands: three times what they take beside other busy processes."""


def test_two_commands_lead_from_nothing_to_the_board_in_one_file(tmp_path, record_property):
    require_chromium()
    console = Console(tmp_path / "checkout", {"PREDICTION_ASSETS_HOME": str(tmp_path / "home"), "TZ": "UTC"})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = console.type("make run")
    assert console.status == 0, console.said[-2000:]
    *_, named = re.findall(r"│ board +│ (\S+) +│", said)
    board = Path(named)
    assert board.parent == tmp_path / "home" / "boards"
    console.type(f".venv/bin/prediction-assets board --slate {board.stem} --output board.html")
    assert console.status == 0, console.said[-2000:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    record_property("processor_seconds", round(seconds, 1))
    assert seconds < LONGEST

    alone = tmp_path / "alone" / "board.html"
    alone.parent.mkdir()
    alone.write_bytes((console.folder / "board.html").read_bytes())
    assert alone.read_bytes() == board.read_bytes()
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            page = chrome.new_page(offline=True)
            page.goto(alone.as_uri())
            expect(page.get_by_role("heading", level=1)).to_have_text(
                f"Slate {board.stem} (simulated league)"
            )
            expect(page.get_by_text("40 players at their main lines")).to_be_visible()
        finally:
            chrome.close()

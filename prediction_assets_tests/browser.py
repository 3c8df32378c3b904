"""A real browser on a real Dagster UI: what its user sees and presses.

Chromium comes from the machine (Debian's package ``chromium``), Playwright from the test dependencies.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Response, expect, sync_playwright
from playwright.sync_api import TimeoutError as TimedOut

PATIENCE = 900.0
"""Seconds for one thing to happen: runs are processes of their own, on a machine that is busy with other tests."""

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def chromium() -> str | None:
    """Return where the machine's Chromium is, None when it has none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def require_chromium() -> None:
    """Skip a test where there is no browser, and fail it where ``CI=true``."""
    if chromium() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs a browser: install the package chromium")
        pytest.skip("no chromium on this machine")


class Ui:
    """The Dagster UI in one browser tab, in the words of its user."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self._address = page, address
        page.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        # Dagster asks every new browser to join its community.
        page.add_locator_handler(
            page.get_by_text("Join the Dagster community"),
            lambda: page.get_by_role("button", name="Skip").click(),
        )
        # And whether one is sure when something upstream was never materialized: injury reports are optional.
        page.add_locator_handler(
            page.get_by_text("the upstream assets listed below have not been materialized"),
            lambda: page.get_by_role("button", name="Confirm").click(),
        )

    def open(self, path: str) -> None:
        """Open a page of the UI."""
        self.page.goto(f"{self._address}{path}", wait_until="domcontentloaded")

    def open_graph(self) -> None:
        """Open the asset graph with every group unfolded."""
        self.open("/asset-groups")
        self.page.get_by_text("1_facts", exact=True).last.wait_for()
        deadline = time.monotonic() + PATIENCE
        while True:
            self.page.keyboard.press("Alt+e")  # deaf until the graph is laid out
            try:
                self.node("slate_roster").wait_for(timeout=20_000)
            except TimedOut:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def node(self, asset: str) -> Locator:
        """Return an asset's box in the graph."""
        return self.page.locator("foreignObject").filter(has=self.page.get_by_text(asset, exact=True)).last

    def materialize(self, asset: str) -> None:
        """Press the asset's button on its page."""
        self.open(f"/assets/{asset}")
        self._launch(self.page.get_by_role("button", name=re.compile("Materialize")).first)

    def materialize_partition(self, asset: str, partition: str) -> None:
        """Choose one partition of the asset's list and launch it."""
        self.open(f"/assets/{asset}?view=partitions")
        self.page.get_by_text(partition, exact=True).first.click()
        self.page.wait_for_url(re.compile("partition="))
        self.page.get_by_role("button", name=re.compile("Materialize")).first.click()
        dialog = self.page.get_by_role("dialog").last
        expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()
        self._launch(dialog.get_by_role("button", name="Launch 1 run"))

    def execute_check(self, asset: str, check: str) -> None:
        """Press the button of an asset check that belongs to no materialization."""
        self.open(f"/assets/{asset}?view=checks&checkDetail={check}")
        self._launch(self.page.get_by_text("Execute", exact=True))

    def _launch(self, button: Locator) -> None:
        """Press a button and wait until the run is launched: leaving the page before would take it back."""
        with self.page.expect_response(_launches):
            button.click()

    def metadata(self, key: str) -> Locator:
        """Return the value of a key in the latest materialization's metadata, as the asset's page shows it."""
        row = self.page.locator("tr").filter(has=self.page.get_by_text(key, exact=True)).first
        return row.locator("td").last

    def take(self, picture: Path | None, **options: object) -> None:
        """Keep a picture of the page, when pictures are wanted."""
        if picture is not None:
            picture.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=picture, animations="disabled", **options)  # type: ignore[arg-type]


def _launches(response: Response) -> bool:
    return "mutation Launch" in (response.request.post_data or "")


@contextmanager
def browser(address: str, failed: Path, flags: Sequence[str] = ()) -> Iterator[Ui]:
    """Open a browser on the UI; when the block fails, a picture of what it showed stays at ``failed``.

    Args:
        address: where the UI is.
        failed: the picture's file.
        flags: more of Chromium's command line.
    """
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=[*_FLAGS, *flags])
        try:
            page = chrome.new_page(viewport={"width": 3000, "height": 2200})
            ui = Ui(page, address)
            try:
                yield ui
            except BaseException:
                page.screenshot(path=failed)
                raise
        finally:
            chrome.close()

"""The board in a real browser, from its file: on a desk, on a phone, with a keyboard, to a screen reader, on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from prediction_assets.board.page import board_page
from prediction_assets.board.values import board_of
from prediction_assets_tests.browser import chromium, require_chromium
from prediction_assets_tests.made_up import receipt
from prediction_assets_tests.unit.board.test_page import RECORD, board, rows

LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, of text of any size."""

# Of each element with a text of its own: the contrast of its color with the nearest background that isn't transparent.
CONTRASTS = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => channels(color).slice(0, 3)
    .map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.body.querySelectorAll("*:not(script)")]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .map((e) => {
      const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
      return [e.tagName, e.className, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    });
}"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    require_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def page(tmp_path, chrome: Browser) -> Iterator[Page]:
    names = [f"Player {n} {'Longname' * (n % 4)}" for n in range(60)]
    made = board(names)
    changed = board_of(
        receipt(missing=({"player_slug": "x" * 60, "outcome": "skipped", "reason": "out " * 40},)),
        rows(names, (0.7, 0.5, 0.35)),
        form={},
        since=1,
        changes=(),
        record=(RECORD,),
    )
    (tmp_path / "board.html").write_text(board_page(made), "utf-8")
    (tmp_path / "changed.html").write_text(board_page(changed), "utf-8")
    opened = chrome.new_page(offline=True)
    yield opened
    opened.close()


def test_the_board_fits_its_window_can_be_read_and_sorts_by_keyboard(page, tmp_path):
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for name in ("changed.html", "board.html"):
        for width in (400, 1600):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto((tmp_path / name).as_uri())
            widths = page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            )
            assert widths[0] <= widths[1], f"{name} at {width} pixels"
            poor = [each for each in page.evaluate(CONTRASTS) if each[2] < LEAST_CONTRAST]
            assert poor == []

    tree = page.locator("body").aria_snapshot()
    assert len(re.findall(r"heading .*\[level=1\]", tree)) == 1
    for role in (
        "banner",
        "main",
        'navigation "Sections"',
        'region "Bets by expected value"',
        "table",
        "columnheader",
    ):
        assert role in tree
    assert "img" in tree

    players = page.locator("#players").locator("xpath=..").locator("table")
    first = players.locator("tbody th").first
    head = players.get_by_role("columnheader", name="Value")
    expect(first).to_contain_text("Player 0")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    values = players.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => Number(row.cells[11].dataset.value))"
    )
    assert values == sorted(values, reverse=True)
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    more = first.locator("summary")
    more.focus()
    page.keyboard.press("Enter")
    expect(first.locator("details")).to_have_attribute("open", "")

    page.emulate_media(media="print")
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(players).to_be_visible()
    assert said == []


@pytest.mark.parametrize("name", ["board.html", "changed.html"])
@pytest.mark.parametrize(
    ("width", "media"),
    [
        (1600, {"color_scheme": "light"}),
        (1600, {"media": "print"}),
        (400, {"color_scheme": "light"}),
        (400, {"color_scheme": "dark"}),  # the board has one scheme: its colors stay
    ],
)
def test_axe_finds_no_violation(page, tmp_path, name, width, media):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(**media)
    page.goto((tmp_path / name).as_uri())
    found = Axe().run(page)
    assert found.response["passes"]
    assert found.violations_count == 0, found.generate_report()

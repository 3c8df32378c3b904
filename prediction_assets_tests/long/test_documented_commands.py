"""Commands of the README and of the tutorial are typed in order into a shell, and print what the page shows.

The tutorial's second half, in the UI, is :mod:`.test_first_ten_minutes`. The commands of other pages are not executed:
:mod:`.test_docs` checks their names and options.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from prediction_assets_tests.acceptance.test_real_slates import FILES
from prediction_assets_tests.consoles import ROOT, Console, is_as_shown, shown_on
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA

TUTORIAL = ROOT / "docs" / "first-ten-minutes.md"
SHOWN = shown_on(ROOT / "README.md")
OWN_DATA = [shown for shown in SHOWN if shown.section == "With your own data"]
SIMULATED = [shown for shown in SHOWN if shown not in OWN_DATA]


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path / "checkout", {"PREDICTION_ASSETS_HOME": str(tmp_path / "home")})


def test_the_readme_s_commands_print_what_it_shows(console):
    assert len(SIMULATED) == 2
    for shown in SIMULATED:
        console.follow(shown)


def test_the_tutorial_s_commands_print_what_it_shows_until_the_ui_is_opened(console):
    own_home, *lesson = shown_on(TUTORIAL)
    assert own_home.command == "export PREDICTION_ASSETS_HOME=/tmp/ten-minutes"
    opens_ui = [shown.command for shown in lesson].index("export PREDICTION_ASSETS_HOME=/tmp/ten-minutes-ui")
    assert opens_ui == 4
    for shown in lesson[:opens_ui]:
        console.follow(shown)


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=WITHOUT_REAL_DATA)
def test_the_readme_s_commands_for_one_s_own_data_run_on_real_data(console):
    assert len(OWN_DATA) == 3
    (console.folder / "data").mkdir()
    for name, file in FILES.items():
        link = console.folder / "data" / f"{name}{''.join(Path(file).suffixes)}"
        link.symlink_to(REAL_DATA / file)
    ingest, *others = OWN_DATA
    console.type(ingest.command)
    assert console.status == 0, console.said
    assert "left out, as the game isn't played: 9 lines of ATL and HOU" in console.said  # it was postponed
    for shown in others:
        console.follow(shown)


@pytest.mark.parametrize(
    ("shown", "actual", "same"),
    [
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...\nd", "a\nd", True),
        ("a\n...\nd", "a\nb", False),
        ("...\nb", "a\nb\nc", True),
        ("a\nb", "a\nb\nc", False),
        ("took 12 ms", "took 8 ms", True),
        ("│ rows    │ 25 │", "│ rows │ 25 │", True),
        ("│ rows │ 25 │", "│ rows │ 26 │", False),
        ("first ... last", "first and then last", True),
        ("a.c", "abc", False),
        ("at 2026-11-24 15:27:27Z", "at 2027-01-01 00:00:00Z", True),
    ],
)
def test_what_counts_as_the_output_that_a_page_shows(shown, actual, same):
    assert is_as_shown(shown, actual) is same

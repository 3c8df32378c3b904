"""The documentation tells the truth: links, commands, settings and names in it exist.

``python -m prediction_assets_tests.test_docs`` writes the settings table of ``docs/operating.md`` anew.
"""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from prediction_assets.cli import app
from prediction_assets.settings import Settings, describe

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPERATING = ROOT / "docs" / "operating.md"
HOW_A_BATCH_WORKS = ROOT / "docs" / "how-a-batch-works.md"

LARGEST_PICTURE = 400_000

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SETTINGS = re.compile(r"(<!-- settings: .*? -->\n).*?(<!-- /settings -->)", re.DOTALL)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def code(page: Path) -> list[str]:
    """Return the lines of a page's code blocks, prompts removed, and its inline code."""
    text = page.read_text(encoding="utf-8")
    blocks = [body for _, _, body in _FENCE.findall(text)]
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return lines + _INLINE.findall(_FENCE.sub("", text))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def column(page: Path, title: str) -> list[str]:
    """Return the cells under this title in all tables of a page."""
    cells: list[str] = []
    position = None
    for line in prose(page).splitlines():
        row = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not row:
            position = None
        elif position is None:
            position = row.index(title) if title in row else -1
        elif position >= 0 and not set(row[position]) <= set("-: "):
            cells.append(row[position])
    return cells


def named(page: Path, title: str) -> set[str]:
    """Return the code in the cells under this title."""
    return {name for cell in column(page, title) for name in _INLINE.findall(cell)}


@cache
def definitions() -> dict[str, set[str]]:
    """Return the names of everything that Dagster shows, by kind."""
    from prediction_assets.orchestration.build import build_defs

    defs = build_defs(Settings())
    graph = defs.resolve_asset_graph()
    return {
        "Asset": {key.to_user_string() for key in graph.get_all_asset_keys()},
        "Check": {key.name for key in graph.asset_check_keys},
        "Job": {job.name for job in defs.jobs or []},
        "automation": {each.name for each in [*(defs.sensors or []), *(defs.schedules or [])]},
    }


@cache
def classes() -> frozenset[str]:
    """Return the names of the package's classes."""
    sources = (ROOT / "prediction_assets").rglob("*.py")
    return frozenset(
        name
        for source in sources
        for name in re.findall(r"^class (\w+)", source.read_text(encoding="utf-8"), re.MULTILINE)
    )


def settings_table() -> str:
    """Return the settings as a markdown table."""
    rows = ["| Setting | Default | What it decides |", "|---|---|---|"]
    for each in describe():
        name = each.variable.removeprefix("PREDICTION_ASSETS_")
        default = f"`{each.default}`" if each.default else ""
        rows.append(
            f"| `{name if name == each.variable else name.lower()}` | {default} | {each.description} |"
        )
    return "\n".join(rows) + "\n"


def unknown_option(words: list[str]) -> str | None:
    """Return the first word of a `prediction-assets` command line that the command line doesn't know."""
    command: Any = typer.main.get_command(app)
    for word in words:
        if word.startswith("-"):
            options = {"--help", *(option for each in command.params for option in each.opts)}
            if word.partition("=")[0] not in options:
                return word
        elif getattr(command, "commands", None):
            if word not in command.commands:
                return word
            command = command.commands[word]
    return None


@pages
def test_every_relative_link_leads_somewhere(page):
    broken = []
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pages
def test_every_command_in_the_docs_exists(page):
    unknown = []
    for line in code(page):
        found = re.search(r"(?:^|[ /])prediction-assets (.+)", line)
        if found and not line.startswith(("error:", "#")):
            command = re.split(r" [|&;>]|;|<<", found[1])[0].rstrip("`,.)")
            if word := unknown_option(shlex.split(command)):
                unknown.append(f"{word} in: {line}")
    assert not unknown


@pages
def test_every_make_target_in_the_docs_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {match[1] for line in code(page) if (match := re.search(r"(?:^|\s)make ([a-z-]+)", line))}
    assert used <= targets


@pages
def test_every_file_of_the_project_named_in_the_docs_exists(page):
    named_files = {
        word
        for text in _INLINE.findall(prose(page))
        for word in re.findall(r"^(?:prediction_assets|prediction_assets_tests)/[\w./]*[./][\w./]*$", text)
    }
    mentioned_to_create = {"prediction_assets/forecasting/season_average.py"}
    assert {name for name in named_files - mentioned_to_create if not (ROOT / name).exists()} == set()


@pages
def test_every_environment_variable_in_the_docs_is_a_setting(page):
    text = page.read_text(encoding="utf-8")
    names = {name.lower() for name in re.findall(r"PREDICTION_ASSETS_([A-Z][A-Z_]*[A-Z])", text)}
    assert names <= Settings.model_fields.keys()


@pages
def test_assets_checks_and_jobs_in_tables_exist(page):
    for kind in ("Asset", "Check", "Job"):
        assert named(page, kind) <= definitions()[kind], kind


@pytest.mark.parametrize("kind", ["Asset", "Check", "Job"])
def test_how_a_batch_works_names_every(kind):
    assert named(HOW_A_BATCH_WORKS, kind) == definitions()[kind]


def test_how_a_batch_works_names_every_sensor_and_schedule():
    watching = named(HOW_A_BATCH_WORKS, "Watching sensor")
    assert named(HOW_A_BATCH_WORKS, "Requested by") | watching == definitions()["automation"]


def test_every_error_in_the_runbook_is_raised_by_the_code():
    errors = named(OPERATING, "Error")
    errors |= {
        name for name in _INLINE.findall(prose(OPERATING)) if re.fullmatch(r"(?:[A-Z][a-z]+){2,}", name)
    }
    assert errors
    assert errors <= classes()


def test_the_settings_table_is_the_settings():
    text = OPERATING.read_text(encoding="utf-8")
    found = _SETTINGS.search(text)
    assert found, "docs/operating.md lost its settings markers"
    assert found[0] == found[1] + settings_table() + found[2], (
        "run `python -m prediction_assets_tests.test_docs` to write the table anew"
    )


def test_pictures_are_small_enough_to_load():
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    assert [p.name for p in pictures if p.stat().st_size > LARGEST_PICTURE] == []


if __name__ == "__main__":
    written = _SETTINGS.sub(
        lambda match: match[1] + settings_table() + match[2], OPERATING.read_text(encoding="utf-8")
    )
    OPERATING.write_text(written, encoding="utf-8")

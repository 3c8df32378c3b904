"""The pages' links, files, functions, commands, settings and names exist; the generated pages are current."""

from __future__ import annotations

import importlib.util
import re
import shlex
from functools import cache, reduce
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from prediction_assets.cli.commands import app
from prediction_assets.settings import Settings
from prediction_assets_tests.generated_pages import PAGES as GENERATED
from prediction_assets_tests.generated_pages import errors_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
HOW_A_BATCH_WORKS = ROOT / "docs" / "how-a-batch-works.md"
GCP = ROOT / "docs" / "gcp-and-deploying.md"
FLOW = ROOT / "docs" / "images" / "flow.svg"

LARGEST_PICTURE = 400_000

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

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
def sources(folder: str) -> str:
    """Return the text of a folder's Python files."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / folder).rglob("*.py")))


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


def test_every_page_that_the_code_names_exists():
    """Asset descriptions and error messages end in a page."""
    named_pages = set(
        re.findall(r"\b(docs/[\w-]+\.md|README\.md)(?:#([\w-]+))?", sources("prediction_assets"))
    )
    assert named_pages
    wrong = [
        f"{path}#{anchor}"
        for path, anchor in sorted(named_pages)
        if not (ROOT / path).exists() or (anchor and anchor not in anchors(ROOT / path))
    ]
    assert wrong == []


@pages
def test_every_command_in_the_docs_exists_with_its_options(page):
    unknown = []
    for line in code(page):
        found = re.search(r"(?:^|[ /])prediction-assets ([a-z].*)", line)
        if found and not line.startswith(("error:", "#")):
            command = re.split(r" [|&;>]|;|<<", found[1])[0].rstrip("`,.)\\ ")
            if word := unknown_option(shlex.split(command)):
                unknown.append(f"{word} in: {line}")
    assert not unknown


@pages
def test_every_module_that_a_page_runs_exists(page):
    modules = {
        name
        for line in code(page)
        for name in re.findall(r"-m ((?:prediction_assets|prediction_assets_tests|benchmarks)\b[\w.]*)", line)
    }
    assert [name for name in sorted(modules) if importlib.util.find_spec(name) is None] == []


@pages
def test_every_make_target_in_the_docs_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {match[1] for line in code(page) if (match := re.search(r"(?:^|\s)make ([a-z-]+)", line))}
    assert used <= targets


@pages
def test_every_file_of_the_project_named_in_the_docs_exists(page):
    folders = "prediction_assets|prediction_assets_tests|benchmarks|deploy|docs|examples|bin"
    named_files = {
        word
        for text in _INLINE.findall(prose(page))
        for word in re.findall(rf"^(?:\.\./)?((?:{folders})/[\w./-]*)(?: .*)?$", text)
    }
    the_reader_s_own = {"prediction_assets/nba/forecasting/season_average.py", "deploy/settings.env"}
    assert {name for name in named_files - the_reader_s_own if not (ROOT / name).exists()} == set()


@pages
def test_every_test_that_a_page_names_exists(page):
    named_tests = {name for name in _INLINE.findall(prose(page)) if re.fullmatch(r"test_\w+", name)}
    assert {name for name in named_tests if f"def {name}(" not in sources("prediction_assets_tests")} == set()


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


def test_every_function_of_the_walk_is_in_its_file():
    """The walk names each hop's functions as ``file:function`` or ``file:Class.method``, below the package."""
    hops = column(HOW_A_BATCH_WORKS, "Where")
    assert len(hops) == 9
    wrong = []
    for path, qualified in re.findall(r"`([\w/]+)\.py:([\w.]+)`", "\n".join(hops)):
        module = import_module("prediction_assets." + path.replace("/", "."))
        try:
            found = reduce(getattr, qualified.split("."), module)
        except AttributeError:
            found = None
        if not callable(found) or found.__module__ != module.__name__:
            wrong.append(f"{path}.py:{qualified}")
    assert wrong == []
    assert all(_INLINE.search(hop) for hop in hops)


@pages
def test_every_error_that_a_page_names_is_raised_by_the_code(page):
    known = set(re.findall(r"^class (\w+)", sources("prediction_assets"), re.MULTILINE))
    listed = set(re.findall(r"`(\w+)`", errors_page()))
    shaped = {name for name in _INLINE.findall(prose(page)) if re.fullmatch(r"(?:[A-Z][a-z]+){2,}", name)}
    foreign = {"LeagueGameLog", "SecretStr", "DynamicOut", "SqliteEventLogStorage", "SeasonAverage"}
    retired = named(page, "Retired")
    assert shaped - known - listed - foreign - retired == set()


@pytest.mark.parametrize(("page", "write"), GENERATED.items(), ids=lambda each: getattr(each, "name", ""))
def test_a_generated_page_is_what_the_code_says(page, write):
    assert page.read_text(encoding="utf-8") == write(), (
        "run `python -m prediction_assets_tests.generated_pages` to write it anew"
    )


def test_the_chart_is_of_the_dagster_that_the_image_has():
    (pinned,) = re.findall(
        r"^dagster==(\S+)", (ROOT / "deploy" / "requirements.txt").read_text("utf-8"), re.MULTILINE
    )
    assert re.findall(r"dagster/dagster --version (\S+)", GCP.read_text("utf-8")) == [pinned]


def test_the_picture_of_the_flow_shows_every_asset_in_its_group_and_counts_the_checks():
    from prediction_assets.orchestration.asset_checks import CHECK_KEYS
    from prediction_assets.orchestration.build import build_defs

    text = FLOW.read_text("utf-8")
    graph = build_defs(Settings()).resolve_asset_graph()
    shown = {
        (re.sub(r"\W", "_", group[: group.index("<")]), name)
        for group in re.split(r'class="title"[^>]*>', text)[1:]
        for name in re.findall(r'class="name"[^>]*>(\w+)<', group)
    }
    assert shown == {(graph.get(key).group_name, key.to_user_string()) for key in graph.get_all_asset_keys()}
    assert f">{len(CHECK_KEYS)} checks<" in text


def test_pictures_are_small_enough_to_load():
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    assert [p.name for p in pictures if p.stat().st_size > LARGEST_PICTURE] == []

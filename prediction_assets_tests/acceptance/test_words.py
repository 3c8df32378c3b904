"""One word for each thing: the retired words of docs/glossary.md are in no code, SQL, schema file or page."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
FOLDERS = ("prediction_assets", "docs", "deploy", "examples", "bin", "benchmarks")
SINGLE_FILES = ("Makefile", "Dockerfile", ".ci/run")
SUFFIXES = {".py", ".json", ".yaml", ".toml", ".md", ".sh", ".env"}

_ROW = re.compile(r"^\| (`[^|]+`) \| (name|word) \| [^|]+ \|$", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")


def retired(kind: str) -> list[str]:
    """Return the retired words of a kind, from the glossary's table."""
    text = GLOSSARY.read_text("utf-8").partition("## Retired words")[2]
    return [word for cells, found in _ROW.findall(text) if found == kind for word in _INLINE.findall(cells)]


def files() -> Iterator[Path]:
    """Yield each file that has to use the words of the glossary."""
    yield from ROOT.glob("*.md")
    yield from (ROOT / name for name in SINGLE_FILES)
    for folder in FOLDERS:
        found = sorted((ROOT / folder).rglob("*"))
        yield from (path for path in found if path.suffix in SUFFIXES and path != GLOSSARY)


@cache
def text_of(path: Path) -> str:
    """Return a file's text."""
    return path.read_text("utf-8")


@cache
def names(path: Path) -> frozenset[str]:
    """Return the identifiers of a Python file, or the words in a page's inline code."""
    text = text_of(path)
    if path.suffix == ".md":
        return frozenset(word for code in _INLINE.findall(text) for word in re.findall(r"\w+", code))
    if path.suffix != ".py":
        return frozenset()
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return frozenset(token.string for token in tokens if token.type == tokenize.NAME)


def used(word: str, text: str) -> bool:
    """Return whether a text uses a word, in any capitals and across a line's end."""
    pattern = r"(?<!\w)" + r"\s+(?:# )?".join(map(re.escape, word.split())) + r"(?!\w)"
    return re.search(pattern, text, re.IGNORECASE) is not None


@pytest.mark.parametrize("word", retired("word"))
def test_a_retired_word_is_in_no_text(word):
    assert [str(path.relative_to(ROOT)) for path in files() if used(word, text_of(path))] == []


@pytest.mark.parametrize("name", retired("name"))
def test_a_retired_name_names_nothing(name):
    assert [str(path.relative_to(ROOT)) for path in files() if name in names(path)] == []


def test_the_glossary_retires_words_and_names_and_uses_none_of_them_itself():
    assert len(retired("word")) > 10
    assert len(retired("name")) > 10
    in_force = GLOSSARY.read_text("utf-8").partition("## Retired words")[0]
    assert [word for word in retired("word") if used(word, in_force)] == []


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("takes back", "it takes\n    # back a slate", True),
        ("takes back", "it Takes back", True),
        ("mend", "amended, recommend", False),
        ("completions", "SELECT * FROM completions", True),
        ("completions", "expected_completions", False),
        ("event id", "the event ids", False),
    ],
)
def test_a_word_is_found_as_a_whole(word, text, found):
    assert used(word, text) is found

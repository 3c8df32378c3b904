"""Imports that import-linter can't hold: parts of another package, and one room of ours that may use a package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "prediction_assets"


def imported(source: str) -> Iterator[str]:
    """Yield the dotted name of each absolute import, inside functions too; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def imports() -> dict[Path, list[str]]:
    """What each module of the package imports that names one of the two at all: parsing all takes two seconds."""
    sources = {path.relative_to(PACKAGE): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    return {
        path: list(imported(source))
        for path, source in sources.items()
        if "import dagster" in source or "from dagster" in source or "google" in source
    }


@pytest.mark.parametrize(
    ("of", "room"),
    [(("dagster._", "dagster_shared."), "orchestration"), (("google.",), "stores/gcp")],
)
def test_only_one_room_imports_what_is_private_to_dagster_or_a_client_of_google(imports, of, room):
    users = [path for path, names in imports.items() if any(f"{name}.".startswith(of) for name in names)]
    outside = [str(path) for path in users if not path.is_relative_to(room)]
    assert users
    assert outside == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import dagster._core.errors", ["dagster._core.errors"]),
        ("from dagster import _check", ["dagster._check"]),
        ("def f():\n    from google.cloud import bigquery as b", ["google.cloud.bigquery"]),
        ("from .google import x", []),
    ],
)
def test_an_import_is_found_wherever_it_stands(source, names):
    assert list(imported(source)) == names

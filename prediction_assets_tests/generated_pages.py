"""The pages that are written from the code: ``python -m prediction_assets_tests.generated_pages`` writes them anew."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from prediction_assets import errors
from prediction_assets.settings import describe

DOCS = Path(__file__).resolve().parents[1] / "docs"
WRITTEN = "<!-- written by `python -m prediction_assets_tests.generated_pages` -->\n"


def settings_page() -> str:
    """Return ``docs/settings.md``."""
    rows = [
        f"| `{each.variable}` | {f'`{each.default}`' if each.default else ''} | {each.description} |"
        for each in describe()
    ]
    return f"""# Settings

{WRITTEN}
Each is an environment variable. They are read when a command or the code location starts: restart
`prediction-assets dev` after a change. A wrong value, or a misspelt name, is refused with `BadInput`.
The other pages name a setting in small letters and without `PREDICTION_ASSETS_`.

| Setting | Default | What it decides |
|---|---|---|
{chr(10).join(rows)}

`dagster.yaml` in the home's `dagster/` is copied there once and is yours to edit: how many runs at a time, when a
silent run counts as failed, how the event log is stored.
"""


def errors_page() -> str:
    """Return ``docs/errors.md``."""
    return f"""# Errors by name

{WRITTEN}
Every error is one line that names the thing, the value and what to do next. It ends a command with exit code 2. The
[runbook](runbook.md) has the symptoms.

## Transient: the same call is tried again

{_table(errors.TransientError)}

## Terminal: somebody, or another step, has to act first

{_table(errors.TerminalError)}
"""


def _table(base: type[Exception]) -> str:
    rows = [f"| `{error.__name__}` | {_meaning(error)} |" for error in _below(base)]
    return "\n".join(["| Error | Means |", "|---|---|", *rows])


def _below(base: type[Exception]) -> Iterator[type[Exception]]:
    """Yield the errors below one in the order of the module, each before its own."""
    own = [error for error in vars(errors).values() if inspect.isclass(error) and base in error.__bases__]
    for error in own:
        yield error
        yield from _below(error)


def _meaning(error: type[Exception]) -> str:
    """Return the first paragraph of an error's docstring, on one line."""
    return " ".join((inspect.getdoc(error) or "").partition("\n\n")[0].split()).removesuffix(".")


PAGES = {DOCS / "settings.md": settings_page, DOCS / "errors.md": errors_page}

if __name__ == "__main__":
    for page, write in PAGES.items():
        page.write_text(write(), encoding="utf-8")

"""The documentation's console blocks: read from a page, executed in a shell, compared with what the page shows.

A shown line that is ``...`` stands for any lines, and ``...`` within a line for anything; what begins with such a line
is an excerpt, and may end before the output does. What differs on each run
(times, durations, receipt ids, the width of a table) is taken out of both before they are compared.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PATIENCE_SECONDS = 1800

_FENCE = re.compile(r"^( *)```(console|bash|sh|shell)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_HERE_DOCUMENT = re.compile(r"<<'?(\w+)'?")
_DIFFERS = [
    (r"\b[0-9a-f]{32}\b", "RECEIPT"),
    (r"(?<!-)\b[0-9a-f]{12}\b", "DIGEST"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(\+00:00|Z)", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?Z?", "TIME"),
    (r"@20\d{6}T\d{6}Z", "@TIME"),
    (r"^\d\d:\d\d:\d\d", "TIME"),
    (r"[\d.]+ players a minute", "N players a minute"),
    (r"\d+ ms\b", "N ms"),
    (r"PID \d+", "PID N"),
    (r"[ \t]+", " "),
    (r"([─━])[─━]+", r"\1"),
]


@dataclass(frozen=True)
class Shown:
    """A command as a page shows it.

    Attributes:
        page: the page's path from the root.
        section: the heading above it.
        command: what is typed, with its here-document.
        output: what the page shows of the output, ``""`` when nothing.
    """

    page: str
    section: str
    command: str
    output: str


def shown_on(page: Path) -> list[Shown]:
    """Return the commands of a page in order."""
    text = page.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    inside = [(fence.start(), fence.end()) for fence in fences]
    headings = [
        (match.start(), match[1])
        for match in _HEADING.finditer(text)
        if not any(start <= match.start() < end for start, end in inside)
    ]
    found = []
    for fence in fences:
        section = [title for start, title in headings if start < fence.start()][-1]
        lines = [line.removeprefix(fence[1]) for line in fence[3].splitlines()]
        for command, output in _commands(lines) if fence[2] == "console" else _script(lines):
            found.append(Shown(str(page.relative_to(ROOT)), section, command, output))
    return found


def _commands(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Return what is typed behind each prompt, and what follows until the next one."""
    rest = list(lines)
    while rest:
        line = rest.pop(0)
        assert line.startswith("$ "), f"a console block begins without a prompt: {line}"
        command = [line.removeprefix("$ ")]
        document = _HERE_DOCUMENT.search(command[0])
        while rest and not _is_whole(command, document):
            command.append(rest.pop(0))
        output = []
        while rest and not rest[0].startswith("$ "):
            output.append(rest.pop(0))
        yield "\n".join(command), "\n".join(output)


def _script(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Return the commands of a block without prompts."""
    command: list[str] = []
    for line in lines:
        if command or (line.strip() and not line.startswith("#")):
            command.append(line)
            if _is_whole(command, _HERE_DOCUMENT.search(command[0])):
                yield "\n".join(command), ""
                command = []


def _is_whole(command: list[str], document: re.Match[str] | None) -> bool:
    if document:
        return command[-1] == document[1] and len(command) > 1
    if command[-1].endswith("\\"):
        return False
    try:
        shlex.split("\n".join(command))
    except ValueError:  # a quotation is open
        return False
    return True


def compared(text: str) -> str:
    """Return a text without what differs on each run."""
    for differs, stand_in in _DIFFERS:
        text = re.sub(differs, stand_in, text, flags=re.MULTILINE)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def is_as_shown(shown: str, actual: str) -> bool:
    """Return whether an output is what a page shows of it."""
    pattern = ""
    for line in compared(shown).splitlines():
        pattern += (
            r"(?:.*\n)*"
            if line == "..."
            else ".*".join(map(re.escape, re.split(r" ?\.\.\. ?", line))) + r"\n"
        )
    if shown.startswith("...\n"):
        pattern += r"(?:.*\n)*"
    return re.fullmatch(pattern, compared(actual) + "\n") is not None


@dataclass
class Console:
    """A shell in a checkout, in which one command after another is typed.

    Attributes:
        folder: stands for the checkout; what the pages call ``.venv`` is the environment of the tests.
        environment: variables besides a few of this process's.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    exports: list[str] = field(default_factory=list)
    status: int = 0
    said: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in ROOT.iterdir():
            if path.name not in {".venv", ".git", ".prediction_assets", ".bench"}:
                (self.folder / path.name).symlink_to(path)
        (self.folder / ".venv").symlink_to(sys.prefix)

    @property
    def variables(self) -> dict[str, str]:
        """The shell's environment, before what was exported in it."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        path = f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"
        return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "160", **self.environment}

    def type(self, command: str) -> str:
        """Run a command and return what it prints, with its error if it ends in one."""
        # What make installs first is what the tests run with.
        make = 'make() { command make --silent -o .venv/.run -o .venv/.dev "$@"; }'
        script = "\n".join([*self.exports, make, f"(exit {self.status})", command])
        done = subprocess.run(
            [shutil.which("bash") or "/bin/bash", "-c", script],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        self.status = done.returncode
        if command.startswith("export "):
            self.exports.append(command)
        self.said = done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        return "\n".join([done.stdout.rstrip("\n"), *errors]).strip("\n")

    def follow(self, shown: Shown) -> None:
        """Type a command of a page; what it prints must be what the page shows."""
        actual = self.type(shown.command)
        where = f"{shown.page}, {shown.section!r}: $ {shown.command}"
        if shown.output:
            assert is_as_shown(shown.output, actual), (
                f"{where}\nshows\n{compared(shown.output)}\nand prints\n{compared(actual)}\n{self.said[-2000:]}"
            )
        else:
            assert self.status == 0, f"{where}\nended with {self.status}: {actual}\n{self.said[-2000:]}"

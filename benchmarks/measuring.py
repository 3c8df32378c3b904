"""Whole processes, measured: wall clock, CPU and peak memory of a command and all that it waited for."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class CommandFailed(Exception):
    """A measured command ended with another exit code than 0."""


@dataclass(frozen=True)
class Usage:
    """What a process took.

    Attributes:
        wall: seconds from start to end.
        cpu: seconds of user and system time, its children's included.
        peak: MiB of the largest process among it and its children.
    """

    wall: float
    cpu: float
    peak: float


def run(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end and return what it took.

    Raises:
        CommandFailed: with the last lines it wrote.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            # An installation has its bytecode, whatever the shell says of writing it; a warm-up writes it.
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(environment or {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            last = "\n".join(output.read().splitlines()[-15:])
            raise CommandFailed(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{last}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(usages: Sequence[Usage]) -> Usage:
    """Return the median of each figure."""
    return Usage(
        statistics.median(u.wall for u in usages),
        statistics.median(u.cpu for u in usages),
        max(u.peak for u in usages),
    )


def repeated(once: Callable[[Path], Sequence[Usage]], repeats: int, root: Path) -> list[Usage]:
    """Return the medians of what each repeat measures, in a new folder each, after one that is not counted.

    Args:
        once: measures in an empty folder; returns the same number of figures every time.
        repeats: how often it is counted; 0 counts the warm-up itself.
    """
    measured: list[Sequence[Usage]] = []
    for number in range(repeats + 1):
        folder = Path(tempfile.mkdtemp(prefix=f"{number}-", dir=root))
        measured.append(once(folder))
    counted = measured[1:] or measured
    return [median(each) for each in zip(*counted, strict=True)]


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a markdown table below its title; floats get two digits or three figures."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(len(c), *(len(row[n]) for row in cells)) if cells else len(c) for n, c in enumerate(columns)
    ]

    def line(words: Sequence[str]) -> str:
        return "| " + " | ".join(word.ljust(width) for word, width in zip(words, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([f"\n{title}\n", line(columns), rule, *map(line, cells)])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)

"""A finding: one statement about a slate or the installation, how bad it is, and the one command that comes next.

A finding is about the installation when it names no slate. Its key is the same for the same trouble, so that an alert
recognizes it at the next look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from prediction_assets.stores.alert import Severity

SHOWN = 20
"""Items of a list that are in the evidence; the line counts all of them."""


class Color(StrEnum):
    """The health report's traffic light: as it should be; under way or worth a look; needs you."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


COLORS = {
    Severity.OK: Color.GREEN,
    Severity.INFO: Color.YELLOW,
    Severity.WARNING: Color.YELLOW,
    Severity.ERROR: Color.RED,
    Severity.CRITICAL: Color.RED,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement."""

    key: str  # the same for the same trouble: `no_roster:2026-01-02`
    severity: Severity
    line: str  # the statement, one line
    slate: str | None = None  # None for the installation
    command: str = ""  # the one next step, a command to type or a sentence; '' when nothing is wrong
    # the numbers and lists behind the line, JSON values
    evidence: Mapping[str, Any] = field(default_factory=dict)
    link: str = ""  # the page of the UI that shows it, '' when there is none
    causes: tuple[str, ...] = ()  # keys of findings that may cause this one, the likeliest first
    cause: str = ""  # the one of them that is open: repair that one first. '' when none is
    alerts: bool = False  # an alert is kept while this finding lasts
    board: str = ""  # where people open the slate's board, '' where there is none

    @property
    def kind(self) -> str:
        """The key's first word."""
        return self.key.partition(":")[0]

    @property
    def color(self) -> Color:
        return COLORS[self.severity]


PAGES = {
    "run": "runs/{}",
    "asset": "assets/{}",
    "partition": "assets/{}?view=partitions&partition={}",
    "check": "assets/{}?view=checks&checkDetail={}",
    "automation": "locations/{}/{}/{}",  # code location, `sensors` or `schedules`, name
    "daemons": "deployment/daemons",
}
"""The pages of the UI that findings link to."""


def link_to(base: str, page: str, *names: str) -> str:
    """Return the address of a page; '' where nobody set the UI's, or there is no page."""
    return f"{base.rstrip('/')}/{PAGES[page].format(*map(quote, names))}" if base and page else ""


def utc(moment: datetime | None) -> str | None:
    """Return a moment as ``2026-01-02 15:04:05Z``; None stays None."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def local(moment: datetime | None, zone: tzinfo) -> str:
    """Return a moment as ``2026-01-02 07:04 PST``; '' for None."""
    return "" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def count(n: int, noun: str) -> str:
    """Return ``1 player``, ``1,000 players``: the number with its noun, in the plural unless it is one."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"

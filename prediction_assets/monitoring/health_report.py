"""What the morning check says: a colour, a summary, a line a check, and commands; as text and as JSON.

The JSON follows ``health.schema.json``, beside this module, which is published for whoever watches the exit code
and wants to know more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prediction_assets.monitoring.evaluate import judge, without_games
from prediction_assets.monitoring.evidence import HealthFacts, Unreadable
from prediction_assets.monitoring.findings import Color, Finding
from prediction_assets.slate.batch import Progress

EXIT_CODES = {Color.GREEN: 0, Color.YELLOW: 1, Color.RED: 2}


@dataclass(frozen=True, slots=True)
class Report:
    """One morning check.

    Attributes:
        league: '' when it isn't known.
        checks: the ten judgements by name, in the order of the flow.
    """

    slate: str
    league: str
    checked_at: datetime
    window_minutes: int
    rest: bool
    checks: dict[str, Finding]

    @property
    def color(self) -> Color:
        """The worst colour of the ten."""
        found = {judgement.color for judgement in self.checks.values()}
        return next((c for c in (Color.RED, Color.YELLOW) if c in found), Color.GREEN)

    @property
    def exit_code(self) -> int:
        """0 green, 1 yellow, 2 red."""
        return EXIT_CODES[self.color]

    @property
    def summary(self) -> str:
        """The whole in one line."""
        counts = Counter(judgement.color for judgement in self.checks.values())
        said = ", ".join(f"{counts[color]} {color.value}" for color in Color)
        what = {
            Color.GREEN: "no games, nothing to do" if self.rest else "the predictions are there",
            Color.YELLOW: "under way, or worth a look",
            Color.RED: "needs you",
        }[self.color]
        return f"slate {self.slate}: {self.color.value.upper()}, {what} ({said})"

    @property
    def commands(self) -> list[str]:
        """What to do next, most urgent first, each once."""
        by_color = [
            command
            for color in (Color.RED, Color.YELLOW)
            for judgement in self.checks.values()
            if judgement.color is color
            for command in judgement.commands
        ]
        return list(dict.fromkeys(by_color))

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``health.schema.json`` describes it."""
        return {
            "slate": self.slate,
            "league": self.league,
            "checked_at": self.checked_at.astimezone(UTC).isoformat(timespec="seconds"),
            "window_minutes": self.window_minutes,
            "color": self.color.value,
            "exit_code": self.exit_code,
            "summary": self.summary,
            "checks": [
                {
                    "name": name,
                    "color": judgement.color.value,
                    "line": judgement.line,
                    "details": dict(judgement.details),
                    "commands": list(judgement.commands),
                }
                for name, judgement in self.checks.items()
            ],
            "commands": self.commands,
        }


def report_on(facts: HealthFacts) -> Report:
    """Judge the facts."""
    league = ""
    if isinstance(facts.progress, Progress):
        league = facts.progress.batch.league
    elif not isinstance(facts.warehouse, Unreadable):
        league = facts.warehouse.schedule.league
    return Report(
        slate=facts.slate,
        league=league,
        checked_at=facts.now,
        window_minutes=round(facts.window.total_seconds() / 60),
        rest=without_games(facts),
        checks=judge(facts),
    )

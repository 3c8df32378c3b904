"""The health report: a color, a summary, ten lines, and commands; as text and as JSON.

The JSON follows ``health.schema.json`` beside this module, for monitors that want more than the exit code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prediction_assets.monitoring.batch_findings import is_without_games
from prediction_assets.monitoring.evaluate import Line, evaluate
from prediction_assets.monitoring.findings import Color, Finding
from prediction_assets.monitoring.health_facts import HealthFacts, ScheduleFacts
from prediction_assets.slate.batch import Progress

EXIT_CODES = {Color.GREEN: 0, Color.YELLOW: 1, Color.RED: 2}


@dataclass(frozen=True, slots=True)
class Report:
    """One health report."""

    slate: str
    league: str  # '' when it isn't known
    checked_at: datetime
    window_minutes: int
    without_games: bool  # there is nothing to predict on the slate
    lines: dict[str, Line]  # the ten lines by name, in the order in which a slate passes them

    @property
    def color(self) -> Color:
        found = {line.color for line in self.lines.values()}
        return next((c for c in (Color.RED, Color.YELLOW) if c in found), Color.GREEN)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.color]

    @property
    def summary(self) -> str:
        counts = Counter(line.color for line in self.lines.values())
        numbers = ", ".join(f"{counts[color]} {color.value}" for color in Color)
        what = {
            Color.GREEN: "no games, nothing to do" if self.without_games else "the predictions are there",
            Color.YELLOW: "under way, or worth a look",
            Color.RED: "needs you",
        }[self.color]
        return f"slate {self.slate}: {self.color.value.upper()}, {what} ({numbers})"

    @property
    def roots(self) -> list[Finding]:
        """What is wrong and caused by nothing else, most urgent first; of those with the same command the first."""
        findings = [f for line in self.lines.values() for f in line.findings if f.command and not f.cause]
        first: dict[str, Finding] = {}
        for finding in sorted(findings, key=lambda finding: -finding.severity.rank):
            first.setdefault(finding.command, finding)
        return list(first.values())

    @property
    def commands(self) -> list[str]:
        """The next steps, most urgent first, each once."""
        return [finding.command for finding in self.roots]

    def grouped(self) -> Iterator[tuple[Line, bool]]:
        """Yield the lines, each followed by those that it causes; True for a line that another one causes."""
        owner = {finding.key: line for line in self.lines.values() for finding in line.findings}

        def root(line: Line) -> Line:
            for _ in self.lines:  # a chain of causes is no longer than the report
                line = owner.get(line.cause, line)
            return line

        roots = {name: root(line).name for name, line in self.lines.items()}
        for name, line in self.lines.items():
            if roots[name] == name:
                yield line, False
                for other, its_root in roots.items():
                    if its_root == name and other != name:
                        yield self.lines[other], True

    def to_json(self) -> dict[str, Any]:
        return {
            "slate": self.slate,
            "league": self.league,
            "checked_at": self.checked_at.astimezone(UTC).isoformat(timespec="seconds"),
            "window_minutes": self.window_minutes,
            "color": self.color.value,
            "exit_code": self.exit_code,
            "summary": self.summary,
            "lines": [
                {
                    "name": name,
                    "color": line.color.value,
                    "line": line.text,
                    "findings": [
                        {
                            "key": finding.key,
                            "severity": finding.severity.value,
                            "line": finding.line,
                            "evidence": dict(finding.evidence),
                            "command": finding.command,
                            "link": finding.link,
                            "cause": finding.cause,
                        }
                        for finding in line.findings
                    ],
                }
                for name, line in self.lines.items()
            ],
            "commands": self.commands,
        }


def report_on(facts: HealthFacts) -> Report:
    league = ""
    if isinstance(facts.progress, Progress):
        league = facts.progress.batch.league
    elif isinstance(facts.schedule, ScheduleFacts):
        league = facts.schedule.league
    return Report(
        slate=facts.slate,
        league=league,
        checked_at=facts.now,
        window_minutes=round(facts.window.total_seconds() / 60),
        without_games=is_without_games(facts),
        lines=evaluate(facts),
    )

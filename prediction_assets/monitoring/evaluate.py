"""The ten lines of the health report, each from pure functions of the facts, and which finding causes which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from prediction_assets.monitoring.batch_findings import batch_complete, batch_opened, players_settled
from prediction_assets.monitoring.evidence import HealthFacts, Unreadable
from prediction_assets.monitoring.findings import Color, Finding
from prediction_assets.monitoring.receipt_findings import completion_published, consolidation_receipt, merge
from prediction_assets.monitoring.result_findings import (
    no_errors,
    no_staging_leftovers,
    predictions_in_table,
    versions_consistent,
)
from prediction_assets.stores.alert import Severity

LINES: dict[str, Callable[[HealthFacts], Finding | tuple[Finding, ...]]] = {
    line.__name__: line
    for line in (
        batch_opened,
        players_settled,
        batch_complete,
        consolidation_receipt,
        merge,
        completion_published,
        no_errors,
        predictions_in_table,
        no_staging_leftovers,
        versions_consistent,
    )
}
"""The ten lines by name, in the order in which a slate passes them."""

_WITHOUT_GAMES = frozenset({no_errors.__name__, no_staging_leftovers.__name__})
"""Lines that say something on a day without games too."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the health report: one finding, or several that are read together."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """The worst severity of the findings."""
        return max((finding.severity for finding in self.findings), key=lambda severity: severity.rank)

    @property
    def color(self) -> Color:
        """The worst color of the findings."""
        return next(finding.color for finding in self.findings if finding.severity is self.severity)

    @property
    def text(self) -> str:
        """The findings in one line."""
        return "; ".join(finding.line for finding in self.findings)

    @property
    def cause(self) -> str:
        """The key of the finding that causes all of this line, '' when something of it has no cause."""
        causes = [finding.cause for finding in self.findings if finding.severity is not Severity.OK]
        return causes[0] if causes and all(causes) else ""


def evaluate(facts: HealthFacts) -> dict[str, Line]:
    """Return the ten lines; without games, each line that needs them is green and says so."""
    resting = is_without_games(facts)
    lines = []
    for name, find in LINES.items():
        found: Finding | tuple[Finding, ...]
        if resting and name not in _WITHOUT_GAMES:
            line = f"no games on {facts.slate}: nothing to do"
            found = Finding(f"{name}:{facts.slate}", Severity.OK, line, facts.slate)
        else:
            found = find(facts)
        lines.append(Line(name, found if isinstance(found, tuple) else (found,)))
    return {line.name: line for line in _with_causes(lines)}


def _with_causes(lines: list[Line]) -> list[Line]:
    """Keep a finding's cause only if the report has it; a finding that repeats an earlier one is caused by that one."""
    open_keys = {f.key for line in lines for f in line.findings if f.severity is not Severity.OK}
    seen: set[str] = set()
    resolved = []
    for line in lines:
        findings = []
        for found in line.findings:
            finding = found
            if finding.key in seen and finding.severity is not Severity.OK:
                finding = replace(finding, key=f"{line.name}:{finding.key}", cause=finding.key)
            elif finding.cause not in open_keys or finding.cause == finding.key:
                finding = replace(finding, cause="")
            seen.add(finding.key)
            findings.append(finding)
        resolved.append(Line(line.name, tuple(findings)))
    return resolved


def is_without_games(facts: HealthFacts) -> bool:
    """Return whether the schedule, and the batch that it led to, has no games on the slate.

    Not when a receipt exists: after games that were called off, a consolidated slate has rows in force to retract.
    """
    if isinstance(facts.warehouse, Unreadable) or isinstance(facts.progress, Unreadable):
        return False
    schedule = facts.warehouse.schedule
    no_batch = facts.progress is None or (not facts.progress.batch.expected and not facts.warehouse.receipts)
    return schedule.covered and schedule.games == 0 and no_batch

"""The one diagnosis: a slate's facts become the ten lines of findings, and each finding its cause.

The health report prints all of it; alerts keep the findings that are to be sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from prediction_assets.monitoring.batch_findings import (
    batch_complete,
    batch_opened,
    is_without_games,
    players_settled,
    unreadable,
    without_games,
)
from prediction_assets.monitoring.findings import Color, Finding
from prediction_assets.monitoring.health_facts import HealthFacts, Unreadable
from prediction_assets.monitoring.receipt_findings import completion_published, consolidation_receipt, merge
from prediction_assets.monitoring.result_findings import (
    no_staging_leftovers,
    rows_in_table,
    versions_consistent,
)
from prediction_assets.monitoring.run_findings import no_errors
from prediction_assets.monitoring.stale_findings import stale_predictions
from prediction_assets.monitoring.thresholds import SHOWN_FINDINGS
from prediction_assets.stores.alert import Severity

_Find = Callable[[HealthFacts], Finding | tuple[Finding, ...]]


def predictions_in_table(facts: HealthFacts) -> tuple[Finding, ...]:
    """The slate's rows are in the table, and made from the facts as they are now."""
    return (rows_in_table(facts), *stale_predictions(facts))


LINES: dict[_Find, tuple[str, ...]] = {
    batch_opened: ("progress",),
    players_settled: ("progress",),
    batch_complete: ("progress",),
    consolidation_receipt: ("warehouse",),
    merge: ("warehouse",),
    completion_published: ("messages", "warehouse"),
    no_errors: ("instance", "dead_letters", "damage"),
    predictions_in_table: ("warehouse", "progress"),
    no_staging_leftovers: ("warehouse", "progress"),
    versions_consistent: ("warehouse", "instance", "progress"),
}
"""The ten lines, in the order in which a slate passes them, and the facts without which a line can't be found."""

NAMES = tuple(find.__name__ for find in LINES)

_OF_THE_WAREHOUSE = (merge, predictions_in_table, no_staging_leftovers, versions_consistent)
"""Lines that aren't there where the warehouse wasn't asked."""

_WITHOUT_GAMES = (no_errors, no_staging_leftovers)
"""Lines that say something on a day without games too."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the health report: one finding, or several that are read together."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        return max((finding.severity for finding in self.findings), key=lambda severity: severity.rank)

    @property
    def color(self) -> Color:
        return next(finding.color for finding in self.findings if finding.severity is self.severity)

    @property
    def text(self) -> str:
        """The findings in one line, the worst first."""
        worst_first = sorted(self.findings, key=lambda finding: -finding.severity.rank)
        said = [finding.line for finding in worst_first[:SHOWN_FINDINGS]]
        left = len(worst_first) - len(said)
        return "; ".join([*said, f"and {left} more"] if left else said)

    @property
    def cause(self) -> str:
        """The key of the finding that causes all of this line, '' when something of it has no cause."""
        causes = [finding.cause for finding in self.findings if finding.severity is not Severity.OK]
        return causes[0] if causes and all(causes) else ""


def evaluate(facts: HealthFacts) -> dict[str, Line]:
    """Return the lines; without games, each line that needs them is green and says so."""
    return {line.name: line for line in _with_causes(list(_lines(facts)))}


def open_findings(facts: HealthFacts, already: Collection[str] = ()) -> list[Finding]:
    """Return the findings to keep as alerts: those of a kind and severity that alerts, without what one as bad causes.

    Args:
        already: keys of open alerts: one that is open doesn't end because its cause is found later.
    """
    found = [f for line in evaluate(facts).values() for f in line.findings if f.alerts]
    alerting = {finding.key: finding.severity.rank for finding in found}
    return [
        replace(finding, board=facts.board if finding.slate == facts.slate else "")
        for finding in found
        if alerting.get(finding.cause, -1) < finding.severity.rank or finding.key in already
    ]


def _lines(facts: HealthFacts) -> Iterator[Line]:
    resting = is_without_games(facts)
    for find, needs in LINES.items():
        if facts.warehouse is None and find in _OF_THE_WAREHOUSE:
            if find is predictions_in_table and (stale := stale_predictions(facts)):
                yield Line(find.__name__, stale)
            continue
        missing = [each for need in needs if isinstance(each := getattr(facts, need), Unreadable)]
        found: Finding | tuple[Finding, ...]
        if missing:
            found = unreadable(facts, missing[0])
        elif resting and find not in _WITHOUT_GAMES:
            found = without_games(facts) if find is batch_opened else _nothing_to_do(facts, find.__name__)
        else:
            found = find(facts)
        yield Line(find.__name__, found if isinstance(found, tuple) else (found,))


def _nothing_to_do(facts: HealthFacts, name: str) -> Finding:
    return facts.fine(name, f"no games on {facts.slate}: nothing to do")


def _with_causes(lines: list[Line]) -> Iterator[Line]:
    """Give each finding the first of its causes that is open; one that repeats an earlier finding is caused by it."""
    open_keys = {f.key for line in lines for f in line.findings if f.severity is not Severity.OK}
    seen: set[str] = set()
    for line in lines:
        findings = []
        for found in line.findings:
            finding = replace(
                found, cause=next((c for c in found.causes if c in open_keys and c != found.key), "")
            )
            if finding.key in seen and finding.severity is not Severity.OK:
                finding = replace(finding, key=f"{line.name}:{finding.key}", cause=finding.key)
            seen.add(finding.key)
            findings.append(finding)
        yield Line(line.name, tuple(findings))

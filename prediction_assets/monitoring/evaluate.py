"""The ten checks of the morning check by name, each a pure function of the facts."""

from __future__ import annotations

from collections.abc import Callable

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

CHECKS: dict[str, Callable[[HealthFacts], Finding]] = {
    judge.__name__: judge
    for judge in (
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
"""The ten checks by name, in the order in which a slate passes them."""

_WITHOUT_GAMES = frozenset({no_errors.__name__, no_staging_leftovers.__name__})
"""What is judged on a day without games too."""


def judge(facts: HealthFacts) -> dict[str, Finding]:
    """Return each check's judgement; without games, everything that needs them is green and says so."""
    rest = without_games(facts)
    return {
        name: Finding(Color.GREEN, f"no games on {facts.slate}: nothing to do")
        if rest and name not in _WITHOUT_GAMES
        else check(facts)
        for name, check in CHECKS.items()
    }


def without_games(facts: HealthFacts) -> bool:
    """Return whether the schedule, or the batch that it led to, is known to have no games on the slate.

    Of games that were called off after a consolidation, what it left in force is to be taken back: that is judged.
    """
    if isinstance(facts.warehouse, Unreadable) or isinstance(facts.progress, Unreadable):
        return False
    schedule = facts.warehouse.schedule
    no_batch = facts.progress is None or (not facts.progress.batch.expected and not facts.warehouse.receipts)
    return schedule.covered and schedule.games == 0 and no_batch

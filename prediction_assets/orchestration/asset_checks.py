"""Asset checks on ``predictions``: the verdicts of the audits that ran in the MERGE's transaction.

A check shows what its audit found, of a committed MERGE from the receipt, of a refused one from the error, and the next
command, which is the health report's. They are evaluated in the step of their asset, because a refused slate has no
materialization. What an audit compares is in ``stores/sql/audit_sql.py``.
https://docs.dagster.io/guides/test/asset-checks
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from prediction_assets.errors import AuditRefused, NoPartsStaged, without_markup
from prediction_assets.monitoring.finding_kinds import KINDS
from prediction_assets.orchestration.partitions import SLATES, preview_features
from prediction_assets.slate.audits import AUDITS, ENOUGH_STAGED, NOT_EMPTY, SETTLED, verdict
from prediction_assets.slate.outcome import UNSETTLED, Outcome
from prediction_assets.slate.receipt import Receipt

PREDICTIONS_ASSET = dg.AssetKey("predictions")

CHECK_KEYS = [dg.AssetCheckKey(PREDICTIONS_ASSET, audit.name) for audit in AUDITS]
"""Every check that must be evaluated before a consolidation is announced."""

_SHOWN = 50
"""Players that a check lists."""

with preview_features():
    CHECK_SPECS = [
        dg.AssetCheckSpec(
            audit.name,
            asset=PREDICTIONS_ASSET,
            blocking=audit.is_blocking,
            description=f"{audit.description} A refused MERGE is rolled back, and every part is kept."
            if audit.is_blocking
            else audit.description,
            partitions_def=SLATES,
        )
        for audit in AUDITS
    ]


def results_of(receipt: Receipt, minimum_staged_share: float) -> Iterator[dg.AssetCheckResult]:
    """Yield the check results of a committed MERGE; a refusal that an operator accepted is a warning."""
    because = {each["name"]: each["because"] for each in receipt.accepted}
    for each in receipt.audits:
        found, metadata = each, _details(receipt, minimum_staged_share, each["name"])
        if not each["passed"] and each["name"] in because:
            metadata["accepted_because"] = dg.MetadataValue.text(because[each["name"]])
            found = {**each, "severity": "WARN"}
        yield _result(found, metadata, receipt.slate)


def results_of_refusal(slate: str, error: AuditRefused | NoPartsStaged) -> Iterator[dg.AssetCheckResult]:
    """Yield the check results of a refused slate: what its audits found before the MERGE was rolled back."""
    if isinstance(error, NoPartsStaged):
        found = [verdict(name, passed=False) for name in (NOT_EMPTY, ENOUGH_STAGED)]
    else:
        found = [dict(each) for each in error.verdicts]
    for each in found:
        yield _result(each, {}, slate, "" if each["passed"] else str(error))


def _result(
    found: Mapping[str, Any], metadata: dict[str, Any], slate: str, description: str = ""
) -> dg.AssetCheckResult:
    if found["detail"]:
        # Plain text: facts are in it, and the UI would render an image or a link in markdown.
        metadata["offending"] = dg.MetadataValue.text(found["detail"])
    if not found["passed"]:
        kind = "partial_receipt" if found["name"] == SETTLED else "check"
        metadata["next"] = KINDS[kind].command.format(slate=slate)
    return dg.AssetCheckResult(
        passed=found["passed"],
        check_name=found["name"],
        severity=dg.AssetCheckSeverity[found["severity"]],
        description=without_markup(description) or None,  # the UI renders it as Markdown
        metadata=metadata,
    )


def _details(receipt: Receipt, minimum_share: float, name: str) -> dict[str, Any]:
    if name == NOT_EMPTY:
        rows = {"rows": receipt.rows, "staged_rows": receipt.rows_staged}
        return {**rows, "why_no_rows": _why_no_rows(receipt)} if receipt.is_retraction else rows
    if name == ENOUGH_STAGED:
        return {
            "staged": receipt.staged_players,
            "not_skipped": receipt.expected_players - receipt.skipped_players,
            "minimum_share": minimum_share,
        }
    if name == SETTLED:
        without = {player["player_slug"]: player["outcome"] for player in receipt.missing}
        return {
            "expected": receipt.expected_players,
            "staged": receipt.staged_players,
            "skipped": receipt.skipped_players,
            "failed": [slug for slug, how in without.items() if how == Outcome.FAILED][:_SHOWN],
            "unsettled": [slug for slug, how in without.items() if how == UNSETTLED][:_SHOWN],
        }
    return {"rows": receipt.rows}


def _why_no_rows(receipt: Receipt) -> str:
    if not receipt.expected_players:
        return "no game is on any more"
    reasons = Counter(player["reason"] for player in receipt.missing)
    shown = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
    return f"all {receipt.expected_players} expected players were skipped: {shown}"

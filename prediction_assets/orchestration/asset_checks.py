"""Asset checks on ``predictions``, evaluated for each slate from its batch, its receipt and its rows in force.

They share one step that opens the warehouse once. When a blocking check fails, cleanup doesn't run and the parts stay.
``predictions_not_empty`` and ``enough_players_staged`` are with their asset, because they fail without a
materialization. https://docs.dagster.io/guides/test/asset-checks
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from prediction_assets.errors import BatchNotOpen
from prediction_assets.nba.forecasting.recommendation import RECOMMENDATION_SQL
from prediction_assets.orchestration.partitions import SLATES, preview_features
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.merge_plan import ENOUGH_STAGED, NOT_EMPTY
from prediction_assets.slate.outcome import Outcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, Warehouse
from prediction_assets.stores.sql import queries

PREDICTIONS_ASSET = dg.AssetKey("predictions")

MOST_POINTS = 120.0
"""No forecast is higher: the most points of a player in an NBA game are 100 (Chamberlain, 1962-03-02)."""


@dataclass(frozen=True)
class SlateFacts:
    """What the checks compare: one slate's batch, its newest receipt, and counts over its active rows."""

    progress: Progress
    receipt: Receipt
    rows: int
    players: int
    out_of_range: int
    disagreeing: int
    duplicate_keys: int


def read_slate_facts(
    warehouse: Warehouse, progress: Progress, receipt: Receipt, *, pass_threshold: float
) -> SlateFacts:
    """Count what the checks compare."""
    slate = parse_slate(progress.batch.slate)
    counts = warehouse.query(
        queries.slate_facts(RECOMMENDATION_SQL),
        {"slate": slate, "most_points": MOST_POINTS, "threshold": pass_threshold},
    ).to_pylist()[0]
    duplicates = warehouse.query(queries.DUPLICATE_KEYS, {"slate": slate}).to_pylist()[0]
    return SlateFacts(
        progress=progress,
        receipt=receipt,
        rows=counts["row_count"],
        players=counts["players"],
        out_of_range=counts["out_of_range"],
        disagreeing=counts["disagreeing"],
        duplicate_keys=duplicates["duplicate_keys"],
    )


def every_expected_player_settled(facts: SlateFacts) -> dg.AssetCheckResult:
    """Every expected player has an outcome and none failed. Otherwise a warning: the message then says partial."""
    progress = facts.progress
    failed = sorted(slug for slug, c in progress.outcomes.items() if c.outcome is Outcome.FAILED)
    return dg.AssetCheckResult(
        passed=not progress.unsettled and not failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "expected": len(progress.batch.expected),
            "staged": progress.count(Outcome.STAGED),
            "skipped": progress.count(Outcome.SKIPPED),
            "failed": failed[:50],
            "unsettled": list(progress.unsettled[:50]),
        },
    )


def staged_rows_are_accounted_for(facts: SlateFacts) -> dg.AssetCheckResult:
    """Staged = inserted + updated + unchanged = the sum of the parts, and the table holds the receipt's rows."""
    receipt = facts.receipt
    in_parts = sum(part["rows"] for part in receipt.parts)
    done = receipt.rows_inserted + receipt.rows_updated + receipt.rows_unchanged
    return dg.AssetCheckResult(
        passed=receipt.rows_staged == done == in_parts and receipt.rows == facts.rows,
        metadata={
            "rows_in_parts": in_parts,
            "rows_staged": receipt.rows_staged,
            "inserted_updated_unchanged": done,
            "rows_in_receipt": receipt.rows,
            "rows_in_table": facts.rows,
        },
    )


def business_key_is_unique(facts: SlateFacts) -> dg.AssetCheckResult:
    """No two rows of the slate, active or not, share game_date, game_id, player_id, system and line."""
    return dg.AssetCheckResult(
        passed=facts.duplicate_keys == 0, metadata={"duplicate_keys": facts.duplicate_keys}
    )


def values_in_range(facts: SlateFacts) -> dg.AssetCheckResult:
    """Points are 0-120, probabilities 0-1, confidence 0.5-1, and no value is NaN."""
    return dg.AssetCheckResult(
        passed=facts.out_of_range == 0, metadata={"rows_out_of_range": facts.out_of_range, "rows": facts.rows}
    )


def recommendation_agrees_with_its_line(facts: SlateFacts) -> dg.AssetCheckResult:
    """Each OVER, UNDER, PASS or NO_LINE follows from the row's own line, forecast and probabilities."""
    return dg.AssetCheckResult(
        passed=facts.disagreeing == 0, metadata={"rows_disagreeing": facts.disagreeing, "rows": facts.rows}
    )


def _log_results(context: dg.AssetCheckExecutionContext, slate: str, passed: Mapping[str, bool]) -> None:
    failed = sorted(name for name, result in passed.items() if not result)
    within = len(CHECK_KEYS) - len(_CHECK_NAMED)
    context.log.log(
        logging.WARNING if failed else logging.INFO,
        f"slate {slate}: {len(passed) - len(failed)} of {len(passed)} checks passed on the merged rows "
        f"({within} more ran with the asset)" + (f", failed: {', '.join(failed)}" if failed else ""),
        extra={"slate": slate},
    )


_CHECKS: dict[Callable[[SlateFacts], dg.AssetCheckResult], bool] = {
    every_expected_player_settled: False,
    staged_rows_are_accounted_for: True,
    business_key_is_unique: True,
    values_in_range: True,
    recommendation_agrees_with_its_line: True,
}
_CHECK_NAMED = {check.__name__: check for check in _CHECKS}

CHECK_KEYS = [dg.AssetCheckKey(PREDICTIONS_ASSET, name) for name in (NOT_EMPTY, ENOUGH_STAGED, *_CHECK_NAMED)]
"""Every check that must be evaluated before a consolidation is announced."""


with preview_features():
    _SPECS = [
        dg.AssetCheckSpec(
            check.__name__,
            asset=PREDICTIONS_ASSET,
            blocking=blocking,
            description=check.__doc__,
            partitions_def=SLATES,
        )
        for check, blocking in _CHECKS.items()
    ]


@dg.multi_asset_check(specs=_SPECS, can_subset=True)
def predictions_checks(
    context: dg.AssetCheckExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the checks of the slate's predictions."""
    slate = context.partition_key
    progress = batch_state.progress(slate)
    receipts = warehouse.receipts(slate)
    if progress is None or not receipts:
        raise BatchNotOpen(f"slate {slate}: nothing was consolidated yet; materialize predictions first")
    facts = read_slate_facts(warehouse, progress, receipts[-1], pass_threshold=settings.pass_threshold)
    results = {key: _CHECK_NAMED[key.name](facts) for key in context.selected_asset_check_keys}
    _log_results(context, slate, {key.name: result.passed for key, result in results.items()})
    for key in sorted(results, key=lambda key: key.name):
        result: dict[str, Any] = results[key]._asdict()
        yield dg.AssetCheckResult(**{**result, "asset_key": key.asset_key, "check_name": key.name})
    reached("checks_evaluated")

"""The fan-in: a slate's parts merged into the predictions table, idempotently, with a receipt.

The checks ``predictions_not_empty`` and ``enough_players_staged`` are evaluated in this step, so that they are red even
if nothing could be merged.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from prediction_assets.errors import NoPartsStaged, TooFewStaged, without_markup
from prediction_assets.orchestration.assets.describing import (
    FAN_IN,
    OWNERS,
    predictions_lineage,
    table_metadata,
    table_of,
)
from prediction_assets.orchestration.gates import RECEIPT_ID
from prediction_assets.orchestration.partitions import SLATES, preview_features
from prediction_assets.orchestration.run_tags import tag_run
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import is_simulated, parse_slate
from prediction_assets.slate.merge_plan import ENOUGH_STAGED, NOT_EMPTY
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.merge import merge, plan_merge, read_outcomes
from prediction_assets.stores.protocols import BatchState, DeadLetters, Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import PREDICTIONS

_SAMPLE_ROWS = 10
_SHOWN = 50


class PredictionsConfig(dg.Config):
    """When to merge."""

    before_deadline: bool = Field(
        default=False,
        description="Merge now, without the players who haven't settled. The receipt and the completion message then "
        "say `partial`.",
    )


with preview_features():

    @dg.asset(
        partitions_def=SLATES,
        group_name=FAN_IN,
        owners=OWNERS,
        kinds={"duckdb", "sql"},
        # One run at a time: BigQuery cancels transactions that change the same table at once.
        pool="consolidation",
        deps=[dg.AssetDep("staged_predictions", partition_mapping=dg.AllPartitionMapping())],
        metadata=table_metadata(PREDICTIONS),
        check_specs=[
            dg.AssetCheckSpec(
                NOT_EMPTY,
                asset="predictions",
                blocking=True,
                partitions_def=SLATES,
                description="Fails if no row is staged, or if the table has no active row for the slate. If there is "
                "nothing to predict any more (no game is on, or every expected player was skipped) it fails if the "
                "table has an active row. Staged parts are kept and nothing is announced.",
            ),
            dg.AssetCheckSpec(
                ENOUGH_STAGED,
                asset="predictions",
                blocking=True,
                partitions_def=SLATES,
                description="Fails if fewer players are staged than the minimum share in the settings; skipped players "
                "don't count. Nothing is merged or announced, and staged parts are kept.",
            ),
        ],
    )
    def predictions(
        context: dg.AssetExecutionContext,
        config: PredictionsConfig,
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
        dead_letters: dg.ResourceParam[DeadLetters],
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """The slate's predictions in `player_prop_predictions`; read the rows where `is_active`.

        Merges every staged part that no receipt names yet. A row with a new business key is inserted. A row whose
        content changed is updated. A row that is the same is left alone. A row that a merged player's new part no
        longer has is superseded; it is deleted `keep_days` later. The MERGE and its receipt are one
        transaction. It is safe to materialize again at any time: the same outcomes give the same receipt.
        """
        slate = context.partition_key
        progress, receipts = read_outcomes(slate, warehouse, batch_state)
        tag_run(context, slate, progress.batch.batch_id)
        try:
            work = plan_merge(
                progress,
                receipts,
                now=clock.now(),
                minimum_staged_share=settings.minimum_staged_share,
                before_deadline=config.before_deadline,
            )
        except (NoPartsStaged, TooFewStaged) as error:
            some_staged, why = not isinstance(error, NoPartsStaged), without_markup(str(error))
            yield dg.AssetCheckResult(passed=some_staged, check_name=NOT_EMPTY, description=why)
            yield dg.AssetCheckResult(passed=False, check_name=ENOUGH_STAGED, description=why)
            raise
        receipt = merge(work, progress, warehouse, dead_letters, run_id=context.run.run_id, now=clock.now())
        cost = warehouse.cost()  # before the sample is read, which is no part of the MERGE
        yield dg.MaterializeResult(
            metadata={**_metadata(receipt, warehouse), **cost},
            check_results=[_not_empty(receipt), _enough_staged(receipt, settings.minimum_staged_share)],
        )


def _not_empty(receipt: Receipt) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"rows": receipt.rows, "staged_rows": receipt.rows_staged}
    if receipt.is_retraction:
        metadata["why_no_rows"] = _why_no_rows(receipt)
    passed = receipt.rows == 0 if receipt.is_retraction else receipt.rows > 0
    return dg.AssetCheckResult(passed=passed, check_name=NOT_EMPTY, metadata=metadata)


def _why_no_rows(receipt: Receipt) -> str:
    if not receipt.expected_players:
        return "no game is on any more"
    reasons = Counter(player["reason"] for player in receipt.missing)
    shown = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
    return f"all {receipt.expected_players} expected players were skipped: {shown}"


def _enough_staged(receipt: Receipt, minimum_share: float) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=True,  # otherwise the plan was refused
        check_name=ENOUGH_STAGED,
        metadata={
            "staged": receipt.staged_players,
            "not_skipped": receipt.expected_players - receipt.skipped_players,
            "minimum_share": minimum_share,
        },
    )


def _metadata(receipt: Receipt, warehouse: Warehouse) -> dict[str, Any]:
    sample = warehouse.query(
        queries.PREDICTIONS_SAMPLE, {"slate": parse_slate(receipt.slate), "limit": _SAMPLE_ROWS}
    )
    return {
        RECEIPT_ID: receipt.receipt_id,
        "league": receipt.league,
        "simulated": is_simulated(receipt.league),
        "status": receipt.status,
        "revision": receipt.revision,
        "dagster/partition_row_count": receipt.rows,
        "rows_staged": receipt.rows_staged,
        "rows_inserted": receipt.rows_inserted,
        "rows_updated": receipt.rows_updated,
        "rows_unchanged": receipt.rows_unchanged,
        "rows_superseded": receipt.rows_superseded,
        "parts_merged": len(receipt.parts),
        "players_expected": receipt.expected_players,
        "players_staged": receipt.staged_players,
        "players_skipped": receipt.skipped_players,
        "players_failed": receipt.failed_players,
        "merge_ms": receipt.merge_ms,
        "feature_snapshot": receipt.feature_snapshot,
        "dagster/column_lineage": predictions_lineage(),
        "sample": table_of(sample.to_pylist()),
        **({"missing_players": table_of(receipt.missing[:_SHOWN])} if receipt.missing else {}),
    }

"""The fan-in: a slate's parts merged into the predictions table, idempotently, with a receipt.

The audits run in the MERGE's transaction. Their checks are evaluated in this step, so that they are also red of a slate
that was refused.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from prediction_assets.errors import AuditRefused, NoPartsStaged
from prediction_assets.orchestration.asset_checks import CHECK_SPECS, results_of, results_of_refusal
from prediction_assets.orchestration.assets.describing import (
    FAN_IN,
    OWNERS,
    board_link,
    table_of,
    table_schema,
)
from prediction_assets.orchestration.assets.slate_in_force import slate_in_force
from prediction_assets.orchestration.partitions import SLATES, preview_features
from prediction_assets.orchestration.run_tags import FENCE_TAG, RECEIPT_ID, tag_run
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import is_simulated, parse_slate
from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.failpoints import reached
from prediction_assets.steps.merge import audit_limits, consolidate, plan_merge, seen_revisions
from prediction_assets.steps.revert import stage_revision
from prediction_assets.stores.protocols import BatchState, DeadLetters, Outbox, Publisher, Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import PREDICTIONS

_SAMPLE_ROWS = 10
_SHOWN = 50


class PredictionsConfig(dg.Config):
    """When to merge, what an operator accepts, and what he reverts to."""

    before_deadline: bool = Field(
        default=False,
        description="Merge now, without the players who haven't settled. The receipt and the completion message then "
        "say `partial`.",
    )
    accept: list[str] = Field(
        default=[],
        description="Names of blocking checks whose refusal of this slate you accept. The receipt and the completion "
        "message name them.",
    )
    because: str = Field(
        default="", description="Why you accept that, in a sentence; it is kept in the receipt."
    )
    revert_to: int | None = Field(
        default=None,
        description="A revision of the slate. Its rows are staged again first, and this MERGE publishes them as a "
        "new revision.",
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
        # Not as dagster/column_schema: the UI would show some 40 columns before what the MERGE did.
        metadata={
            "columns": table_schema(PREDICTIONS),
            "dagster/table_name": PREDICTIONS.qualified_name,
            "business_key": ", ".join(PREDICTIONS.business_key),
        },
        check_specs=CHECK_SPECS,
    )
    def predictions(
        context: dg.AssetExecutionContext,
        config: PredictionsConfig,
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
        dead_letters: dg.ResourceParam[DeadLetters],
        outbox: dg.ResourceParam[Outbox],
        publisher: dg.ResourceParam[Publisher],
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """The slate's predictions; read them in the view `current_predictions`.

        Merges every staged part that no receipt names yet into the ledger `player_prop_predictions`. A row is inserted
        and later closed, never changed: where the content of a key changed, its row is closed and another inserted. A
        row that is the same is left alone. A closed row is deleted `keep_days` later. The MERGE, the blocking checks
        and the receipt are one transaction: what a check refuses is rolled back. It is safe to materialize again at any
        time: the same outcomes give the same receipt.
        """
        slate = context.partition_key
        if config.revert_to is not None:
            fence = int(context.run.tags.get(FENCE_TAG) or claim_fence(slate, warehouse, batch_state))
            context.instance.add_run_tags(context.run.run_id, {FENCE_TAG: str(fence)})
            stage_revision(
                slate,
                config.revert_to,
                warehouse,
                batch_state,
                settings,
                clock,
                run_id=context.run.run_id,
                fence=fence,
            )
        limits = audit_limits(settings)

        def decide(progress: Progress, receipts: tuple[Receipt, ...]) -> MergePlan:
            tag_run(context, slate, progress.batch.batch_id)
            return plan_merge(
                progress,
                receipts,
                now=clock.now(),
                limits=limits,
                accepted=dict.fromkeys(config.accept, config.because),
                seen=seen_revisions(progress, outbox, publisher),
                before_deadline=config.before_deadline,
            )

        try:
            progress, receipt = consolidate(
                slate,
                warehouse,
                batch_state,
                dead_letters,
                decide,
                run_id=context.run.run_id,
                now=clock.now(),
            )
        except (NoPartsStaged, AuditRefused) as error:
            yield from results_of_refusal(slate, error)
            raise
        cost = warehouse.cost()  # before what is shown is read, which is no part of the MERGE
        with warehouse.reading():
            picture, numbers = slate_in_force(warehouse, progress)
            shown = _metadata(receipt, warehouse)
        yield dg.MaterializeResult(
            metadata={"picture": picture, **board_link(settings, slate), **shown, **numbers, **cost},
            check_results=[*results_of(receipt, limits.minimum_staged_share)],
        )
        reached("checks_evaluated")


def _metadata(receipt: Receipt, warehouse: Warehouse) -> dict[str, Any]:
    sample = warehouse.query(
        queries.PREDICTIONS_SAMPLE, {"slate": parse_slate(receipt.slate), "limit": _SAMPLE_ROWS}
    )
    missing = [
        {name: each[name] for name in ("player_slug", "outcome", "reason")}
        for each in receipt.missing[:_SHOWN]
    ]
    changes = [
        {"player_slug": each["player_slug"], "why": "; ".join(each["causes"])}
        for each in (*receipt.parts, *receipt.missing)
        if each.get("causes")
    ]
    return {
        "status": receipt.status,
        "revision": receipt.revision,
        "players_expected": receipt.expected_players,
        "players_staged": receipt.staged_players,
        "players_skipped": receipt.skipped_players,
        "players_failed": receipt.failed_players,
        **({"changes": table_of(changes[:_SHOWN])} if changes else {}),
        **({"missing_players": table_of(missing)} if missing else {}),
        "sample": table_of(sample.to_pylist()),
        "dagster/partition_row_count": receipt.rows,
        "rows_staged": receipt.rows_staged,
        "rows_inserted": receipt.rows_inserted,
        "rows_updated": receipt.rows_updated,
        "rows_unchanged": receipt.rows_unchanged,
        "rows_superseded": receipt.rows_superseded,
        "parts_merged": len(receipt.parts),
        "merge_ms": receipt.merge_ms,
        "league": receipt.league,
        "simulated": is_simulated(receipt.league),
        RECEIPT_ID: receipt.receipt_id,
        "feature_snapshot": receipt.feature_snapshot,
    }

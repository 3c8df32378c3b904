"""The fan-in: a slate's parts merged into the predictions table, idempotently, with a receipt.

The asset decides nothing itself: :mod:`prediction_assets.slate.merge_plan` says what to merge and the warehouse
merges it in one transaction. The blocking checks ``predictions_not_empty`` and ``enough_players_staged``
are evaluated in the same step, so that they are red even when there was nothing to materialize.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg
from pydantic import Field

from prediction_assets.errors import (
    DeadlinePassed,
    NoPartsStaged,
    NotSettled,
    TooFewStaged,
)
from prediction_assets.orchestration.assets.describing import (
    FAN_IN,
    OWNERS,
    predictions_lineage,
    table_metadata,
)
from prediction_assets.orchestration.assets.tagging import tag_run
from prediction_assets.orchestration.gates import RECEIPT_ID
from prediction_assets.orchestration.markdown import markdown_table
from prediction_assets.orchestration.partitions import SLATES
from prediction_assets.orchestration.preview import preview_features
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.dead_letter import Failure, replay_payload
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import is_simulated, parse_slate
from prediction_assets.slate.merge_plan import ENOUGH_STAGED, NOT_EMPTY, plan
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, DeadLetters, Warehouse, open_progress
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import PREDICTIONS

_SAMPLE_ROWS = 10


class PredictionsConfig(dg.Config):
    """How to consolidate."""

    before_deadline: bool = Field(
        default=False,
        description="Consolidate although players haven't settled and the deadline hasn't passed. The receipt "
        "and the completion then say partial.",
    )


def _require_settled(
    progress: Progress,
    clock: Clock,
    *,
    before_deadline: bool,
) -> None:
    batch = progress.batch
    if progress.unsettled and clock.now() < batch.deadline and not before_deadline:
        raise NotSettled(
            f"slate {batch.slate}: {len(progress.unsettled)} of {len(batch.expected)} players haven't settled "
            f"and the deadline is {batch.deadline.isoformat(timespec='minutes')}; wait for staging, or "
            "materialize with before_deadline: true"
        )


with preview_features():

    @dg.asset(
        partitions_def=SLATES,
        group_name=FAN_IN,
        owners=OWNERS,
        kinds={"duckdb", "sql"},
        deps=[dg.AssetDep("staged_predictions", partition_mapping=dg.AllPartitionMapping())],
        metadata=table_metadata(PREDICTIONS),
        check_specs=[
            dg.AssetCheckSpec(
                NOT_EMPTY,
                asset="predictions",
                blocking=True,
                partitions_def=SLATES,
                description="Fails on 0 staged rows and on 0 active rows in the table for the slate, unless there is "
                "nothing to predict any more: no game is on, or every expected player was skipped; then on any active "
                "row. Staging is kept, nothing is announced.",
            ),
            dg.AssetCheckSpec(
                ENOUGH_STAGED,
                asset="predictions",
                blocking=True,
                partitions_def=SLATES,
                description="Fails when fewer of the players who weren't skipped are staged than the minimum "
                "share in the settings. Nothing is merged or announced, staging is kept.",
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

        Merges every staged part that no receipt covers yet: new business keys are inserted, rows whose
        content changed are updated, the others are left alone, and rows of the merged players that the new
        parts no longer contain are superseded, and deleted only `keep_days` later. MERGE, supersede
        and receipt are one transaction. Materializing again is safe at any time: the same outcomes lead to the
        same receipt.
        """
        slate, port = context.partition_key, warehouse
        receipts = port.receipts(slate)  # before the outcomes: a consolidation that comes between is noticed
        progress = open_progress(batch_state, slate)
        tag_run(context, slate, progress.batch.batch_id)
        _require_settled(progress, clock, before_deadline=config.before_deadline)
        try:
            work = plan(progress, receipts, minimum_staged_share=settings.minimum_staged_share)
        except (NoPartsStaged, TooFewStaged) as error:
            yield dg.AssetCheckResult(
                passed=not isinstance(error, NoPartsStaged), check_name=NOT_EMPTY, description=str(error)
            )
            yield dg.AssetCheckResult(passed=False, check_name=ENOUGH_STAGED, description=str(error))
            raise
        about = {"slate": slate, "batch": work.batch_id}
        context.log.info(
            "slate %s: batch complete: %d staged, %d skipped, %d failed or unsettled of %d expected players",
            slate, len(work.staged_player_ids), work.skipped_players, work.failed_players, work.expected_players,
            extra=about,
        )  # fmt: skip
        context.log.info(
            "slate %s: %d parts found that no receipt covers, %d rows",
            slate, len(work.parts), sum(part.rows for part in work.parts),
            extra=about,
        )  # fmt: skip
        dead_letters.add(_overdue(progress, context.run.run_id, clock.now()))
        receipt = port.merge(work)
        cost = port.cost()
        reached("merge_committed")
        context.log.info(
            "slate %s: MERGE %d staged = %d inserted + %d updated + %d unchanged, %d superseded, %.0f ms",
            slate, receipt.rows_staged, receipt.rows_inserted, receipt.rows_updated, receipt.rows_unchanged,
            receipt.rows_superseded, receipt.merge_ms,
            extra=about,
        )  # fmt: skip
        yield dg.MaterializeResult(
            metadata={**_metadata(receipt, port), **cost},
            check_results=[
                dg.AssetCheckResult(
                    passed=receipt.rows == 0 if receipt.is_retraction else receipt.rows > 0,
                    check_name=NOT_EMPTY,
                    metadata={
                        "rows": receipt.rows,
                        "staged_rows": receipt.rows_staged,
                        **({"why_no_rows": _why_no_rows(receipt)} if receipt.is_retraction else {}),
                    },
                ),
                dg.AssetCheckResult(
                    passed=True,
                    check_name=ENOUGH_STAGED,
                    metadata={
                        "staged": receipt.staged_players,
                        "not_skipped": receipt.expected_players - receipt.skipped_players,
                        "minimum_share": settings.minimum_staged_share,
                    },
                ),
            ],
        )


def _why_no_rows(receipt: Receipt) -> str:
    if not receipt.expected_players:
        return "no game is on any more"
    reasons = Counter(player["reason"] for player in receipt.missing)
    said = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
    return f"all {receipt.expected_players} expected players were skipped: {said}"


def _overdue(progress: Progress, run_id: str, now: datetime) -> list[Failure]:
    """Return a failure for each player who has no outcome at the deadline, so that he can be replayed.

    Not an outcome: his own may be on its way, and would count at the next consolidation.
    """
    if now < progress.batch.deadline:
        return []
    return [
        Failure(
            slate=progress.batch.slate,
            player_slug=player.slug,
            run_id=run_id,
            error_class=DeadlinePassed.__name__,
            message=f"no outcome by the deadline, {progress.batch.deadline.isoformat(timespec='seconds')}",
            traceback_digest="",
            attempts=0,
            failed_at=now,
            payload=replay_payload(progress, player),
        )
        for player in progress.batch.players(progress.unsettled)
    ]


def _metadata(receipt: Receipt, port: Warehouse) -> dict[str, Any]:
    sample = port.query(
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
        "sample": markdown_table(sample.to_pylist()),
        **({"missing_players": markdown_table(receipt.missing[:50])} if receipt.missing else {}),
    }

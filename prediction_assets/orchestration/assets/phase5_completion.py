"""The completion message: phase 6 may start, because a slate's predictions are ready. Once per content."""

import dagster as dg
from pydantic import Field

from prediction_assets.orchestration.assets.describing import OWNERS, PUBLISHING
from prediction_assets.orchestration.partitions import SLATES
from prediction_assets.orchestration.run_tags import tag_run
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import is_simulated
from prediction_assets.steps.announce import announce, read_changes, receipt_to_announce
from prediction_assets.stores.protocols import Outbox, Publisher, Warehouse


class CompletionConfig(dg.Config):
    """Which receipt to announce."""

    receipt_id: str | None = Field(
        default=None,
        description="Empty: the slate's newest receipt. A receipt of an older revision is refused.",
    )
    redeliver: bool = Field(
        default=False,
        description="Deliver a completion message that was delivered before once more, under the same id, for a "
        "consumer that lost it. Other consumers ignore it.",
    )


@dg.asset(
    partitions_def=SLATES,
    group_name=PUBLISHING,
    owners=OWNERS,
    kinds={"python", "json"},
    deps=["predictions"],
)
def phase5_completion(
    context: dg.AssetExecutionContext,
    config: CompletionConfig,
    warehouse: dg.ResourceParam[Warehouse],
    outbox: dg.ResourceParam[Outbox],
    clock: dg.ResourceParam[Clock],
    publisher: dg.ResourceParam[Publisher],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Publishes the completion message: the slate's predictions are ready, and phase 6 may start.

    The message is built from the newest receipt and validated against its JSON Schema. It is published once per
    content: an identical re-run has the same `message_id` and publishes nothing. An older revision is never published
    after a newer one. A receipt says that the blocking checks passed, or which refusal an operator accepted.
    """
    slate = context.partition_key
    with warehouse.reading():
        receipts = warehouse.receipts(slate)
        receipt = receipt_to_announce(slate, receipts, config.receipt_id)
        changes = read_changes(receipt, warehouse, receipts)
    tag_run(context, slate, receipt.batch_id)
    entry, published_before = announce(
        receipt,
        changes,
        outbox,
        publisher,
        output_table=warehouse.output_table,
        board=settings.board_link(slate),
        now=clock.now,
        redeliver=config.redeliver,
    )
    context.log.info(
        "slate %s: completion message %s %s as %s",
        slate, entry.message_id, _what_happened(published_before, config.redeliver), entry.delivery_id,
        extra={"slate": slate, "batch": receipt.batch_id, "message_id": entry.message_id},
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "message_id": entry.message_id,
            "delivery_id": entry.delivery_id,
            "revision": receipt.revision,
            "rows": receipt.rows,
            "players_staged": receipt.staged_players,
            "published_before": published_before,
            "delivered_again": published_before and config.redeliver,
            "receipt_id": receipt.receipt_id,
            "league": receipt.league,
            "simulated": is_simulated(receipt.league),
            "message": dg.MetadataValue.json(dict(entry.message)),
        }
    )


def _what_happened(published_before: bool, redeliver: bool) -> str:
    if not published_before:
        return "published"
    return "delivered again" if redeliver else "was published before"

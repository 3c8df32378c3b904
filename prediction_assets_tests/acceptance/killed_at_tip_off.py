"""A consolidation and its completion that are killed or stopped at a point; a child process imports this quickly."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime

from prediction_assets.settings import load_settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps import failpoints
from prediction_assets.steps.announce import announce, read_changes
from prediction_assets.steps.cleanup import clean_up, finish_consolidation
from prediction_assets.steps.merge import audit_limits, consolidate, plan_merge
from prediction_assets.stores.profiles import Stores, open_stores
from prediction_assets_tests.made_up import SLATE


def publish(stores: Stores, now: datetime) -> None:
    """Consolidate and announce the slate, as its assets do."""

    def decide(progress: Progress, receipts: Sequence[Receipt]) -> MergePlan:
        failpoints.reached("final_rows_kept")
        return plan_merge(progress, receipts, now=now, limits=audit_limits(load_settings()))

    _, receipt = consolidate(
        SLATE, stores.warehouse, stores.batch_state, stores.dead_letters, decide, run_id="run", now=now
    )
    done = clean_up(SLATE, stores.warehouse, stores.batch_state, now=now)
    finish_consolidation(SLATE, done.receipts, stores.batch_state, stores.dead_letters)
    announce(
        receipt, read_changes(receipt, stores.warehouse), stores.outbox, stores.publisher,
        output_table="t", now=lambda: now,
    )  # fmt: skip


def signalled(by: str, point: str, now: str) -> None:
    """Publish in this process, and end or stop it with a signal when it reaches a point."""
    left = [point]

    def hook(name: str) -> None:
        if name in left:
            left.clear()
            sys.stdout.write("says stopping\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.Signals[by])

    failpoints.install(hook)
    receipt = MergePlan.receipt

    def in_the_transaction(plan: MergePlan, *counted: object, **known: object) -> object:
        failpoints.reached("in_the_transaction")
        return receipt(plan, *counted, **known)  # type: ignore[arg-type]

    MergePlan.receipt = in_the_transaction  # type: ignore[assignment, method-assign]
    publish(open_stores(load_settings()), datetime.fromisoformat(now))
    sys.exit(f"{point} was never reached" if left else 0)

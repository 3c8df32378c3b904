"""A consolidation and its completion that are killed with SIGKILL at a point; a child process imports this quickly."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime

from prediction_assets.settings import load_settings
from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.steps import failpoints
from prediction_assets.steps.announce import announce, read_changes
from prediction_assets.steps.cleanup import clean_up, finish_consolidation
from prediction_assets.steps.merge import audit_limits, keep_final_rows, merge, plan_merge, read_outcomes
from prediction_assets.stores.profiles import Stores, open_stores
from prediction_assets_tests.made_up import SLATE


def publish(stores: Stores, now: datetime) -> None:
    """Consolidate and announce the slate, as its assets do."""
    progress, receipts = read_outcomes(SLATE, stores.warehouse, stores.batch_state)
    progress = keep_final_rows(progress, receipts, stores.batch_state, now)
    failpoints.reached("final_rows_kept")
    plan = plan_merge(progress, receipts, now=now, limits=audit_limits(load_settings()))
    receipt = merge(plan, progress, stores.warehouse, stores.dead_letters, run_id="run", now=now)
    done = clean_up(SLATE, stores.warehouse, stores.batch_state, now=now)
    finish_consolidation(SLATE, done.receipts, stores.batch_state, stores.dead_letters)
    announce(
        receipt, read_changes(receipt, stores.warehouse), stores.outbox, stores.publisher,
        output_table="t", now=lambda: now,
    )  # fmt: skip


def killed(point: str, now: str) -> None:
    """Publish in this process, and end it with SIGKILL at a point."""

    def hook(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.install(hook)
    receipt = MergePlan.receipt

    def in_the_transaction(plan: MergePlan, *counted: object, **known: object) -> object:
        failpoints.reached("in_the_transaction")
        return receipt(plan, *counted, **known)  # type: ignore[arg-type]

    MergePlan.receipt = in_the_transaction  # type: ignore[assignment, method-assign]
    publish(open_stores(load_settings()), datetime.fromisoformat(now))
    sys.exit(f"{point} was never reached")

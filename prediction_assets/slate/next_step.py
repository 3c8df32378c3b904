"""What a batch needs next: features, staging, a consolidation, or nothing.

The sensors, the command line and the health report all follow this one decision.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from prediction_assets.slate.batch import Progress, is_nothing_to_predict
from prediction_assets.slate.merge_plan import is_current_for


class Step(Enum):
    FEATURES = "features"
    STAGE = "stage"
    CONSOLIDATE = "consolidate"
    NOTHING = "nothing"


def next_step(progress: Progress, now: datetime) -> Step:
    """Return what a batch needs next.

    A slate is consolidated when every expected player has settled, or at its deadline, and again each time that its
    outcomes are not those of its newest receipt. A slate with nothing to predict needs nothing if it has no receipt; if
    it has one, its rows are retracted by a consolidation.
    """
    if progress.receipt is None and is_nothing_to_predict(progress):
        return Step.NOTHING
    past_deadline = now >= progress.batch.deadline
    if progress.unsettled and not past_deadline:
        return Step.FEATURES if progress.feature_snapshot is None else Step.STAGE
    if progress.receipt is not None and is_current_for(progress.receipt, progress):
        return Step.NOTHING
    return Step.CONSOLIDATE

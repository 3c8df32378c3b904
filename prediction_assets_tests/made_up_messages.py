"""Made-up completion messages, findings and alerts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from prediction_assets.monitoring.alert_lifecycle import opened
from prediction_assets.monitoring.findings import Finding
from prediction_assets.slate.completion_message import Changes, completion_message
from prediction_assets.stores.alert import Alert, Severity
from prediction_assets_tests.made_up import NOW, SLATE, receipt

NOTHING_CHANGED = Changes()


def message(
    revision: int = 1, at: datetime = NOW, changes: Changes = NOTHING_CHANGED, **of_receipt: Any
) -> dict[str, Any]:
    """Return a valid completion message."""
    made = receipt(revision=revision, **of_receipt)
    return completion_message(made, changes, output_table="p.d.player_prop_predictions", published_at=at)


def finding(key: str = f"no_receipt:{SLATE}", **changes: object) -> Finding:
    """Return a finding that alerts."""
    made = Finding(
        key, Severity.ERROR, "a fact: 1 of 2", SLATE, "do this", link="http://ui/runs/r", alerts=True
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def alert(key: str = f"no_receipt:{SLATE}", **changes: object) -> Alert:
    """Return the alert that a finding opens."""
    made = opened(finding(key), NOW)(None)
    assert made is not None
    return replace(made, **changes)  # type: ignore[arg-type]

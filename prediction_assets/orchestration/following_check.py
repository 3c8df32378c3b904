"""The asset check on ``predictions`` that its rows in force follow their facts: the findings of what is stale.

Facts change without a run of the slate. So each look for alerts evaluates the check, without a run, when its verdict or
the revision in force is another one. An evaluation in the UI does the same by hand.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from prediction_assets.errors import without_markup
from prediction_assets.monitoring.findings import Color, Finding
from prediction_assets.monitoring.open_alerts import not_followed
from prediction_assets.monitoring.reader import Sources, read_facts
from prediction_assets.orchestration.jobs import FOLLOWS
from prediction_assets.orchestration.stale_reader import read_stale
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock
from prediction_assets.stores.profiles import open_stores
from prediction_assets.stores.protocols import BatchState, DeadLetters, Outbox, Publisher, Warehouse


@dg.asset_check(
    asset=FOLLOWS.asset_key,
    name=FOLLOWS.name,
    description="The rows in force of tonight's slate were made from the facts as they are now. An error if a player "
    "in force is Out by the newest report; a warning if a line in force isn't the main line any more, or other facts "
    "are newer. The metadata names the command. Evaluated by `alerts_sensor` and `alerts check`.",
)
def follows_its_facts(
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    outbox: dg.ResourceParam[Outbox],
    publisher: dg.ResourceParam[Publisher],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    dead_letters: dg.ResourceParam[DeadLetters],
) -> dg.AssetCheckResult:
    """Compare what each open slate was staged from with the facts now."""
    stores = open_stores(
        settings, warehouse=warehouse, batch_state=batch_state, dead_letters=dead_letters, outbox=outbox,
        publisher=publisher,
    )  # fmt: skip
    sources = Sources(stores, None, settings, clock, read_stale)
    stale: dict[str, tuple[Finding, ...]] = {}
    window = timedelta(days=RECENT_DAYS)
    for slate in batch_state.recent_slates(clock.now() - window):
        stale |= not_followed(read_facts(sources, slate, window, warehouse=False))
    return dg.AssetCheckResult(**_verdict(stale))


def record(instance: dg.DagsterInstance, stale: Mapping[str, Sequence[Finding]]) -> None:
    """Evaluate the check without a run, if its verdict or its text is another one than at its newest evaluation."""
    verdict = _verdict(stale)
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key([FOLLOWS]).get(FOLLOWS)
    before = None if newest is None else newest.evaluation
    if not isinstance(before, dg.AssetCheckEvaluation) or any(
        getattr(before, said) != verdict[said] for said in ("severity", "description")
    ):
        evaluation = dg.AssetCheckEvaluation(asset_key=FOLLOWS.asset_key, check_name=FOLLOWS.name, **verdict)
        instance.report_runless_asset_event(evaluation)


def _verdict(stale: Mapping[str, Sequence[Finding]]) -> dict[str, Any]:
    found = [finding for findings in stale.values() for finding in findings]
    said = [
        f"{name}: {'; '.join(finding.line for finding in findings) or 'follows its facts'}"
        for name, findings in stale.items()
    ]
    is_error = any(finding.color is Color.RED for finding in found)
    return {
        "passed": not found,
        "severity": dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        "description": without_markup("; ".join(said))
        or "no slate is in force whose games are still to come",
        "metadata": {"next": " ; ".join(dict.fromkeys(finding.command for finding in found))}
        if found
        else {},
    }

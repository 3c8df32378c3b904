"""The health report as an asset check: evaluated daily, seen in the UI, and an alert when it fails.

It belongs to ``phase5_completion``, the last step of a slate. It never blocks: the completion message doesn't wait.
"""

from datetime import timedelta
from functools import partial

import dagster as dg
from pydantic import Field

from prediction_assets.errors import without_markup
from prediction_assets.monitoring.findings import Color
from prediction_assets.monitoring.health_report import Report, report_on
from prediction_assets.monitoring.reader import Sources, read_facts
from prediction_assets.monitoring.thresholds import WINDOW_MINUTES
from prediction_assets.orchestration.assets.describing import table_of
from prediction_assets.orchestration.assets.phase5_completion import phase5_completion
from prediction_assets.orchestration.instance_reader import read_instance
from prediction_assets.orchestration.stale_reader import read_stale
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.stores.profiles import open_stores
from prediction_assets.stores.protocols import BatchState, DeadLetters, Outbox, Publisher, Warehouse


class MorningCheckConfig(dg.Config):
    """Which slate, and how far back."""

    slate: str | None = Field(
        default=None,
        description="The games' date, YYYY-MM-DD. Empty: tonight, or the newest of a simulated league.",
    )
    minutes: int = Field(
        default=WINDOW_MINUTES,
        ge=1,
        description="How many minutes back failed runs and ticks are looked for.",
    )


@dg.asset_check(
    asset=phase5_completion,
    blocking=False,
    description="Are tonight's predictions there? The ten lines of `prediction-assets health`, every morning: "
    "passed when all are green, a warning when one is yellow, an error when one is red. The metadata lists the "
    "commands to run.",
)
def morning_check(
    context: dg.AssetCheckExecutionContext,
    config: MorningCheckConfig,
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    outbox: dg.ResourceParam[Outbox],
    publisher: dg.ResourceParam[Publisher],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    dead_letters: dg.ResourceParam[DeadLetters],
) -> dg.AssetCheckResult:
    """Report on tonight's slate."""
    stores = open_stores(
        settings, warehouse=warehouse, batch_state=batch_state, dead_letters=dead_letters, outbox=outbox,
        publisher=publisher,
    )  # fmt: skip
    sources = Sources(stores, partial(read_instance, context.instance), settings, clock, read_stale)
    report = report_on(read_facts(sources, config.slate, timedelta(minutes=config.minutes)))
    context.log.info(report.summary)
    return _result(report)


def _result(report: Report) -> dg.AssetCheckResult:
    colors = [line.color for line in report.lines.values()]
    return dg.AssetCheckResult(
        passed=report.color is Color.GREEN,
        severity=dg.AssetCheckSeverity.ERROR if report.color is Color.RED else dg.AssetCheckSeverity.WARN,
        description=without_markup(report.summary),
        metadata={
            "slate": report.slate,
            **{f"lines_{color.value}": colors.count(color) for color in Color},
            "lines": table_of(
                [
                    {"line": name, "color": line.color.value, "finding": line.text}
                    for name, line in report.lines.items()
                ]
            ),
            "next": table_of([{"next": command} for command in report.commands]),
        },
    )

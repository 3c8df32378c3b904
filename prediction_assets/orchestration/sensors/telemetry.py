"""The telemetry sensor: it sends finished runs as lineage and traces. It has effects, because it starts no run.

The cursor is when the last run that was sent changed. What couldn't be sent fails the tick, and the next one sends it.
"""

from datetime import UTC, datetime

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from prediction_assets.orchestration.finished_runs import finished_run
from prediction_assets.orchestration.lineage import send_lineage
from prediction_assets.orchestration.traces import send_spans
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock

TELEMETRY = "telemetry_sensor"

RUNS_PER_TICK = 50

_FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def telemetry_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Return the sensor, or none where no address is set."""
    if not (settings.lineage_url or settings.traces_url):
        return []

    @dg.sensor(
        name=TELEMETRY,
        minimum_interval_seconds=max(settings.tick_seconds, 30),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends each finished run to lineage_url as OpenLineage events, and to traces_url as OpenTelemetry "
        "spans, beginning with the first run that finishes after the sensor was started.",
    )
    def evaluate(context: dg.SensorEvaluationContext, clock: dg.ResourceParam[Clock]) -> dg.SensorResult:
        since = datetime.fromisoformat(context.cursor) if context.cursor else clock.now()
        records = context.instance.get_run_records(
            RunsFilter(statuses=_FINISHED, updated_after=since),
            limit=RUNS_PER_TICK,
            order_by="update_timestamp",
            ascending=True,
        )
        repository = context.repository_def
        if repository is None:
            raise ValueError("the sensor needs its code location")
        found = (finished_run(record, context.instance, repository) for record in records)
        runs = [run for run in found if run is not None]
        if runs and settings.lineage_url:
            send_lineage(runs, settings.lineage_url)
        if runs and settings.traces_url:
            send_spans(runs, settings.traces_url)
        last = max((_utc(record.update_timestamp) for record in records), default=since)
        return dg.SensorResult(skip_reason=f"{len(runs)} runs sent", cursor=last.isoformat())

    return [evaluate]


def _utc(moment: datetime) -> datetime:
    """Return a moment of the instance's database with its zone, which SQLite leaves out."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment

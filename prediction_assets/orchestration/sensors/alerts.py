"""Alerts: two sensors look for findings and keep them, a third one delivers messages.

Looking never depends on a webhook: an alert is stored before the cursor moves. A message that couldn't be delivered
fails the delivery's tick, stays due and is sent again at the next one. When the daemon itself is gone no sensor runs;
`prediction-assets alerts check`, from cron, makes the same findings and shares the store.
https://docs.dagster.io/guides/automate/sensors
"""

from datetime import datetime, timedelta

import dagster as dg

from prediction_assets.errors import NotDelivered, PredictionAssetsError
from prediction_assets.monitoring.alert_delivery import Delivered, deliver_due
from prediction_assets.monitoring.destinations import destinations
from prediction_assets.monitoring.findings import Pages
from prediction_assets.monitoring.slate_alerts import SlateSources, look_at_slates
from prediction_assets.monitoring.thresholds import REPEAT_AFTER
from prediction_assets.orchestration.following import Cursor
from prediction_assets.orchestration.run_alerts import follow_runs, look_at_automation
from prediction_assets.orchestration.sensors.requests import impatient
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock
from prediction_assets.steps.acknowledge import take_acknowledgements
from prediction_assets.stores.protocols import (
    AlertStore,
    BatchState,
    DeadLetters,
    Outbox,
    Publisher,
    Warehouse,
)

RUN_ALERTS, SLATE_ALERTS, ALERT_DELIVERY = "run_alerts_sensor", "slate_alerts_sensor", "alert_delivery_sensor"

_SLATE_LOOK_SECONDS = {"local": 60, "gcp": 300}
"""A look at the slates reads every outcome of the recent ones, which Firestore bills."""


def run_alerts_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that keeps alerts for failed runs, checks and ticks, and silent daemons."""
    pages = Pages(settings.ui_url)

    @dg.sensor(
        name=RUN_ALERTS,
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Records alerts for failed runs, checks and ticks and for missing daemons, and their recovery. "
        "Follows finished runs, oldest first; its cursor names the last one, by storage id and run.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        alerts: dg.ResourceParam[AlertStore],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        now = clock.now()
        followed = follow_runs(context.instance, alerts, Cursor.read(context.cursor), now, pages)
        look_at_automation(context.instance, alerts, now, pages, leave_out={RUN_ALERTS, ALERT_DELIVERY})
        return dg.SensorResult(
            skip_reason=f"{followed.runs} finished runs looked at, {_lasting(alerts)}",
            cursor=str(followed.cursor),
        )

    return evaluate


def slate_alerts_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that keeps the slates' alerts."""

    @dg.sensor(
        name=SLATE_ALERTS,
        minimum_interval_seconds=max(settings.tick_seconds, _SLATE_LOOK_SECONDS[settings.profile]),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Records what phase 6 acknowledged, and alerts for a late roster, consolidation, completion "
        "message or acknowledgement, for many dead letters, and their recovery. A day without games is never late.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        alerts: dg.ResourceParam[AlertStore],
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        dead_letters: dg.ResourceParam[DeadLetters],
        outbox: dg.ResourceParam[Outbox],
        publisher: dg.ResourceParam[Publisher],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        stores = SlateSources(impatient(warehouse), batch_state, dead_letters, outbox, alerts)
        slates = look(stores, publisher, settings, clock.now())
        return dg.SensorResult(skip_reason=f"{len(slates)} slates looked at, {_lasting(alerts)}")

    return evaluate


def look(stores: SlateSources, publisher: Publisher, settings: Settings, now: datetime) -> list[str]:
    """Record what phase 6 acknowledged, then keep the alerts of the recent slates; return the slates that were read.

    Raises:
        PredictionAssetsError: acknowledgements or a slate couldn't be read; the alerts of the others are kept by then.
    """
    unread: PredictionAssetsError | None = None
    try:
        take_acknowledgements(publisher, stores.outbox)
    except PredictionAssetsError as error:
        unread = error
    slates = look_at_slates(stores, settings, now)
    if unread is not None:
        raise unread
    return slates


def alert_delivery_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that delivers messages."""

    @dg.sensor(
        name=ALERT_DELIVERY,
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends new, repeated and recovery alerts to the log and the configured URLs; a failed delivery "
        "fails the tick and is retried.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        alerts: dg.ResourceParam[AlertStore],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        done = deliver(alerts, settings, clock)
        if done.problems:
            raise NotDelivered(undelivered(done))
        delivered = ", ".join(f"{key} {notice.value}" for key, notice in done.notices)
        return dg.SensorResult(skip_reason=delivered or "nothing to deliver")

    return evaluate


def deliver(alerts: AlertStore, settings: Settings, clock: Clock) -> Delivered:
    """Deliver every message that is due to the destinations in the settings."""
    return deliver_due(
        alerts,
        destinations(settings),
        clock.now(),
        repeat=REPEAT_AFTER,
        expire=timedelta(days=RECENT_DAYS),
    )


def undelivered(done: Delivered) -> str:
    """Return one line about the messages that didn't arrive."""
    return f"{len(done.problems)} alerts not delivered, they stay due: " + "; ".join(done.problems)


def _lasting(alerts: AlertStore) -> str:
    return f"{sum(alert.is_open for alert in alerts.unsettled())} alerts open"


def alert_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Return the sensors of alerting, running by default."""
    return [run_alerts_sensor(settings), slate_alerts_sensor(settings), alert_delivery_sensor(settings)]

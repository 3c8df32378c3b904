"""Alerts: a sensor looks for findings and keeps them, another one delivers messages.

Looking never depends on a webhook. A message that couldn't be delivered fails the delivery's tick, stays due and is
sent again at the next one. When the daemon itself is gone no sensor runs; `prediction-assets alerts check`, from cron,
makes the same findings and shares the store. https://docs.dagster.io/guides/automate/sensors
"""

from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

import dagster as dg

from prediction_assets.board.digest import keep_digests
from prediction_assets.errors import NotDelivered, PredictionAssetsError, StateUnreadable, WarehouseBusy
from prediction_assets.monitoring.alert_delivery import Delivered, deliver_due
from prediction_assets.monitoring.destinations import destinations
from prediction_assets.monitoring.open_alerts import Look, look
from prediction_assets.monitoring.reader import Sources
from prediction_assets.monitoring.thresholds import REPEAT_AFTER
from prediction_assets.orchestration.assets.facts import NOTHING_IN_QUARANTINE
from prediction_assets.orchestration.following_check import record
from prediction_assets.orchestration.instance_reader import read_instance
from prediction_assets.orchestration.sensors.requests import impatient
from prediction_assets.orchestration.stale_reader import read_stale
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock
from prediction_assets.steps.acknowledge import take_acknowledgements
from prediction_assets.stores.profiles import open_stores
from prediction_assets.stores.protocols import (
    AlertStore,
    BatchState,
    DeadLetters,
    Outbox,
    Publisher,
    Warehouse,
)

ALERTS, ALERT_DELIVERY = "alerts_sensor", "alert_delivery_sensor"

_LOOK_SECONDS = {"local": 60, "gcp": 300}
"""A look is many queries, which BigQuery bills."""

CHECKS = (
    dg.AssetCheckKey(dg.AssetKey("phase5_completion"), "morning_check"),
    *(
        dg.AssetCheckKey(dg.AssetKey(facts), NOTHING_IN_QUARANTINE)
        for facts in ("game_logs", "schedule", "prop_lines", "injury_reports")
    ),
)
"""The asset checks that are no audits of a slate: their newest evaluation is looked at."""


def alerts_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name=ALERTS,
        minimum_interval_seconds=max(settings.tick_seconds, _LOOK_SECONDS[settings.profile]),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Records what phase 6 acknowledged. Keeps alerts for late rosters, consolidations, completion "
        "messages and acknowledgements, dead letters, failed runs, checks and ticks, and silent daemons. A day without "
        "games is never late.",
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
        stores = open_stores(
            settings, warehouse=impatient(warehouse), batch_state=batch_state, dead_letters=dead_letters, outbox=outbox,
            publisher=publisher,
        )  # fmt: skip
        sources = Sources(
            stores, partial(read_instance, context.instance, checks=CHECKS), settings, clock, read_stale
        )
        # A tick of this sensor hasn't ended, and an alert on the delivery would have to be delivered.
        looked = look_or_raise(sources, alerts, context.instance, leave_out={ALERTS, ALERT_DELIVERY})
        lasting = sum(alert.is_open for alert in alerts.unsettled())
        return dg.SensorResult(skip_reason=f"{len(looked.slates)} slates looked at, {lasting} alerts open")

    return evaluate


def look_or_raise(
    sources: Sources, alerts: AlertStore, instance: dg.DagsterInstance, *, leave_out: set[str]
) -> Look:
    """Record what phase 6 acknowledged, then look for findings and keep them, and the digests that are due.

    What is stale is an asset check, too.

    Raises:
        StateUnreadable: something couldn't be read; the alerts of everything else are kept by then.
    """
    unread = []
    try:
        take_acknowledgements(sources.stores.publisher, sources.stores.outbox)
    except PredictionAssetsError as error:
        unread.append(str(error))
    looked = look(sources, alerts, leave_out=leave_out)
    record(instance, looked.stale)
    try:
        keep_digests(sources, alerts, looked.slates)
    except WarehouseBusy:
        pass  # the next look is soon
    except PredictionAssetsError as error:
        unread.append(str(error))
    if unread := [*unread, *looked.unread]:
        raise StateUnreadable("; ".join(unread))
    return looked


def alert_delivery_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name=ALERT_DELIVERY,
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends new, repeated and recovery alerts, and digests, to the log and the configured URLs; a "
        "failed delivery fails the tick and is retried.",
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
    return deliver_due(
        alerts,
        destinations(settings),
        clock.now(),
        repeat=REPEAT_AFTER,
        expire=timedelta(days=RECENT_DAYS),
        zone=ZoneInfo(settings.time_zone),
    )


def undelivered(done: Delivered) -> str:
    return f"{len(done.problems)} alerts not delivered, they stay due: " + "; ".join(done.problems)


def alert_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    return [alerts_sensor(settings), alert_delivery_sensor(settings)]

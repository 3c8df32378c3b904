"""``alerts``: test the destinations, look for findings without the daemon, and list what is open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from prediction_assets.cli.console import (
    CLOCK,
    PARTIAL,
    Commands,
    JsonOption,
    look_into_home,
    open_home,
    say,
    say_json,
    standard_output,
)
from prediction_assets.settings import load_settings

if TYPE_CHECKING:
    from prediction_assets.stores.alert import Alert

app = Commands(help="List what is wrong now, and send alerts.", no_args_is_help=True)

_DAYS_SHOWN = 7


@app.command("test")
def send_test(
    severity: Annotated[
        str, typer.Option("--severity", metavar="SEVERITY", help="warning, error or critical")
    ] = "critical",
) -> None:
    """Send a test message.

    It goes to every destination that gets messages of the severity. Exits 2 when one isn't reached.
    """
    from prediction_assets.errors import BadInput, NotDelivered
    from prediction_assets.monitoring.destinations import Message, Notice, destinations, receivers_of
    from prediction_assets.stores.alert import Severity

    settings = load_settings()
    severities = [each for each in Severity if each.rank >= Severity.WARNING.rank]
    if severity not in severities:
        raise BadInput("--severity", f"{severity!r} is none", hint=f"choose one of {', '.join(severities)}")
    chosen = Severity(severity)
    test = Message(
        Notice.OPENED,
        chosen,
        title=f"[{chosen.value}] prediction_assets: test",
        body=f"A test of alerts; nothing is wrong.\nNext: prediction-assets alerts list\n{settings.ui_url}",
    )
    problems = []
    for destination in receivers_of(destinations(settings), chosen):
        try:
            destination.send(test)
            say(f"sent    {destination.name}")
        except NotDelivered as error:
            say(f"FAILED  {destination.name}")
            problems.append(str(error))
    if problems:
        raise NotDelivered("; ".join(problems))


@app.command("check")
def check(as_json: JsonOption = False) -> None:
    """Look for what is wrong without the daemon.

    Delivers the messages that are due and lists what is open. For cron, with or without the daemon: no message is
    sent twice. Exits 0 when nothing is open, 1 when something is, 2 when a slate couldn't be read or a message
    didn't arrive.
    """
    settings, stores = open_home()
    from prediction_assets.errors import NotDelivered, PredictionAssetsError
    from prediction_assets.monitoring.reader import Sources
    from prediction_assets.orchestration.instance import open_instance
    from prediction_assets.orchestration.instance_reader import read_instance
    from prediction_assets.orchestration.sensors.alerts import (
        ALERT_DELIVERY,
        CHECKS,
        deliver,
        look_or_raise,
        undelivered,
    )
    from prediction_assets.orchestration.stale_reader import read_stale

    store, unread = stores.alerts, None
    with open_instance(settings) as instance:
        read = partial(read_instance, instance, checks=CHECKS)
        sources = Sources(stores, read, settings, CLOCK, read_stale)
        try:
            look_or_raise(sources, store, instance, leave_out={ALERT_DELIVERY})
        except PredictionAssetsError as error:  # of one store; the alerts of everything else are delivered
            unread = error
    done = deliver(store, settings, CLOCK)
    lasting = [alert for alert in store.unsettled() if alert.is_open]
    _show(lasting, as_json=as_json)
    if done.problems:
        raise NotDelivered(undelivered(done))
    if unread is not None:
        raise unread
    if lasting:
        raise typer.Exit(PARTIAL)


@app.command("list")
def list_alerts(
    every: Annotated[
        bool, typer.Option("--all", help=f"also those of the last {_DAYS_SHOWN} days that are over")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the alerts that are open, or whose end isn't delivered yet."""
    with look_into_home() as (_, stores):
        store, now = stores.alerts, CLOCK.now()
        _show(store.since(now - timedelta(days=_DAYS_SHOWN)) if every else store.unsettled(), as_json=as_json)


def _show(alerts: Sequence[Alert], *, as_json: bool) -> None:
    rows = [_values(alert) for alert in alerts]
    if as_json:
        say_json(rows)
        return
    if not rows:
        say("nothing is open")
        return
    table = Table("since (UTC)", "severity", "state", "slate", "what", "next")
    for row in rows:
        table.add_row(
            row["opened_at"][:16], row["severity"], row["state"], row["slate"], row["line"], row["command"]
        )
    standard_output().print(table)


def _values(alert: Alert) -> dict[str, Any]:
    return {
        "key": alert.key,
        "severity": alert.severity.value,
        "state": _state(alert),
        "slate": alert.slate or "",
        "line": alert.line,
        "link": alert.link,
        "command": alert.command,
        "opened_at": f"{alert.opened_at:%Y-%m-%d %H:%M:%S}",
        "delivered_at": None if alert.delivered_at is None else f"{alert.delivered_at:%Y-%m-%d %H:%M:%S}",
        "deliveries": alert.deliveries,
        "recovered_at": None if alert.recovered_at is None else f"{alert.recovered_at:%Y-%m-%d %H:%M:%S}",
    }


def _state(alert: Alert) -> str:
    from prediction_assets.monitoring.finding_kinds import EVENTS
    from prediction_assets.stores.alert import DIGEST

    if alert.kind in {DIGEST, *EVENTS}:
        if alert.delivered_at:
            return "delivered"
        return "not delivered yet" if alert.settled_at is None else "not sent"
    if alert.settled_at is not None:
        return "recovered" if alert.recovered_at is not None else "expired"
    if alert.recovered_at is not None:
        return "recovered, not delivered yet"
    return "open" if alert.deliveries else "open, not delivered yet"

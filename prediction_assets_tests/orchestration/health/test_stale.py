"""Predictions that don't follow their facts, on a home: red or yellow, an alert, and gone after one command."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from prediction_assets.monitoring.findings import Color
from prediction_assets.monitoring.health_report import report_on
from prediction_assets.monitoring.open_alerts import look
from prediction_assets.monitoring.reader import Sources, read_facts
from prediction_assets.orchestration.instance_reader import read_instance
from prediction_assets.orchestration.stale_reader import read_stale
from prediction_assets.slate.deadlines import Clock
from prediction_assets_tests.homes import SIMULATED
from prediction_assets_tests.orchestration.sensors.test_refresh import Day, announced_home, day

__all__ = ["announced_home", "day"]
COMMAND = f"prediction-assets refresh --slate {SIMULATED}"


def sources(day: Day) -> Sources:
    return Sources.of(
        day.stores, partial(read_instance, day.run._instance), day.run._settings, Clock(), read_stale
    )


def line(day: Day):
    """Return the line about the rows, at the day's time."""
    return report_on(read_facts(sources(day), SIMULATED, timedelta(hours=1))).lines["predictions_in_table"]


def alerts(day: Day) -> set[str]:
    """Look at the slates, and return the kinds of the open alerts about predictions that don't follow their facts."""
    look(sources(day), day.stores.alerts)
    kinds = {alert.kind for alert in day.stores.alerts.unsettled() if alert.is_open}
    return kinds & {"out_in_force", "line_gone", "older_facts"}


def test_what_changed_is_red_or_yellow_until_the_command_beside_it_ran(day):
    a, b, *_ = day.slugs
    assert line(day).color is Color.GREEN
    assert alerts(day) == set()

    day.report(1, (a, "Out"))
    day.move_line(b)
    day.change("UPDATE facts.versions SET changed_at = $at", at=day.now - timedelta(minutes=4))
    assert line(day).color is Color.YELLOW  # a sensor does it by itself
    assert alerts(day) == set()
    day.now += timedelta(minutes=10)
    stale = line(day)
    assert stale.color is Color.RED
    assert {(each.kind, each.command) for each in stale.findings if each.color is not Color.GREEN} == {
        ("out_in_force", COMMAND),
        ("line_gone", COMMAND),
    }
    assert alerts(day) == {"out_in_force", "line_gone"}
    assert f"1 player in force is Out by the newest report: {a} (ruled out)" in stale.text

    day.run.refresh(SIMULATED, day.now)
    assert line(day).color is Color.GREEN
    assert alerts(day) == set()


def test_a_slate_that_was_just_made_is_synced_for_dagster_too(day):
    run = day.run
    graph = run._defs.get_repository_def().asset_graph
    context = LoadingContextForTest(run._instance)
    resolver = CachingStaleStatusResolver(run._instance, graph, context)
    keys = {
        key: run._instance.get_materialized_partitions(key) or {None}
        for key in graph.materializable_asset_keys
        if run._instance.get_latest_materialization_event(key) is not None
    }
    assert {key.to_user_string() for key in keys} >= {"slate_roster", "staged_predictions", "predictions"}
    unsynced = {
        (key.to_user_string(), partition): [
            f"{cause.reason} {cause.dependency}" for cause in resolver.get_stale_causes(key, partition)
        ]
        for key, partitions in keys.items()
        for partition in partitions
        if resolver.get_status(key, partition) is not StaleStatus.FRESH
    }
    assert unsynced == {}

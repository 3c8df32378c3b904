"""Predictions that don't follow their facts, on a home: red or yellow, an alert, and gone after one command."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from prediction_assets.monitoring.findings import Color
from prediction_assets.monitoring.health_report import report_on
from prediction_assets.monitoring.reader import Sources, read_facts
from prediction_assets.orchestration.instance_reader import read_instance
from prediction_assets.orchestration.jobs import FOLLOWS
from prediction_assets.orchestration.sensors.alerts import deliver, look_or_raise
from prediction_assets.orchestration.stale_reader import read_stale
from prediction_assets.slate.deadlines import Clock
from prediction_assets_tests.homes import SIMULATED
from prediction_assets_tests.orchestration.sensors.test_refresh import Day, announced_home, day

__all__ = ["announced_home", "day"]
COMMAND = f"prediction-assets refresh --slate {SIMULATED}"


def sources(day: Day) -> Sources:
    return Sources(
        day.stores, partial(read_instance, day.run._instance), day.run._settings, Clock(), read_stale
    )


def line(day: Day):
    """Return the line about the rows, at the day's time."""
    return report_on(read_facts(sources(day), SIMULATED, timedelta(hours=1))).lines["predictions_in_table"]


def verdict(day: Day) -> tuple[bool, str, str]:
    """Return what the asset check says: whether it passed, how bad it is, and its text."""
    key = FOLLOWS
    record = day.run._instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    return record.evaluation.passed, record.evaluation.severity.value, record.evaluation.description


def alerts(day: Day) -> set[str]:
    """Look at the slates, and return the kinds of the open alerts about predictions that don't follow their facts."""
    look_or_raise(sources(day), day.stores.alerts, day.run._instance, leave_out=set())
    kinds = {alert.kind for alert in day.stores.alerts.unsettled() if alert.is_open}
    return kinds & {"out_in_force", "line_gone", "older_facts"}


def test_what_changed_is_red_or_yellow_until_the_command_beside_it_ran(day):
    a, b, *_ = day.slugs
    assert line(day).color is Color.GREEN
    assert alerts(day) == set()
    assert verdict(day) == (True, "WARN", f"slate {SIMULATED}, revision 1: follows its facts")

    day.report(1, (a, "Out"))
    day.move_line(b)
    day.change("UPDATE facts.versions SET changed_at = $at", at=day.now - timedelta(minutes=4))
    assert line(day).color is Color.YELLOW  # a sensor does it by itself
    assert alerts(day) == set()
    assert verdict(day)[:2] == (False, "WARN")
    day.now += timedelta(minutes=10)
    stale = line(day)
    assert stale.color is Color.RED
    assert {(each.kind, each.command) for each in stale.findings if each.color is not Color.GREEN} == {
        ("out_in_force", COMMAND),
        ("line_gone", COMMAND),
    }
    assert alerts(day) == {"out_in_force", "line_gone"}
    said = f"1 player in force is Out by the newest report: {a} (ruled out)"
    assert said in stale.text
    assert (verdict(day)[:2], said in verdict(day)[2]) == ((False, "ERROR"), True)

    day.change("UPDATE facts.versions SET changed_at = $at", at=day.now)  # other facts changed meanwhile
    assert line(day).color is Color.YELLOW
    assert alerts(day) == {"out_in_force", "line_gone"}

    day.run.refresh(SIMULATED, day.now)
    assert line(day).color is Color.GREEN
    assert alerts(day) == set()
    assert verdict(day) == (True, "WARN", f"slate {SIMULATED}, revision 2: follows its facts")
    evaluated = check_executions(day)
    assert alerts(day) == set()
    assert check_executions(day) == evaluated == 5  # none where nothing changed


def check_executions(day: Day) -> int:
    storage = day.run._instance.event_log_storage
    return len(storage.get_asset_check_execution_history(FOLLOWS, limit=99))


def test_a_refresh_is_one_alert_that_names_the_players_and_why(day, caplog):
    a, *_ = day.slugs
    assert alerts(day) == set()
    day.report(1, (a, "Out"))
    day.run.refresh(SIMULATED, day.now)
    caplog.set_level("INFO", "prediction_assets.alerts")
    for _ in range(2):
        alerts(day)
        deliver(day.stores.alerts, day.run._settings, Clock())
    (said,) = [record.getMessage() for record in caplog.records if "refreshed" in record.getMessage()]
    assert said.startswith(
        f"[info] slate {SIMULATED}: refreshed: revision 2 follows 1 player whose facts changed: {a} (ruled out) | "
        f"Next: prediction-assets diff --slate {SIMULATED} --to 2"
    )


def test_the_check_that_is_evaluated_by_hand_says_the_same(day):
    a, *_ = day.slugs
    for changed in (False, True):
        if changed:
            day.report(1, (a, "Out"))
        alerts(day)
        job = dg.define_asset_job("by_hand", selection=dg.AssetSelection.checks(FOLLOWS))
        defs = dg.Definitions.merge(day.run._defs, dg.Definitions(jobs=[job]))
        by_hand = defs.resolve_job_def("by_hand").execute_in_process(instance=day.run._instance)
        (evaluation,) = by_hand.get_asset_check_evaluations()
        found = evaluation.passed, evaluation.severity.value, evaluation.description
        assert found == verdict(day)
        assert found[0] is not changed


def test_a_run_of_the_check_that_is_in_progress_disturbs_no_look_for_alerts(day):
    a, *_ = day.slugs
    job = dg.define_asset_job("by_hand", selection=dg.AssetSelection.checks(FOLLOWS))
    defs = dg.Definitions.merge(day.run._defs, dg.Definitions(jobs=[job]))
    assert alerts(day) == set()
    day.run._instance.create_run_for_job(
        defs.resolve_job_def("by_hand")
    )  # the check's newest event is a plan
    assert line(day).color is Color.GREEN
    day.report(1, (a, "Out"))
    assert alerts(day) == {"out_in_force"}
    assert verdict(day)[:2] == (False, "ERROR")


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

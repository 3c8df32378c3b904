"""The morning after, in Dagster: results come in, the sensor asks, and the grades are rows, plots and a check."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import dagster as dg
import pytest

from prediction_assets.cli.forecasting import grade_slates
from prediction_assets.errors import ResultsMissing
from prediction_assets.nba.grades import PUBLISHED, stored_grades
from prediction_assets.orchestration.sensors.grading import grading_sensor
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import parse_slate
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS
from prediction_assets_tests.homes import FACTS, PLAYERS, SIMULATED

DAY = parse_slate(SIMULATED)


class OnTheMorningAfter(Clock):
    """The clock of the day after the simulated slate."""

    def now(self):
        return datetime.combine(DAY + timedelta(1), time(15), UTC)


def play(run: SlateRun, *, absent: int = 1) -> None:
    """Ingest the slate's results: everybody scores 11, but for the last ones, who didn't play."""
    progress = run.stores.batch_state.progress(SIMULATED)
    assert progress is not None
    newest = run.stores.warehouse.query(
        f"SELECT * FROM {GAME_LOGS.qualified_name} "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY player_id ORDER BY game_date DESC, game_id DESC) = 1"
    ).to_pylist()
    by_player = {row["player_id"]: row for row in newest}
    expected = progress.batch.expected[: len(progress.batch.expected) - absent]
    logs = [
        {**by_player[p.player_id], "game_id": p.game_id, "game_date": DAY, "points": 11, "minutes": 25}
        for p in expected
    ]
    for game in run.stores.warehouse.query(queries.SLATE_GAMES, {"slate": DAY}).to_pylist():
        if game["game_id"] not in {log["game_id"] for log in logs}:
            logs.append({**newest[0], "player_id": 1, "game_id": game["game_id"], "game_date": DAY})
    run.stores.warehouse.upsert(GAME_LOGS, GAME_LOGS.arrow_table(logs))


def tick(run: SlateRun) -> dg.SensorResult:
    sensor = grading_sensor(run._settings)
    context = dg.build_sensor_context(
        instance=run._instance,
        resources={"warehouse": run.stores.warehouse, "clock": OnTheMorningAfter()},
    )
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_a_slate_is_graded_once_its_results_are_in_and_not_again(finished):
    run = finished
    assert not tick(run).run_requests
    graded, waiting = grade_slates(run, DAY, DAY)
    assert (graded, waiting) == ({}, [SIMULATED])
    with pytest.raises(ResultsMissing):
        run._execute("grading", partition=SIMULATED)

    play(run)
    (request,) = tick(run).run_requests
    assert request.partition_key == SIMULATED
    graded, waiting = grade_slates(run, DAY, DAY)
    assert waiting == []
    by_system = {grade.system: grade for grade in graded[SIMULATED]}
    assert {"ensemble", "matchup", "similarity", "moving_average", "gradient_boosting"} <= by_system.keys()
    assert (by_system["ensemble"].players, by_system["ensemble"].voids) == (PLAYERS - 1, 1)
    assert not tick(run).run_requests

    again, _ = grade_slates(run, DAY, DAY)
    assert again == graded
    rows = stored_grades(run.stores.warehouse, DAY, DAY, PUBLISHED)
    assert len(rows["ensemble"]) == 1
    assert rows["ensemble"][0]["receipt_id"] == run.stores.warehouse.receipts(SIMULATED)[-1].receipt_id


def test_the_grades_are_plots_and_the_check_warns_without_holding_anything_up(finished):
    play(finished)
    finished.grade(SIMULATED)
    instance = finished._instance
    (record,) = instance.fetch_materializations(dg.AssetKey("prediction_grades"), limit=1).records
    metadata = record.asset_materialization.metadata
    assert metadata["ensemble/mean_absolute_error"].value > 0
    key = dg.AssetCheckKey(dg.AssetKey("prediction_grades"), "systems_are_steady")
    (check,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    evaluation = check.event.dagster_event.event_specific_data
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert not evaluation.blocking


def test_a_model_is_pinned_with_the_features_and_a_later_one_changes_no_row(slate_run):
    slate_run.ingest(FACTS)
    trained = slate_run.train()
    assert trained["trained_now"]
    again = slate_run.train()
    assert (again["model_id"], again["trained_now"]) == (trained["model_id"], False)
    assert trained["cutoff"] <= SIMULATED
    assert (trained["promoted"], trained["compared_with"]) == (True, "a moving average")
    key = dg.AssetCheckKey(dg.AssetKey("points_model"), "challenger_is_promoted")
    (check, _) = slate_run._instance.event_log_storage.get_asset_check_execution_history(key, limit=3)
    assert check.event.dagster_event.event_specific_data.passed

    first = slate_run.whole(SIMULATED)
    assert first.receipt.rows == PLAYERS * 25
    snapshots, pinned = slate_run.stores.warehouse.snapshots, first.progress.feature_snapshot
    assert set(snapshots.players(SIMULATED, pinned)["model_id"].to_pylist()) == {trained["model_id"]}
    assert snapshots.history(SIMULATED, pinned).num_rows == 0
    slate_run.stage(SIMULATED)
    assert slate_run.consolidate(SIMULATED).rows_unchanged == first.receipt.rows

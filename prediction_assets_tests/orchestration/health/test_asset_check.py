"""The morning check as an asset check: what a run of its job leaves in the UI."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from prediction_assets.monitoring.evaluate import Line
from prediction_assets.monitoring.finding_kinds import START_THE_DAEMON
from prediction_assets.monitoring.findings import Finding
from prediction_assets.monitoring.health_report import Report
from prediction_assets.orchestration.morning_check import _result
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.outcome import Outcome
from prediction_assets.stores.alert import Severity
from prediction_assets_tests.homes import PLAYERS, SIMULATED

KEY = dg.AssetCheckKey(dg.AssetKey("phase5_completion"), "morning_check")


def evaluated(run: SlateRun, **config: object) -> dg.AssetCheckEvaluation:
    """Run the job as its schedule does, and return the evaluation."""
    ops = {"phase5_completion_morning_check": {"config": config}} if config else {}
    result = run._defs.resolve_job_def("morning_check").execute_in_process(
        instance=run._instance, run_config={"ops": ops}
    )
    assert result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.asset_check_key == KEY
    return evaluation


def test_a_finished_slate_passes_with_its_ten_lines(finished):
    evaluation = evaluated(finished)
    assert evaluation.passed
    assert evaluation.metadata["slate"].value == SIMULATED
    assert evaluation.metadata["lines_green"].value == 10
    assert "versions_consistent" in str(evaluation.metadata["lines"].records)


def test_a_slate_under_way_is_a_warning_and_a_slate_that_is_missing_an_error(ingested):
    evaluation = evaluated(ingested)
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert f"prediction-assets run --slate {SIMULATED}" in str(evaluation.metadata["next"].records)
    ingested.roster(SIMULATED)
    evaluation = evaluated(ingested)
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"0 of {PLAYERS} settled" in str(evaluation.metadata["lines"].records)


def test_the_next_steps_are_shown_as_they_are_typed():
    steps = ("prediction-assets run --slate 2026-01-02", START_THE_DAEMON)
    findings = (
        Finding("a", Severity.ERROR, "no roster", command=steps[0]),
        Finding("b", Severity.WARNING, "the daemon is down", command=steps[1]),
    )
    lines = {"no_errors": Line("no_errors", findings)}
    report = Report("2026-01-02", "NBA", datetime.now(UTC), 60, without_games=False, lines=lines)
    assert [record.data["next"] for record in _result(report).metadata["next"].records] == list(steps)


def test_a_warehouse_that_cannot_be_read_is_an_error_and_not_a_crash(finished):
    database = finished._settings.home / "warehouse.duckdb"
    database.write_bytes(database.read_bytes()[:4096] + b"\xff" * 4096)
    evaluation = evaluated(finished, slate=SIMULATED)
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "can't be read" in str(evaluation.metadata["lines"].records)


def test_every_merge_shows_the_slate_in_a_picture_and_numbers(finished):
    (record,) = finished._instance.fetch_materializations(dg.AssetKey("predictions"), limit=5).records
    metadata = record.asset_materialization.metadata
    assert record.partition_key == SIMULATED
    assert metadata["picture"].value.startswith("![the slate's picture](data:image/svg+xml;base64,")
    assert metadata["dagster/partition_row_count"].value == PLAYERS * 25
    assert {outcome.value: metadata[f"players_{outcome.value}"].value for outcome in Outcome} == {
        "staged": PLAYERS,
        "skipped": 0,
        "failed": 0,
    }
    assert metadata["merge_ms"].value > 0
    assert {row.data["rows"] for row in metadata["systems"].records} == {PLAYERS * 5}
    assert 0 < metadata["share_of_players_with_market_line"].value <= 1


def test_every_run_on_a_slate_is_tagged_with_it_and_its_batch(finished):
    batch = finished.stores.batch_state.progress(SIMULATED).batch
    runs = [run for run in finished._instance.get_runs() if run.job_name not in ("ingest", "training")]
    assert {run.job_name for run in runs} == {"roster", "staging", "consolidation"}
    assert {(run.tags.get("slate"), run.tags.get("batch")) for run in runs} == {(SIMULATED, batch.batch_id)}

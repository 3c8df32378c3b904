"""A slate on the gcp profile: its morning check, its jobs, and the layout whose players share a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg
import pytest
from typer.testing import CliRunner

from prediction_assets.cli import commands
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs
from prediction_assets.stores.gcp.parts import part_table
from prediction_assets_tests.acceptance.test_gcp_profile import (
    gcp,
    gcp_environment,
    gcp_settings,
    open_run,
    rows,
)
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint
from prediction_assets_tests.emulator_fixtures import firestore_emulator, pubsub_emulator

__all__ = [
    "bigquery_endpoint",
    "firestore_emulator",
    "gcp",
    "gcp_environment",
    "gcp_settings",
    "open_run",
    "pubsub_emulator",
]  # fixtures

PLAYERS = 4
SLATE = simulated_slate(PLAYERS).isoformat()
FACTS = simulated_facts(PLAYERS)


@dataclass(frozen=True)
class Announced:
    """A slate that went all the way on the emulators, and what the morning check said before it."""

    run: SlateRun
    before: Mapping[str, str]


@pytest.fixture(scope="module")
def announced(gcp: SlateRun) -> Announced:
    gcp.ingest(FACTS)
    before = morning_check()
    assert gcp.whole(SLATE).receipt.status == "success"
    return Announced(gcp, before)


def morning_check() -> dict[str, str]:
    """Return the color of each of the report's lines, with the environment's settings."""
    done = CliRunner().invoke(commands.app, ["health", "--json"])
    report = json.loads(done.stdout)
    assert done.exit_code == report["exit_code"]
    return {each["name"]: each["color"] for each in report["lines"]}


def test_a_slate_whose_players_share_a_table_has_the_same_rows_and_the_same_message(announced):
    settings = announced.run._settings.model_copy(update={"staging_layout": "per_run"})
    shared = SlateRun(settings, announced.run._instance)
    before = rows(shared.stores.warehouse, SLATE)
    assert shared.stage(SLATE)
    parts = shared.stores.warehouse.parts.staged(SLATE)
    assert len({part_table(SLATE, *part) for part in parts}) == 1 < len(parts) == PLAYERS
    receipt = shared.consolidate(SLATE)
    assert (receipt.rows_inserted, receipt.rows_updated, receipt.rows_unchanged) == (0, 0, 25 * PLAYERS)
    assert rows(shared.stores.warehouse, SLATE) == before
    assert dict(shared.stores.warehouse.parts.staged(SLATE)) == {}
    assert len(shared.stores.outbox.entries(SLATE)) == 1


def test_a_slate_costs_one_job_a_part_and_a_constant_number_of_others(announced, monkeypatch):
    gcp = announced.run
    started: list[str] = []
    real = BigQueryJobs._run

    def counted(self, *arguments, **options):
        started.append("job")
        return real(self, *arguments, **options)

    monkeypatch.setattr(BigQueryJobs, "_run", counted)
    others = []
    for parts in (1, 3):
        started.clear()
        gcp.stage(SLATE, [p.slug for p in gcp.stores.batch_state.progress(SLATE).batch.expected[:parts]])
        gcp.consolidate(SLATE)
        others.append(len(started) - parts)
    assert others[0] == others[1]
    assert 0 < others[0] < 20
    record = gcp._instance.get_latest_materialization_event(dg.AssetKey("predictions"))
    assert record.asset_materialization.metadata["bigquery_jobs"].value > 0
    assert "bytes_billed" in record.asset_materialization.metadata


def test_the_morning_check_of_the_gcp_profile_reads_all_its_stores(announced, gcp_environment, monkeypatch):
    for name, value in gcp_environment.items():
        monkeypatch.setenv(name, value)
    assert announced.before["batch_opened"] == "red"
    assert [name for name, color in morning_check().items() if color != "green"] == []
    monkeypatch.setattr(
        "prediction_assets.stores.gcp.batch_state.FirestoreBatchState.progress", _refused, raising=True
    )
    found = morning_check()
    assert (found["batch_opened"], found["merge"]) == ("red", "green")


def _refused(self: object, slate: str, only: object = None) -> None:
    raise ConnectionRefusedError(f"no Firestore for {slate}")

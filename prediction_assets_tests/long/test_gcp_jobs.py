"""What a slate costs on the gcp profile in jobs, and in the layout whose players share a table."""

from __future__ import annotations

import dagster as dg

from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs
from prediction_assets.stores.gcp.parts import part_table
from prediction_assets_tests.acceptance.test_gcp_profile import (
    PLAYERS,
    SLATE,
    announced,
    gcp,
    gcp_environment,
    gcp_settings,
    open_run,
    rows,
)
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint
from prediction_assets_tests.emulator_fixtures import firestore_emulator, pubsub_emulator

__all__ = [
    "announced",
    "bigquery_endpoint",
    "firestore_emulator",
    "gcp",
    "gcp_environment",
    "gcp_settings",
    "open_run",
    "pubsub_emulator",
]  # fixtures


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

"""Pruning in a deployment's Dagster instance, on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from prediction_assets_tests.orchestration.test_retention import pruned_with_their_checks
from prediction_assets_tests.postgres import postgres_server, reason_to_skip


@pytest.mark.skipif(reason_to_skip() is not None, reason=str(reason_to_skip()))
def test_check_results_go_with_their_runs_on_postgresql_too(history, monkeypatch, tmp_path):
    config = Path(__file__).parents[2] / "deploy" / "dagster.yaml"
    (tmp_path / "deployed").mkdir()
    (tmp_path / "deployed" / "dagster.yaml").write_bytes(config.read_bytes())
    with postgres_server() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with dg.DagsterInstance.from_config(str(tmp_path / "deployed")) as instance:
            assert "Postgres" in type(instance.event_log_storage).__name__
            pruned_with_their_checks(instance, history, monkeypatch)
